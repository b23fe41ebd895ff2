"""The chart of `zoo rank`: how accurate each network is, and how fast."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from recipes.report.charts import MIN_SHARES, panels, use_log_axis, use_share_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the height, in inches, that a name takes below the chart.
LINE = 0.16
# Dots that lie nearer than this, of the width and of the height, have one label.
NEAR = 0.05


def accuracy_and_speed(rows: Sequence[Mapping], best: Sequence[Mapping]) -> "Figure":
    """Draw accuracy against speed, and the Pareto front; the names stand below, since beside the dots they would overlap.

    Args:
        rows: a candidate each, with its "candidate", "images/s", "accuracy", "low" and "high"; they are numbered in this order.
        best: those of the front, slowest first.
    """
    figure, (plot,) = panels(1, 7.2, 4.8 + LINE * len(rows))
    speed, accuracy = (np.array([row[name] for row in rows]) for name in ("images/s", "accuracy"))
    spans = [[row["accuracy"] - row["low"] for row in rows], [row["high"] - row["accuracy"] for row in rows]]
    plot.errorbar(speed, accuracy, spans, fmt="o", capsize=3, markersize=5, elinewidth=0.8)
    plot.plot(
        [row["images/s"] for row in best],
        [row["accuracy"] for row in best],
        "o--",
        markersize=5,
        linewidth=1,
        label="Pareto front",
    )
    for numbers in heaps(speed, accuracy):
        place, text = (speed[numbers[0]], accuracy[numbers[0]]), ", ".join(str(i + 1) for i in numbers)
        plot.annotate(text, place, (6, 4), textcoords="offset points", fontsize=9)
    plot.set(xlabel="images per second", ylabel="accuracy of a linear probe (95 % interval)")
    use_log_axis(plot, speed)
    use_share_axis(plot, np.array([[row["low"], row["high"]] for row in rows]))
    plot.legend(frameon=False, fontsize="small")
    names = "\n".join(f"{i}  {row['candidate']}" for i, row in enumerate(rows, 1))
    figure.supxlabel(names, x=0.02, ha="left", fontsize=8, linespacing=1.4)
    return figure


def heaps(speed: np.ndarray, accuracy: np.ndarray) -> list[list[int]]:
    """Gather dots whose numbers would lie over each other, their places in order: each heap gets one label.

    Args:
        speed: images per second, `(candidates,)`; drawn on a logarithmic axis.
        accuracy: `(candidates,)`.
    """
    across = np.log(speed) / max(float(np.ptp(np.log(speed))), 1e-9)
    up, found = accuracy / max(float(np.ptp(accuracy)), MIN_SHARES), []
    for i in range(len(speed)):
        near = (heap for heap in found if abs(across[heap[0]] - across[i]) < NEAR and abs(up[heap[0]] - up[i]) < NEAR)
        if (heap := next(near, None)) is None:
            found.append([i])
        else:
            heap.append(i)
    return found
