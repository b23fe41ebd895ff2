"""Drawings of convolutions by hand, of stacked kernels, and of what the stages of a network see."""

from typing import TYPE_CHECKING

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from recipes.lecture.convolution import INPUT, KERNEL, PADDINGS_AND_STRIDES, STACKS, convolve
from recipes.lecture.pictures import picture
from recipes.report.charts import panels
from zoo import analysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's, told apart by everyone.
COLORS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2")


def draw_example() -> Figure:
    """Draw the padded inputs with the first two places of the kernel and all its centres, and below each its output."""
    figure = Figure(figsize=(13, 6.2), layout="constrained")
    grid = figure.subplots(2, 5, height_ratios=(7, 5))
    _cells(grid[0, 0], KERNEL, "kernel", 7)
    _cells(grid[1, 0], np.zeros((0, 0)), "", 5)
    note = "frames: the kernel's\nfirst two places,\nand what they give\n\ndots: all its centres"
    grid[1, 0].text(-0.5, -0.5, note, ha="center", va="center")
    for (padding, stride), above, below in zip(PADDINGS_AND_STRIDES, grid[0, 1:], grid[1, 1:], strict=True):
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


def _cells(plot: "Axes", values: np.ndarray, title: str, room: int, padding: int = 0) -> None:
    """Draw numbers in squares, in the middle of `room` × `room`; the outer `padding` of them are zeros that were added."""
    n = len(values)
    for y, x in np.ndindex(values.shape):
        added = min(y, x, n - 1 - y, n - 1 - x) < padding
        plot.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc="#e8e8e8" if added else "white", ec="#999999", lw=0.8))
        plot.text(x, y, str(values[y, x]).replace("-", "−"), ha="center", va="center", color="#888888" if added else "black")
    margin = (room - n) / 2 + 0.1
    plot.set(xlim=(-0.5 - margin, n - 0.5 + margin), ylim=(n - 0.5 + margin, -0.5 - margin), aspect="equal", title=title)
    plot.axis("off")


def draw_stacks(rows: list[dict]) -> Figure:
    """Draw a row of pixels, and above it the units that see them: 3 × 3 kernels in a row grow to 5 and to 7."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    plots = figure.subplots(1, 4, width_ratios=(5, 5, 7, 7))
    for plot, stack, row in zip(plots, STACKS, rows, strict=True):
        first, width = 0, sum(stack) - len(stack) + 1
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
    """Draw the fields of the stages' middle units on the picture; beside it, how much the pixels of a row weigh in them."""
    figure, (left, right) = panels(2, 6, 5.4)
    left.grid(False)
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
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _middle(axis: analysis.Field, pixels: int) -> tuple[float, float]:
    """Find where the field of the unit nearest to the middle of the picture begins, and its size."""
    unit = round(((pixels - 1) / 2 - axis.center) / axis.stride)
    return axis.first + unit * axis.stride - 0.5, axis.size
