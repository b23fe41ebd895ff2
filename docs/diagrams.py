"""Plots of the numbers in the documentation's own tables, and diagrams; docs/pictures.py writes them into docs/images/.

A plot reads the table of the page that shows it, so that the two cannot differ.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

BLUE, ORANGE, GREEN, GREY, PALE = "#2f6fb5", "#d9731a", "#3b8f5a", "#6b7280", "#e8eef6"
INK, EDGE = "#1f2937", "#9db2cc"
SHARE = re.compile(r"([\d.]+) %")
INTERVAL = re.compile(r"\(?([\d.]+) to ([\d.]+)\)?")
SECONDS = re.compile(r"([\d,]+) s\b")


# ------------------------------------------------------------------------------------------------------- the tables
def tables(page: Path) -> list[list[list[str]]]:
    """Read the tables of a page: rows of cells, the heading first."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", page.read_text(encoding="utf-8"), re.M)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]
    return [[table[0], *table[2:]] for table in rows]


def table_of(page: Path, *heading: str) -> list[list[str]]:
    """Find the one table whose heading begins so; its rows."""
    (found,) = [table for table in tables(page) if tuple(table[0][: len(heading)]) == heading]
    return found[1:]


def strategies(root: Path) -> dict[str, np.ndarray]:
    """Read the accuracies and seconds by folder, of those strategies and baselines that ran on the six folders in common."""
    page = root / "docs" / "results.md"
    parts = [table[1:] for table in tables(page) if table[0][0] == "strategy" and len(table[0]) == 5]
    cells: dict[str, list[str]] = {}
    for row in (row for part in parts for row in part):
        cells.setdefault(row[0], []).extend(row[1:])
    common = [i for i in range(8) if not cells["fastai's `fine_tune`"][i].startswith("not run")]
    found = {}
    for name, given in cells.items():
        if all(SHARE.search(given[i]) for i in common):
            pairs = [(SHARE.search(given[i])[1], SECONDS.search(given[i])[1].replace(",", "")) for i in common]
            found[name.replace("`", "")] = np.array(pairs, float)
    return found


