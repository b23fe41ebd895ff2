"""The arithmetic of convolutions in numbers and pictures, and what each stage of a network sees: computed and measured.

    zoo receptive_fields lenet5 --output runs/fields
    python -m recipes.lecture.receptive_fields vgg16 --output runs/fields_vgg16

Four things, from small to large:

- a 5 × 5 input and a 3 × 3 kernel, with and without padding, at stride 1 and 2 (`worked_example.png`);
- how kernel, padding and stride decide the size of the output;
- why VGG has only 3 × 3 kernels (Simonyan & Zisserman 2014, arXiv:1409.1556, section 2.3): two in a row see 5 × 5 pixels
  with 18 C² weights instead of 25 C², three see 7 × 7 with 27 C² instead of 49 C² (`stacks.png`);
- the receptive field of each stage, by `zoo.analysis`, and measured: one pixel of a black picture is lit, and whatever
  moves in a feature map sees that pixel (`fields.png`, `table.csv`).

The measurement gives every kernel positive random weights of sum 1, so that nothing cancels and nothing grows: what is
measured belongs to the architecture, whatever its weights. It also shows how unequal the pixels of a field are: most of
the influence comes from its middle (Luo, Li, Urtasun, Zemel 2016, arXiv:1701.04128).

Measured, and equal to what is computed wherever the picture is large enough: LeNet-5 6 and 16 pixels; VGG-16 6, 16, 44,
100 and 212, with 95 % of the influence within 6, 12, 28, 59 and 118; ResNet-50 35 and 99, then 291 and 483, more than its
picture has. The weights are those of one seed; the sizes are the same on JAX and PyTorch (LeNet-5). VGG-16 takes 23 s of
processor time (2 CPU cores, TensorFlow 2.21, Keras 3.15.1).
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import io
import math
from importlib import resources
from pathlib import Path

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import zoo
from recipes.console import say, table
from recipes.data.digits import digit_picture
from recipes.data.images import ImageError, center, decode, read_bytes
from recipes.errors import UserError, shown
from recipes.runs.journal import Experiment
from recipes.settings.lecture import ReceptiveFields
from recipes.transfer.backbone import builder_options, framing
from recipes.transfer.strategies import feature_stages
from zoo import analysis
from zoo.layers import kernels
from zoo.progress import Progress

INPUT = np.array([[1, 2, 0, 3, 1], [1, 0, 0, 2, 2], [2, 1, 2, 1, 1], [0, 0, 1, 0, 0], [1, 2, 1, 1, 1]])
KERNEL = np.array([[-1, 1, 2], [1, 1, 0], [-1, -2, 0]])
SETTINGS = [(0, 1), (0, 2), (1, 1), (1, 2)]  # padding, stride
STACKS = ((5,), (3, 3), (7,), (3, 3, 3))  # kernels in a row
BATCH = 8
COLORS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2")  # Okabe & Ito: told apart by everyone


def run(settings: ReceptiveFields) -> Path:
    """Print and draw all of it; returns the folder.

    Raises:
        UserError: no such model or size, or the folder cannot be written.
    """
    model = _build(settings)
    facts = limited(model)
    if not facts:
        raise UserError(f"{model.name}: every stage sees the whole picture, there is nothing to measure: choose another model.")
    experiment = Experiment(settings)
    outputs = {f"padding {p}, stride {s}": convolve(INPUT, KERNEL, p, s).astype(int).tolist() for p, s in SETTINGS}
    say(f"input\n{_grid(INPUT)}\n\nkernel, laid over without flipping\n{_grid(KERNEL)}")
    for name, output in outputs.items():
        say(f"\n{name}: {len(output)} × {len(output)}\n{_grid(output)}")
    experiment.save_figure("worked_example", draw_example())
    arithmetic = {"sizes": sizes(), "counts": counts(), "stacks": stacks()}
    readable = [row | {"weights": f"{row['weights']:,}"} for row in arithmetic["counts"]]
    titles = {"Output size": arithmetic["sizes"], "Weights": readable, "Stacks of kernels": arithmetic["stacks"]}
    for title, rows in titles.items():
        say(f"\n{title}\n{table(rows)}")
    experiment.save_figure("stacks", draw_stacks(arithmetic["stacks"]))

    measured = experiment.once("fields", lambda: {"stages": measure(model)})["stages"]
    experiment.save_figure("fields", draw_fields(model, facts, measured))
    rows = [{"stage": name} | {k: v for k, v in stage.items() if k != "influence"} for name, stage in measured.items()]
    experiment.finish(rows, worked_example=outputs, **arithmetic)
    return settings.output


def _build(settings: ReceptiveFields) -> keras.Model:
    options = builder_options(settings.model, None)
    try:
        if settings.input_size is not None:
            channels = analysis.blueprint(zoo.MODELS[settings.model]).input_shape[-1]
            options["input_shape"] = (settings.input_size, settings.input_size, channels)
        return zoo.get_model(settings.model, num_classes=0, **options)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error


# ---------------------------------------------------------------------------------------------- by hand
def convolve(pixels: np.ndarray, kernel: np.ndarray, padding: int = 0, stride: int = 1) -> np.ndarray:
    """Keras' convolution of `(height, width[, channels])` with a kernel of as many axes; `padding` zeros on every side."""
    pixels, kernel = (np.atleast_3d(x).astype("float32") for x in (pixels, kernel))
    x = np.pad(pixels, ((padding, padding), (padding, padding), (0, 0)))[None]
    return keras.ops.convert_to_numpy(keras.ops.conv(x, kernel[..., None], stride, "valid"))[0, ..., 0]


