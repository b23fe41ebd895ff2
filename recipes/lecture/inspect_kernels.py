"""What a network has learned to look for, and what it makes of a picture.

    zoo inspect_kernels                                     # LeNet-5, trained on MNIST, and a digit
    zoo inspect_kernels mobilenet_v2 PICTURE --weights FILE --output runs/kernels
    python -m recipes.lecture.inspect_kernels ...

Features are local, repeat all over a picture, and are built up: edges, then shapes, then how shapes lie to each other.
What to look for, in the pictures that the folder then holds:

- `kernels_STAGE.png`: the kernels of the first convolution, and of the first that is wider than a pixel in each later
  stage, each on its own scale. Those of the first are edges of one direction, spots and colours; a later one combines
  maps, and can no longer be read by itself.
- `features.png`: the most active channels of each stage. The first still show the picture, its edges and areas; the
  deeper, the coarser: fewer places, more channels, and each answers to one part of what is shown, and not to the rest.
- `stride_and_padding.png`: one learned kernel laid over the picture as in the worked example of `zoo receptive_fields`.
  Without padding the map loses a border, and stride 2 halves it.

MobileNetV2 with its ImageNet weights and a photograph of a dog on a meadow: of the 1,280 channels of its last stage the
eight most active lie on the dog, and all of them are silent on the grass.

`table.csv` holds, for each stage, its size, what a unit sees of the picture, and the channels that are drawn.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import zoo
from recipes.errors import UserError
from recipes.lecture.convolution import PADDINGS_AND_STRIDES, convolve
from recipes.lecture.pictures import picture
from recipes.runs.journal import Experiment
from recipes.settings.lecture import InspectKernels
from recipes.transfer.backbone import builder_options, first_tag
from recipes.transfer.strategies import feature_stages
from zoo import analysis
from zoo.graph import kernels
from zoo.weights import catalog

# Of a layer with more kernels its strongest are drawn.
MAX_KERNELS = 96
STRONGEST_KERNELS = 48
CHANNELS_A_STAGE = 8


def run(settings: InspectKernels) -> Path:
    """Draw kernels, feature maps, and one kernel at several strides and paddings; return the folder.

    Raises:
        UserError: no such model, weights or picture, or the folder cannot be written.
    """
    model = _trained(settings)
    pixels = picture(model, settings.image)
    with Experiment(settings) as experiment:
        for stage, layer, kernel in widest(model):
            experiment.save_figure(f"kernels_{stage}", draw_kernels(f"{model.name}, {stage}: {layer.name}", kernel))
        maps = feature_maps(model, pixels)
        rows = [_row(fact, maps[fact.name]) for fact in analysis.analyze(model) if fact.name in maps]
        experiment.save_figure("features", draw_features(model.name, pixels, maps, rows))
        experiment.save_figure("stride_and_padding", draw_settings(model, pixels))
        experiment.finish(rows)
        return experiment.folder


def _trained(settings: InspectKernels) -> keras.Model:
    """Build the model with its weights. Raises UserError if there are none."""
    options = builder_options(settings.model, None)
    known = catalog.entries(settings.model)
    if settings.weights is None and not known:
        raise UserError(f"{settings.model} has no published weights: give a file as --weights.")
    try:
        return zoo.get_model(settings.model, weights=settings.weights or first_tag(known), **options)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error


# ---------------------------------------------------------------------------------------------- what there is to see
def widest(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer, np.ndarray]]:
    """Yield stage, layer and kernel of each stage's first convolution that sees more than one place; the picture's in RGB."""
    names, seen = zoo.stages(model), set()
    for name in names:
        inside = {layer.name for layer in zoo.features(model, [name]).layers} - seen
        seen |= inside
        for layer, variable, _ in kernels(model):
            if layer.name in inside and len(variable.shape) == 4 and max(variable.shape[:2]) > 1:
                kernel = keras.ops.convert_to_numpy(variable)
                bgr = model.origin.bgr and kernel.shape[2] == 3
                yield name, layer, kernel[:, :, ::-1] if bgr else kernel
                break


def feature_maps(model: keras.Model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Compute each stage's output as `(height, width, channels)`: a transformer's tokens as the patches they stand for."""
    names, maps = feature_stages(zoo.stages(model)), {}
    outputs = keras.tree.flatten(zoo.features(model, names).predict_on_batch(pixels[None]))
    for name, output in zip(names, outputs, strict=True):
        values = np.asarray(output)[0]
        if values.ndim == 2:  # the first token stands for the class
            side = math.isqrt(len(values))
            values = values[len(values) - side**2 :].reshape(side, side, -1)
        maps[name] = values
    return maps


def most_active(maps: np.ndarray) -> np.ndarray:
    """Find the channels with the largest mean of absolute values, in that order."""
    return np.argsort(-np.abs(maps).mean(axis=(0, 1)), kind="stable")[:CHANNELS_A_STAGE]


def _row(fact: analysis.LayerFacts, maps: np.ndarray) -> dict:
    """Make a stage's row of the table."""
    height, width, channels = maps.shape
    field = fact.receptive_field[0] if fact.receptive_field else None
    return {
        "stage": fact.name,
        "stride": field.stride if field else None,
        "channels": channels,
        "places": f"{height} × {width}",
        "sees": _seen(field),
        "most active": " ".join(map(str, most_active(maps))),
    }


def _seen(field: analysis.Field | None) -> int | str:
    """Write how many pixels a unit sees; places of a map that is attended in windows see differently many."""
    if field is None or math.isinf(field.size):
        return "all"
    return "?" if math.isnan(field.size) else int(field.size)


