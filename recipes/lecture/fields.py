"""What each stage of a network sees of its picture, measured: whatever moves when one pixel is lit sees that pixel."""

import math
from collections.abc import Iterable

import keras
import numpy as np

import zoo
from recipes.lecture.convolution import times
from recipes.transfer.strategies import feature_stages
from zoo import analysis
from zoo.graph import kernels
from zoo.progress import Progress

BATCH_SIZE = 8


def limited(model: keras.Model) -> list[analysis.LayerFacts]:
    """Find the stages whose units see a part of the picture: before global pooling, attention, squeeze and excitation."""
    names = feature_stages(zoo.stages(model))
    facts = [fact for fact in analysis.analyze(model) if fact.name in names and fact.receptive_field]
    return [fact for fact in facts if all(math.isfinite(axis.size) for axis in fact.receptive_field)]


def measure(model: keras.Model) -> dict[str, dict]:
    """Measure the fields of `limited` stages by what moves in their maps when one pixel is lit.

    As many neighbouring pixels are lit, one after the other along the diagonal, as the coarsest map has between two units:
    so every distance of a pixel from a unit occurs. The kernels of `model` are overwritten.
    """
    facts = limited(model)
    start = model.get_layer("preprocessing").output  # behind it black is 0
    body = keras.Model(start, [model.get_layer(fact.name).output for fact in facts])
    make_positive(body)
    lit = max(fact.receptive_field[0].stride for fact in facts)
    places = (start.shape[1] - lit) // 2 + np.arange(lit)
    pictures = np.zeros((lit + 1, *start.shape[1:]), "float32")  # the last one stays black
    pictures[np.arange(lit), places, places] = 1
    moved = {fact.name: [] for fact in facts}
    with Progress("pixels lit", len(pictures), "pictures") as progress:
        for at in range(0, len(pictures), BATCH_SIZE):
            part = pictures[at : at + BATCH_SIZE]
            for name, maps in zip(moved, keras.tree.flatten(body.predict_on_batch(part)), strict=True):
                moved[name] += list(np.asarray(maps, "float64").sum(axis=-1))
            progress.advance(len(part))
    black = {name: sums.pop() for name, sums in moved.items()}
    return {fact.name: measured_field(fact, places, np.abs(np.array(moved[fact.name]) - black[fact.name])) for fact in facts}


def make_positive(model: keras.Model) -> None:
    """Give every kernel positive random weights whose sum over what a unit sees is 1."""
    rng = np.random.default_rng(0)
    for _, kernel, attribute in kernels(model):
        values = rng.uniform(0.5, 1.5, kernel.shape)
        inputs = (0, 1) if attribute == "depthwise_regularizer" else tuple(range(values.ndim - 1))
        kernel.assign(values / values.sum(axis=inputs, keepdims=True))


def measured_field(fact: analysis.LayerFacts, places: np.ndarray, moved: np.ndarray) -> dict:
    """Find the field that is shown by what moved, `(pixels, rows, columns)`, along the rows and along the columns."""
    found = []
    for axis, amount in zip(fact.receptive_field, (moved.sum(axis=2), moved.sum(axis=1)), strict=True):
        offset = places[:, None] - axis.stride * np.arange(amount.shape[1])  # of the pixel from the unit's window
        possible = offset[(axis.first <= offset) & (offset <= axis.last)]
        seen, value = offset[amount > 0], amount[amount > 0]
        distances, index = np.unique(seen, return_inverse=True)
        influence = np.bincount(index, value) / np.bincount(index)
        order = np.argsort(np.abs(distances - axis.center), kind="stable")
        most = 1 + int(np.searchsorted(np.cumsum(influence[order]), 0.95 * influence.sum()))
        found.append((axis, _extent(possible), _extent(seen), most, distances - axis.center, influence / influence.max()))
    known, possible, measured, most, distance, influence = zip(*found, strict=True)
    return {
        "output": times(fact.output_shape[1:]),
        "stride": known[0].stride,
        "sees": _one_or_both(int(axis.size) for axis in known),
        "of it in the picture": _one_or_both(possible),
        "measured": _one_or_both(measured),
        "95 % of the influence": _one_or_both(most),
        "influence": [distance[0].tolist(), influence[0].tolist()],
    }


def _extent(offsets: np.ndarray) -> int:
    """Measure the pixels from the first offset to the last."""
    return int(offsets.max() - offsets.min()) + 1


def _one_or_both(numbers: Iterable[int]) -> int | str:
    """Return one number if rows and columns have the same."""
    different = list(dict.fromkeys(numbers))
    return different[0] if len(different) == 1 else times(different)