# ------------------------------------------------------------------------------------------------------------ plots
def plot(width: float = 7.6, height: float = 4.2) -> tuple[Figure, Axes]:
    """Make a plot without a frame, on white, so that it can be read on dark pages as well."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def accuracy_and_time(root: Path) -> Figure:
    """Draw the mean test accuracy against time to train, beside Keras' guide and fastai's schedule."""
    figure, axes = plot()
    where = {"medium": (8, -14), "large": (8, 8), "auto": (-4, 10), "full": (8, -4)}
    for name, values in strategies(root).items():
        theirs = name.startswith(("Keras", "fastai"))
        accuracy, seconds = values[:, 0].mean(), np.exp(np.log(values[:, 1]).mean())
        axes.plot(seconds, accuracy, "D" if theirs else "o", color=ORANGE if theirs else BLUE, markersize=9)
        axes.annotate(name, (seconds, accuracy), where.get(name, (10, -4)), textcoords="offset points", color=INK, fontsize=10)
    axes.set_xscale("log")
    axes.set_xlim(6, 500)
    axes.set_ylim(40, 80)
    ticks = [10, 30, 100, 300]
    axes.set_xticks(ticks, [f"{tick} s" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("from the folder to the accuracy (geometric mean of six folders; 2 CPU cores)")
    axes.set_ylabel("mean test accuracy, %")
    axes.set_title("50 to 500 pictures, MobileNet 0.25: this project (blue), others (orange)", fontsize=11, loc="left")
    return figure


def intervals(names: Sequence[str], middle: Sequence[float], low: Sequence[float], high: Sequence[float], unit: str) -> Figure:
    """Draw a dot and its 95 % interval for each name, the first on top."""
    figure, axes = plot(7.6, 0.8 + 0.42 * len(names))
    rows = np.arange(len(names))[::-1]
    axes.hlines(rows, low, high, color=BLUE, linewidth=2.5)
    axes.plot(middle, rows, "o", color=BLUE, markersize=8)
    axes.set_yticks(rows, names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel(unit)
    return figure


def heads(root: Path) -> Figure:
    """Draw the accuracy of each head on hymenoptera."""
    rows = table_of(root / "docs" / "heads.md", "head", "pooling", "hymenoptera")
    low, high = zip(*(map(float, INTERVAL.search(row[3]).groups()) for row in rows), strict=True)
    names = [row[0] if row[1] == "average" else f"{row[0]}, {row[1]} pooling" for row in rows]
    middle = [float(SHARE.search(row[2])[1]) for row in rows]
    return intervals(names, middle, low, high, "mean test accuracy of 3 seeds with its 95 % interval, %")


def head_solver(root: Path) -> Figure:
    """Draw the processor seconds of a head, by solver."""
    rows = table_of(root / "docs" / "performance.md", "solver", "processor seconds")
    figure = Figure(figsize=(7.6, 0.6 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    seconds = [float(row[1]) for row in rows]
    bars = axes.barh([row[0] for row in rows], seconds, color=[BLUE, *[GREY] * (len(rows) - 1)], height=0.6)
    axes.bar_label(bars, [f"{one:.1f} s" for one in seconds], padding=4, color=INK)
    axes.invert_yaxis()
    axes.set(xlabel="processor seconds of one head: 4,560 rows of 1,280 features, six classes", xlim=(0, 1.12 * max(seconds)))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def optimisers(root: Path) -> Figure:
    """Draw the validation accuracy of each optimiser on MNIST."""
    rows = table_of(root / "docs" / "experiments.md", "optimiser", "rate")
    values = np.array([SHARE.findall(row[3]) for row in rows], float)
    middle, half = values.T
    unit = "validation accuracy of 5 seeds with its 95 % interval, %"
    return intervals([row[0] for row in rows], middle, middle - half, middle + half, unit)


# --------------------------------------------------------------------------------------------------------- diagrams
def active_learning(root: Path) -> Figure:
    """Draw the accuracy by the number of labels, by how their pictures were chosen, and that of all labels."""
    figure, axes = plot()
    *rows, last = table_of(root / "docs" / "label.md", "labels", "least sure first")
    labels = [int(row[0].replace(",", "")) for row in rows]
    for column, (name, color) in enumerate((("least sure first", BLUE), ("at random", ORANGE)), 1):
        middle, half = np.array([re.findall(r"[\d.]+", row[column]) for row in rows], float).T
        axes.plot(labels, middle, "o-", color=color, label=name, markersize=5)
        axes.fill_between(labels, middle - half, middle + half, color=color, alpha=0.15, linewidth=0)
    everything = float(last[1].split()[0])
    axes.axhline(everything, color=GREY, linestyle="--", label=f"all {last[0]}")
    axes.set_xlabel("pictures with a label")
    axes.set_ylabel("accuracy on the test part, %")
    axes.legend(frameon=False, loc="lower right")
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make an empty drawing whose units are tenths of an inch."""
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 10 * width)
    axes.set_ylim(0, 10 * height)
    axes.set_axis_off()
    return figure, axes


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, color: str = PALE, ink: str = INK) -> None:
    """Draw a rounded box with its text in the middle."""
    shape = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.8", facecolor=color, edgecolor="#9db2cc"
    )
    axes.add_patch(shape)
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9.5, color=ink, linespacing=1.4)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=GREY, shrinkA=1, shrinkB=1))


def flow(columns: Sequence[Sequence[str]], width: float = 7.6, height: float = 2.6, box_width: float = 19.0) -> Figure:
    """Draw columns of boxes from left to right; each box leads to each of the next column."""
    figure, axes = canvas(width, height)
    gap = (10 * width - 2 - box_width * len(columns)) / max(len(columns) - 1, 1)
    middles: list[list[float]] = []
    for i, texts in enumerate(columns):
        step = 10 * height / len(texts)
        middles.append([10 * height - step * (j + 0.5) for j in range(len(texts))])
        tall = min(step - 1.2, 3.2 * max(text.count("\n") + 1 for text in texts) + 2)
        for text, y in zip(texts, middles[i], strict=True):
            box(axes, 1 + i * (box_width + gap), y - tall / 2, box_width, tall, text)
        if i:
            right = 1 + i * (box_width + gap)
            for y in middles[i - 1]:
                for z in middles[i]:
                    arrow(axes, (right - gap, y), (right, z))
    return figure