# ---------------------------------------------------------------------------------------------- drawings
def draw_kernels(title: str, kernel: np.ndarray) -> Figure:
    """Draw each kernel on its own scale: in colours if it sees RGB, otherwise a picture for each channel that it sees."""
    height, width, inputs, outputs = kernel.shape
    size, signs = f"{height} × {width}", "red: +, blue: −"
    if inputs == 3:
        tiles, what = [(f"{j}", kernel[..., j]) for j in range(outputs)], f"{outputs} kernels {size} × 3 in colours"
    elif outputs == 1:  # depthwise
        tiles, what = [(f"{i}", kernel[..., i, 0]) for i in range(inputs)], f"{inputs} kernels {size}, one a map; {signs}"
    elif inputs == 1:
        tiles, what = [(f"{j}", kernel[..., 0, j]) for j in range(outputs)], f"{outputs} kernels {size} on grey; {signs}"
    else:
        tiles = [(f"{i}→{j}", kernel[..., i, j]) for i in range(inputs) for j in range(outputs)]
        what = f"{outputs} kernels {size} × {inputs}, from map → to map; {signs}"
    columns = outputs if inputs not in (1, 3) and 1 < outputs and len(tiles) <= MAX_KERNELS else 16
    if len(tiles) > MAX_KERNELS:
        what += f"; the {STRONGEST_KERNELS} strongest of {len(tiles):,}"
        tiles = sorted(tiles, key=lambda tile: -np.linalg.norm(tile[1]))[:STRONGEST_KERNELS]
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    # Placed by hand: a constrained layout of a hundred little plots takes seconds.
    width, height = max(0.75 * columns, 6), 0.9 * rows + 0.8
    figure = Figure(figsize=(width, height))
    figure.suptitle(f"{title}\n{what}", y=1 - 0.1 / height)
    place = dict(left=0.01, right=0.99, bottom=0.05 / height, top=1 - 0.8 / height, wspace=0.1, hspace=0.3)
    plots = figure.subplots(rows, columns, squeeze=False, gridspec_kw=place).ravel()
    for plot, (label, tile) in zip(plots, tiles, strict=False):
        largest = np.abs(tile).max() or 1.0
        if tile.ndim == 3:
            plot.imshow(0.5 + tile / (2 * largest))
        else:
            plot.imshow(tile, cmap="RdBu_r", vmin=-largest, vmax=largest)
        plot.set_title(label, fontsize=7, pad=2)
    for plot in plots:
        plot.axis("off")
    return figure


def draw_features(model: str, pixels: np.ndarray, maps: dict[str, np.ndarray], rows: list[dict]) -> Figure:
    """Draw a row for each stage: its name, stride and channels, and its most active channels, each on its own scale."""
    figure = Figure(figsize=(1.35 * (CHANNELS_A_STAGE + 3.4), 1.5 * len(maps) + 0.5), layout="constrained")
    figure.suptitle(f"{model}: a picture, and the most active channels of each stage")
    grid = figure.add_gridspec(len(maps), CHANNELS_A_STAGE + 3)
    shown = figure.add_subplot(grid[:, :2])
    shown.imshow(pixels.squeeze(), cmap="gray")
    shown.axis("off")
    plots = [[figure.add_subplot(grid[i, j]) for j in range(2, CHANNELS_A_STAGE + 3)] for i in range(len(maps))]
    for line, (name, values), row in zip(plots, maps.items(), rows, strict=True):
        stride = f"stride {row['stride']}\n" if row["stride"] else ""
        line[0].text(
            0.5,
            0.5,
            f"{name}\n{row['places']}\n{stride}{row['channels']} channels\nsees {row['sees']}",
            ha="center",
            va="center",
            fontsize=9,
        )
        for plot, channel in zip(line[1:], most_active(values), strict=False):
            low, high = np.percentile(values[..., channel], (1, 99))  # one bright place does not hide the others
            plot.imshow(values[..., channel], cmap="viridis", vmin=low, vmax=max(high, low + 1e-9))
            plot.set_title(str(channel), fontsize=7, pad=2)
        for plot in line:
            plot.axis("off")
    return figure


def draw_settings(model: keras.Model, pixels: np.ndarray) -> Figure:
    """Draw the picture, a kernel of the first convolution, and what it gives for paddings and strides, all at one scale."""
    _, layer, kernel = next(widest(model))
    seen = keras.Model(model.input, model.get_layer("preprocessing").output)(pixels[None])
    seen = keras.ops.convert_to_numpy(seen)[0]
    responses = [convolve(seen, kernel[..., i]) for i in range(kernel.shape[3])]
    best = int(np.argmax([response.std() for response in responses]))
    half = kernel.shape[0] // 2
    panels = {"picture": pixels.squeeze()}
    for padding, stride in PADDINGS_AND_STRIDES:
        panels[f"padding {padding * half}, stride {stride}"] = convolve(seen, kernel[..., best], padding * half, stride)
    size = len(pixels)
    figure = Figure(figsize=(13, 3.5), layout="constrained")
    figure.suptitle(f"{model.name}, {layer.name}: kernel {best}, the one that answers most to this picture")
    first, *plots = figure.subplots(1, len(panels) + 1, width_ratios=(0.4, *[1] * len(panels)))
    tile = kernel[..., best]
    largest = np.abs(tile).max()
    first.imshow((0.5 + tile / (2 * largest)).squeeze(), cmap="RdBu_r", vmin=0, vmax=1)
    first.set_title(f"{kernel.shape[0]} × {kernel.shape[1]}")
    first.axis("off")
    for plot, (title, values) in zip(plots, panels.items(), strict=True):
        plot.imshow(values, cmap="gray")
        shape = f"{values.shape[0]} × {values.shape[1]}"
        plot.set(title=f"{title}\n{shape}", xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
        plot.set(xticks=[], yticks=[])
    return figure