def sizes() -> list[dict]:
    """The output of a convolution on 200 × 200 pixels. An odd kernel has a centre: padded by half of itself, every pixel
    becomes one, and the size stays.
    """
    rows = []
    for kernel in ((3, 3), (1, 3), (3, 1), (5, 5), (7, 7)):
        for padding in ("valid", "same"):
            row = {"kernel": _times(kernel), "zeros around": _times(k // 2 * (padding == "same") for k in kernel)}
            for stride in (1, 2, 4):
                shape = layers.Conv2D(1, kernel, stride, padding).compute_output_shape((None, 200, 200, 1))
                row[f"stride {stride}"] = _times(shape[1:3])
            rows.append(row)
    return rows


def counts() -> list[dict]:
    """Weights without biases, counted by building the layers, without values: those of the dense one need 58 GB."""
    picture, numbers, kernel = keras.Input((200, 200, 3)), keras.Input((200 * 200 * 3,)), dict(padding="same", use_bias=False)
    built = {
        "one 5 × 5 kernel on RGB": [picture, layers.Conv2D(1, 5, **kernel)],
        "ten of them": [picture, layers.Conv2D(10, 5, **kernel)],
        "maximum of 2 × 2": [picture, layers.MaxPooling2D(2)],
        "mean of 2 × 2": [picture, layers.AveragePooling2D(2)],
        "dense, from 200 × 200 × 3 to as many": [numbers, layers.Dense(200 * 200 * 3, use_bias=False)],
    }
    models = {name: analysis.blueprint(keras.Sequential, layers=parts) for name, parts in built.items()}
    return [
        {"layer": name, "output": _times(model.output_shape[1:]), "weights": model.count_params()}
        for name, model in models.items()
    ]


def stacks() -> list[dict]:
    """What kernels in a row see, and what they cost between maps of C channels."""
    rows = []
    for stack in STACKS:
        x = inputs = keras.Input((None, None, 1))  # one channel: the number of weights is that of C²
        for kernel in stack:
            x = layers.Conv2D(1, kernel, padding="same", use_bias=False)(x)
        facts = analysis.analyze(keras.Model(inputs, x))
        seen, weights = facts[-1].receptive_field[0].size, analysis.total(facts)[0]
        rows.append(
            {
                "kernels": ", ".join(f"{k} × {k}" for k in stack),
                "sees": _times((seen, seen)),
                "weights / C²": weights,
                "fewer than one kernel": f"{1 - weights / seen**2:.0%}",
            }
        )
    return rows


# ---------------------------------------------------------------------------------------------- what a stage sees
def limited(model: keras.Model) -> list[analysis.LayerFacts]:
    """The stages whose units see a part of the picture: those before global pooling, attention, squeeze and excitation."""
    names = feature_stages(zoo.stages(model))
    facts = [fact for fact in analysis.analyze(model) if fact.name in names and fact.receptive_field]
    return [fact for fact in facts if all(math.isfinite(axis.size) for axis in fact.receptive_field)]


def measure(model: keras.Model) -> dict[str, dict]:
    """What moves in the feature maps of `limited` stages when one pixel is lit.

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
        for at in range(0, len(pictures), BATCH):
            part = pictures[at : at + BATCH]
            for name, maps in zip(moved, keras.tree.flatten(body.predict_on_batch(part)), strict=True):
                moved[name] += list(np.asarray(maps, "float64").sum(axis=-1))
            progress.advance(len(part))
    return {
        fact.name: _measured(fact, places, np.abs(np.array(moved[fact.name][:-1]) - moved[fact.name][-1])) for fact in facts
    }


def make_positive(model: keras.Model) -> None:
    """Give every kernel positive random weights whose sum over what a unit sees is 1."""
    rng = np.random.default_rng(0)
    for _, kernel, attribute in kernels(model):
        values = rng.uniform(0.5, 1.5, kernel.shape)
        inputs = (0, 1) if attribute == "depthwise_regularizer" else tuple(range(values.ndim - 1))
        kernel.assign(values / values.sum(axis=inputs, keepdims=True))


def _measured(fact: analysis.LayerFacts, places: np.ndarray, moved: np.ndarray) -> dict:
    """From what moved, `(pixels, rows, columns)`, to the field that it shows, along the rows and along the columns."""
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
        "output": _times(fact.output_shape[1:]),
        "stride": known[0].stride,
        "sees": _once(int(axis.size) for axis in known),
        "of it in the picture": _once(possible),
        "measured": _once(measured),
        "95 % of the influence": _once(most),
        "influence": [distance[0].tolist(), influence[0].tolist()],
    }


def _extent(offsets: np.ndarray) -> int:
    return int(offsets.max() - offsets.min()) + 1


# ---------------------------------------------------------------------------------------------- the picture
def picture(model: keras.Model, path: Path | None = None) -> np.ndarray:
    """Pixels `(height, width, channels)` as the model takes them; without a path, of a picture that scikit-learn has.

    Raises:
        UserError: the file is no picture.
    """
    frame = framing(model)
    try:
        return center(decode(_example(frame.channels) if path is None else read_bytes(path), frame)[0], frame)
    except ImageError as error:
        raise UserError(f"{shown(path)} {error}: give a picture.") from error


def _example(channels: int) -> bytes:
    """A handwritten digit for a network that sees grey, a photograph for one that sees colours."""
    if channels == 1:
        from sklearn.datasets import load_digits

        file = io.BytesIO()
        digit_picture(load_digits().images[5]).save(file, "PNG")
        return file.getvalue()
    return resources.files("sklearn.datasets.images").joinpath("china.jpg").read_bytes()


# ---------------------------------------------------------------------------------------------- drawings
def draw_example() -> Figure:
    """The padded inputs with the first two places of the kernel and all of its centres, and below each its output."""
    figure = Figure(figsize=(13, 6.2), layout="constrained")
    grid = figure.subplots(2, 5, height_ratios=(7, 5))
    _cells(grid[0, 0], KERNEL, "kernel", 7)
    _cells(grid[1, 0], np.zeros((0, 0)), "", 5)
    note = "frames: the kernel's\nfirst two places,\nand what they give\n\ndots: all its centres"
    grid[1, 0].text(-0.5, -0.5, note, ha="center", va="center")
    for (padding, stride), above, below in zip(SETTINGS, grid[0, 1:], grid[1, 1:], strict=True):
        output = convolve(INPUT, KERNEL, padding, stride).astype(int)
        _cells(above, np.pad(INPUT, padding), f"padding {padding}, stride {stride}", 7, padding)
        for i in range(2):
            above.add_patch(Rectangle((i * stride - 0.44, -0.44), 2.88, 2.88, fill=False, lw=2.2, ec=COLORS[(3, 5)[i]]))
        ys, xs = np.mgrid[: len(output), : len(output)] * stride + 1
        above.scatter(xs + 0.3, ys + 0.3, s=14, color=COLORS[2], zorder=3)
        _cells(below, output, f"output {len(output)} × {len(output)}", 5)
        for i in range(2):
            below.add_patch(Rectangle((i - 0.44, -0.44), 0.88, 0.88, fill=False, lw=2.2, ec=COLORS[(3, 5)[i]]))
    return figure


def _cells(plot, values: np.ndarray, title: str, room: int, padding: int = 0) -> None:
    """Numbers in squares, in the middle of `room` × `room`; the outer `padding` of them are zeros that were added."""
    n = len(values)
    for y, x in np.ndindex(values.shape):
        added = min(y, x, n - 1 - y, n - 1 - x) < padding
        plot.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc="#e8e8e8" if added else "white", ec="#999999", lw=0.8))
        plot.text(x, y, str(values[y, x]).replace("-", "−"), ha="center", va="center", color="#888888" if added else "black")
    margin = (room - n) / 2 + 0.1
    plot.set(xlim=(-0.5 - margin, n - 0.5 + margin), ylim=(n - 0.5 + margin, -0.5 - margin), aspect="equal", title=title)
    plot.axis("off")


def draw_stacks(rows: list[dict]) -> Figure:
    """One row of pixels, and above it the units that see them: 3 × 3 kernels in a row grow to 5 and to 7."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    plots = figure.subplots(1, 4, width_ratios=(5, 5, 7, 7))
    for plot, stack, row in zip(plots, STACKS, rows, strict=True):
        first, width = 0, sum(stack) - len(stack) + 1  # of the level: place of its first unit, number of units
        for level in range(len(stack) + 1):
            color = COLORS[5 if level else 0]
            plot.scatter(first + np.arange(width), [level] * width, s=60, marker="s", color=color, zorder=3)
            if level < len(stack):
                kernel = stack[level]
                for unit in range(first, first + width - kernel + 1):  # from its window to the unit above
                    for pixel in range(unit, unit + kernel):
                        plot.plot([pixel, unit + kernel // 2], [level, level + 1], color="#bbbbbb", lw=0.8)
                first, width = first + kernel // 2, width - kernel + 1
        plot.set(title=f"{row['kernels']}\n{row['weights / C²']} C² weights", ylim=(-0.5, 3.5), xlabel=f"sees {row['sees']}")
        plot.margins(x=0.1)
        plot.set(xticks=[], yticks=[])
        plot.spines[:].set_visible(False)
    return figure


def draw_fields(model: keras.Model, facts: list[analysis.LayerFacts], measured: dict[str, dict]) -> Figure:
    """The fields of the stages' middle units on the picture; beside it, how much the pixels of a row weigh in them."""
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels = picture(model)
    left.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
    low, high = -0.5, len(pixels) - 0.5
    for i, fact in enumerate(facts):
        stage, color = measured[fact.name], COLORS[i % len(COLORS)]
        (top, height), (edge, width) = (_middle(axis, len(pixels)) for axis in fact.receptive_field)
        left.add_patch(Rectangle((edge, top), width, height, fill=False, lw=2, ec=color))
        low, high = min(low, top, edge), max(high, top + height, edge + width)
        right.plot(*stage["influence"], color=color, label=f"{fact.name}: sees {stage['sees']}, moves by {stage['stride']}")
        for edge in (-fact.receptive_field[0].size / 2, fact.receptive_field[0].size / 2):
            right.axvline(edge, color=color, ls=":", lw=1.2)
    room = 0.01 * (high - low)
    left.set(xlim=(low - room, high + room), ylim=(high + room, low - room), facecolor="#e8e8e8")
    left.set(xlabel="pixel (grey: outside the picture)", ylabel="pixel")
    left.set_title(f"{model.name}: what the middle unit of each stage can see")
    right.set(yscale="log", xlabel="distance from the middle of the field, in pixels", ylabel="influence, of the largest")
    right.set_title("lines: measured; dotted: the edges of the computed field")
    right.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _middle(axis: analysis.Field, pixels: int) -> tuple[float, float]:
    """Where the field of the unit nearest to the middle of the picture begins, and its size."""
    unit = round(((pixels - 1) / 2 - axis.center) / axis.stride)
    return axis.first + unit * axis.stride - 0.5, axis.size


# ---------------------------------------------------------------------------------------------- text
def _grid(values) -> str:
    return "\n".join(" ".join(f"{value:3}" for value in row) for row in values)


def _times(numbers) -> str:
    return " × ".join(map(str, numbers))


def _once(numbers) -> int | str:
    """One number if rows and columns have the same."""
    different = list(dict.fromkeys(numbers))
    return different[0] if len(different) == 1 else _times(different)