def what_is_trained(root: Path) -> Figure:
    """Draw which part of the network each strategy trains."""
    figure, axes = canvas(7.6, 3.2)
    names = ("stage 1", "stage 2", "stage 3", "stage 4", "last stage", "head")
    frozen, slow, trained = "#d5dbe3", "#f3c693", ORANGE
    rows = {
        "small": [frozen] * 5 + [trained],
        "medium": [frozen] * 4 + [slow, trained],
        "large": ["#fbe9d3", "#f8dcb8", "#f6cf9c", "#f2bd7c", "#eca65a", trained],
        "full": [trained] * 6,
        "scratch": [trained] * 6,
    }
    for i, name in enumerate(names):
        axes.text(19 + 9.3 * i, 29.4, name, ha="center", fontsize=9, color=INK)
    for j, (strategy, colors) in enumerate(rows.items()):
        y = 24 - 4.8 * j
        axes.text(1, y + 1.6, strategy, fontsize=10, family="monospace", color=INK, va="center")
        for i, color in enumerate(colors):
            edge = {"hatch": "///"} if strategy == "scratch" else {}
            axes.add_patch(Rectangle((14.6 + 9.3 * i, y), 8.8, 3.4, facecolor=color, edgecolor="white", **edge))
    words = "grey: frozen, computed once     pale: trained slowly     orange: trained     hatched: from a random start"
    axes.text(1, 1.2, words, fontsize=9, color=GREY)
    return figure


