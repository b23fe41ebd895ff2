"""The measurement of evidence: one pass, on pictures of the training part alone, before a strategy or a backbone is chosen.

Of a stratified sample the network's features are computed at the stages that `strategies.probed` names, averaged over the
pixels so that only vectors are kept. Measured are: of each stage a linear probe that judges every picture by a fit on all
others; of the last LogME, which orders backbones as well as any cheap score (docs/rank.md); and the speed of the pass. A
probe's penalty is the best of 13 on the same pictures, which flatters its accuracy a little, and that of each stage alike.
"""

import time
from collections.abc import Sequence

import keras
import numpy as np

import zoo
from recipes.compute import engines
from recipes.compute.compiling import jit
from recipes.data.dataset import Dataset
from recipes.data.images import center
from recipes.data.views import CENTER
from recipes.evaluation.intervals import wilson
from recipes.settings.shared import EngineName
from recipes.transfer import features
from recipes.transfer.combined import widths
from recipes.transfer.evidence import Evidence, Probe
from recipes.transfer.features import vector_cut
from recipes.transfer.strategies import probed
from recipes.transfer.transferability import leave_one_out, logme
from recipes.transfer.view_features import standardization
from zoo.progress import Progress

MAX_SAMPLE = 2_000
MIN_CLASS_SAMPLE = 5
# The pass may take this share of a budget.
BUDGET_SHARE = 0.1
# A first batch, which compiles, is not counted.
TIMED_BATCHES = 3
# A training step, where it is not timed, is taken for so many passes: there, and twice as much back, and what goes with it.
PASSES_A_STEP = 4


def measure(
    model: keras.Model,
    data: Dataset,
    train: np.ndarray,
    batch_size: int,
    seed: int,
    budget: float | None = None,
    engine: EngineName = "auto",
    is_timed: bool = True,
    forward: float | None = None,
) -> Evidence:
    """Measure the evidence on the pictures `train`, by one pass of `model`, whose last stage is "pre_logits".

    Args:
        train: indices of pictures in `data`.
        budget: seconds; the sample is one that passes within a tenth of them, and training is timed. Without a budget a
            training step is taken for PASSES_A_STEP passes.
        is_timed: whether the speed is asked for, also where all features are in the cache already.
        forward: images per second of a pass, as far as known; with a budget it must be.
    """
    rates: list[float] = []
    most = min(MAX_SAMPLE, int(BUDGET_SHARE * budget * forward)) if budget else MAX_SAMPLE
    chosen = judged(data, train, seed, most)
    cuts = {name: vector_cut(model, name) for name in probed(zoo.stages(model))}
    rows = features.extract(model, list(cuts.values()), data, [(i, CENTER) for i in chosen], batch_size, rates, engine)
    # The first batch, which compiles, counts for nothing; where all was in the cache there is none.
    rates = rates[1:] or (forward_rates(model, data, train, batch_size, engine) if is_timed and not forward else [])
    forward = float(np.median(rates)) if rates else forward
    labels = data.labels[chosen]
    vectors = {name: on_one_scale(rows[cut][:], widths(model)) for name, cut in cuts.items()}
    probes = {name: probe(found, labels, data.groups_of(chosen)) for name, found in vectors.items()}
    counts = np.bincount(data.labels[train], minlength=len(data.classes))
    return Evidence(
        images=len(train),
        classes=len(data.classes),
        fewest=int(counts.min()),
        probes=probes,
        transferability=logme(vectors["pre_logits"], labels),
        forward=forward,
        training=training_rate(model, data, train, batch_size) if budget else forward and forward / PASSES_A_STEP,
        budget=budget,
    )


def judged(data: Dataset, train: np.ndarray, seed: int, most: int = MAX_SAMPLE) -> np.ndarray:
    """Draw which of the pictures `train` are looked at, at most; a copy of one that is left out would give it away."""
    distinct = train[np.sort(np.unique(np.array(data.digests)[train], return_index=True)[1])]
    return distinct[sample(data.labels[distinct], most, seed)]


def on_one_scale(rows: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Scale features `(images, features)` of several backbones, side by side, as a head sees them; those of one stay."""
    return rows / standardization(rows, widths)[1] if widths else rows


def sample(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw the indices of about `most` pictures from their class numbers `(images,)`.

    The classes are in proportion, but none has fewer than MIN_CLASS_SAMPLE, if there are as many.
    """
    generator, share = np.random.default_rng(seed), min(1.0, most / len(labels))
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        chosen.append(members[: max(round(share * len(members)), MIN_CLASS_SAMPLE)])
    return np.sort(np.concatenate(chosen))


def probe(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> Probe:
    """Fit a linear probe to features `(images, features)` and class numbers `(images,)`; its interval is Wilson's.

    Pictures of one of the `groups` `(images,)` are judged together, by a fit on all others.
    """
    accuracy, brier = leave_one_out(rows, labels, groups)
    return Probe(brier, accuracy, *wilson(round(accuracy * len(labels)), len(labels)))


def forward_rates(
    model: keras.Model, data: Dataset, images: np.ndarray, batch_size: int, engine: EngineName = "auto"
) -> list[float]:
    """Measure the images per second of a few batches up to the classifier, compiled before."""
    rates, cut, views = [], vector_cut(model, zoo.stages(model)[-1]), [(i, CENTER) for i in np.resize(images, batch_size)]
    made = engines.build(features.up_to(model, [cut]), batch_size, engine)
    with Progress("speed", (1 + TIMED_BATCHES) * batch_size, "images") as progress:
        for _ in range(1 + TIMED_BATCHES):
            began = time.monotonic()
            features.forward(made, data, views, progress)
            rates.append(batch_size / (time.monotonic() - began))
    return rates[1:]


def training_rate(model: keras.Model, data: Dataset, images: np.ndarray, batch_size: int) -> float:
    """Measure the images per second of training all layers of a copy."""
    chosen = np.resize(images, batch_size)
    pixels, labels = center(data.pixels[chosen], data.framing), data.labels[chosen]
    copy, seconds = keras.models.clone_model(model), []
    copy.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit())
    with Progress("speed of training", (1 + TIMED_BATCHES) * batch_size, "images", compiles=True) as progress:
        for _ in range(1 + TIMED_BATCHES):
            start = time.monotonic()
            copy.train_on_batch(pixels, labels)
            seconds.append(time.monotonic() - start)
            progress.advance(batch_size)
    return batch_size / float(np.median(seconds[1:]))
