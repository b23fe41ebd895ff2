"""Curves of what a run has learnt, or of what its head chose."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from recipes.report.charts import BLUE, GRAY, ORANGE, column, page_plot, plain, svg, use_log_axis, use_share_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning(history: list[dict], result: dict) -> list[dict]:
    """Draw how a run learnt: over its epochs, or, where the head was solved, over what was chosen; nothing for neither.

    Args:
        history: rows of `history.csv`.
        result: values of `result.json`.
    """
    return _curves(history, result) or _choice(result.get("head") or {})


def _curves(history: list[dict], result: dict) -> list[dict]:
    """Draw loss and accuracy over the epochs of all phases; nothing where no phase has two epochs."""
    trained = {phase["name"] for phase in (result.get("strategy") or {}).get("phases", ()) if phase["epochs"]}
    trained |= {"head"} if "epochs" in (result.get("head") or {}) else set()
    rows = [row for row in history if row["phase"] in trained]
    phases = Counter(row["phase"] for row in rows)
    if max(phases.values(), default=0) < 2:
        return []
    epochs = np.arange(1, len(rows) + 1)
    starts = [i + 0.5 for i in range(1, len(rows)) if rows[i]["phase"] != rows[i - 1]["phase"]]

    def chart(key: str) -> dict:
        figure, axes = page_plot("epoch", key)
        lines = {"train": column(rows, key), "validation": column(rows, f"validation_{key}")}
        _draw(axes, epochs, lines, starts)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, labelcolor=GRAY)
        return {"title": f"{key} by epoch", "uri": svg(figure), "alt": _alt(key, "epoch", epochs, lines)}

    return [
        chart(key)
        for key in ("loss", "accuracy")
        if np.isfinite([*column(rows, key), *column(rows, f"validation_{key}")]).any()
    ]


def _choice(head: dict) -> list[dict]:
    """Draw cross-validated loss and accuracy of the head by what its kind chooses; nothing for fewer than two choices."""
    what = next((name for name in ("penalty", "scale") if name in head), None)
    rows = sorted(head["path"], key=lambda row: row[what]) if what else []
    if len(rows) < 2:
        return []
    choices = column(rows, what)

    def chart(key: str) -> dict:
        figure, axes = page_plot(what, f"cross-validated {key}")
        use_log_axis(axes, choices)
        lines = {f"cross-validated {key}": column(rows, key)}
        _draw(axes, choices, lines, [head[what]])
        alt = f"{_alt(key, what, choices, lines)} Used: {plain(head[what])}."
        return {"title": f"{key} by {what}", "uri": svg(figure), "alt": alt}

    return [chart("loss"), chart("accuracy")]


def _draw(axes: "Axes", across: np.ndarray, lines: dict[str, np.ndarray], marks: list[float]) -> None:
    """Draw up to two lines over the same points, and dashed upright marks."""
    for mark in marks:
        axes.axvline(mark, color=GRAY, linewidth=1, linestyle="--")
    for (label, up), color in zip(lines.items(), (BLUE, ORANGE), strict=False):
        if np.isfinite(up).any():  # without a validation split its columns are empty
            axes.plot(across, up, color=color, label=label, linewidth=1.8, marker="o", markersize=3.5)
    up = np.concatenate([*lines.values()])
    if axes.get_ylabel().endswith("accuracy"):
        use_share_axis(axes, up)
    elif np.isfinite(up).any():  # a loss of 0 is the least there is
        axes.set_ylim(0, 1.05 * float(up[np.isfinite(up)].max()) or 1)


def _alt(key: str, what: str, across: np.ndarray, lines: dict[str, np.ndarray]) -> str:
    """Say in words what a chart of lines shows: where each begins and ends, and its best."""
    best, said = (np.nanargmin if key == "loss" else np.nanargmax), []
    for label, up in lines.items():
        if np.isfinite(up).any():
            first, last = up[np.isfinite(up)][[0, -1]]
            at = int(best(up))
            said.append(f"{label} from {first:.3f} to {last:.3f}, best {up[at]:.3f} at {what} {plain(across[at])}")
    return f"Chart of {key} by {what}: {'; '.join(said) or 'nothing was measured'}."