def floors(root: Path) -> Figure:
    """Draw the floors of `recipes`, from the list of docs/contributing.md."""
    text = (root / "docs" / "contributing.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"```\n(commands .*?)```", text, re.S)
    lines = [line.split(maxsplit=1) for line in listed.splitlines()]
    figure, axes = canvas(7.6, 0.36 * len(lines) + 0.3)
    for i, (name, what) in enumerate(lines):
        y = 3.6 * (len(lines) - 1 - i) + 1.4
        axes.add_patch(Rectangle((3, y), 70, 3.1, facecolor=PALE, edgecolor="white"))
        axes.text(4, y + 1.5, name, va="center", fontsize=9.5, weight="bold", color=INK)
        axes.text(17, y + 1.5, what[:82], va="center", fontsize=8.5, color=INK)
    arrow(axes, (1.4, 3.6 * len(lines)), (1.4, 1.4))
    return figure


def sources(root: Path) -> Figure:
    """Draw how four kinds of source become one list."""
    given = ["a folder per class", "a table: CSV, TSV, Parquet", "an archive: zip, tar", "tfds:NAME"]
    listed = ["one list:\nfile, label, part,\ngroup, weight"]
    used = ["zoo check", "zoo rank", "zoo finetune", "zoo tune"]
    return flow([given, listed, used])


def workers(root: Path) -> Figure:
    """Draw what the workers of a search share."""
    shared = [
        "PostgreSQL:\nthe table of trials",
        "/shared/zoo-cache:\nfeatures, computed once",
        "/shared/photos:\nthe pictures",
    ]
    return flow([["worker on machine 1", "worker on machine 2", "worker on machine 3", "..."], shared], box_width=25.0)


def weights(root: Path) -> Figure:
    """Draw what is decided when weights are read."""
    given = ['a tag: "imagenet"', "a file: .h5, .keras,\n.safetensors, .pth", "a run's model.keras"]
    asked = ["whose graph (variant)?\nwhich preprocessing?\nwhich input size?"]
    return flow(
        [given, asked, ["one model:\nRGB 0..255 in,\nprobabilities out", "or a sentence that\nnames the choices"]],
        box_width=21.0,
    )


def export(root: Path) -> Figure:
    """Draw that each exported network is asked by its own runtime, and compared with the run, before it is kept."""
    files = ["model.onnx", "model.tflite", "saved_model", "model.xml", "index.html"]
    runtimes = ["ONNX Runtime", "LiteRT", "TensorFlow", "OpenVINO", "ONNX Runtime"]
    figure, axes = canvas(7.6, 2.6)
    box(axes, 1, 10, 14, 6, "a run:\nmodel.keras")
    box(axes, 60, 7.5, 15, 11, "the run's answers\nto its pictures?\nThen it is kept", "#e6f2ea")
    for i, (file, runtime) in enumerate(zip(files, runtimes, strict=True)):
        y = 21.4 - 5.1 * i
        box(axes, 21, y, 13, 4.2, file)
        box(axes, 40, y, 14, 4.2, runtime, "#fdf0e2")
        arrow(axes, (15, 13), (21, y + 2.1))
        arrow(axes, (34, y + 2.1), (40, y + 2.1))
        arrow(axes, (54, y + 2.1), (60, 13))
    return figure


def frozen_pass(root: Path) -> Figure:
    """Draw what goes on at once while features are computed."""
    reading = ["two threads a core\nread and decode\npictures"]
    kept = ["pixels, on the disk,\nby content"]
    passing = ["thread 1: cut a batch,\npass it", "thread 2: cut the next,\npass it"]
    return flow([reading, kept, passing, ["features, on the disk,\nby content"]], box_width=17.0)


def migrating(root: Path) -> Figure:
    """Draw the calls of other libraries beside those of this one."""
    theirs = ['keras.applications\nResNet50(weights="imagenet")', 'timm\ncreate_model("resnet50.a1_in1k")']
    theirs.append("torchvision\nresnet50(weights=IMAGENET1K_V2)")
    ours = [
        'resnet50(weights="imagenet")',
        'resnet50(weights=\n"imagenet_timm_a1")',
        'resnet50(weights=\n"imagenet_torchvision_v2")',
    ]
    figure, axes = canvas(7.6, 2.6)
    for i, (one, other) in enumerate(zip(theirs, ours, strict=True)):
        y = 18.4 - 8.4 * i
        box(axes, 1, y, 32, 6.6, one)
        arrow(axes, (33, y + 3.3), (42, y + 3.3))
        box(axes, 42, y, 33, 6.6, other, "#fdf0e2")
    return figure


def new_model(root: Path) -> Figure:
    """Draw which files a new model touches."""
    files = ["architectures/tiny.py", "weights/names/tiny.py", "api.py", "weights/catalog/tiny.py"]
    steps = ["1. the function", "2. names in PyTorch's files", "3. the name in the package", "4. a row for each file"]
    figure, axes = canvas(7.6, 2.6)
    for i, (step, file) in enumerate(zip(steps, files, strict=True)):
        y = 20 - 6.2 * i
        box(axes, 1, y, 22, 4.8, step)
        axes.text(25, y + 2.4, f"zoo/{file}", va="center", fontsize=9.5, family="monospace", color=INK)
        arrow(axes, (49, y + 2.4), (54, 13))
    box(axes, 54, 7.5, 21, 11, "5. make fast:\nevery test of MODELS\nruns on yours, too", "#e6f2ea")
    return figure


DIAGRAMS: dict[str, Callable[[Path], Figure]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        accuracy_and_time,
        heads,
        head_solver,
        optimisers,
        active_learning,
        what_is_trained,
        floors,
        sources,
        workers,
        weights,
        export,
        frozen_pass,
        migrating,
        new_model,
    )
}


def write(name: str, folder: Path, root: Path) -> None:
    """Write a plot or diagram as SVG whose text is text; the same bytes from the same numbers."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        DIAGRAMS[name](root).savefig(folder / f"{name}.svg", metadata={"Date": None})
