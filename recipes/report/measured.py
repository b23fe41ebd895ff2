"""What a page says of one measured part: confusion, classes, calibration."""

import numpy as np

from recipes.report.charts import BLUE, GRAY, ORANGE, column, page_plot, svg

MAX_MATRIX_CLASSES = 30
MAX_CONFUSIONS = 30


def measured(scores: dict, classes: list[str]) -> dict:
    """Prepare what the sections on measures, confusion, classes and calibration show of one part.

    Args:
        scores: the measures of the part, as `recipes.evaluation.metrics` gives them.
        classes: their names.

    Returns:
        Values for the templates: `scores`, `correct`, `weakest`, and for one label a picture `matrix` or `confusions`, and
        `calibration`, a chart.
    """
    found = {
        "scores": scores,
        "correct": None if "effective_images" in scores else round(scores["accuracy"] * scores["images"]),
        "weakest": sorted(scores["classes"], key=lambda row: (row["recall"] is None, row["recall"] or 0, row["name"])),
    }
    if "confusion" not in scores:  # there is none of pictures with several labels
        return found
    small = len(classes) <= MAX_MATRIX_CLASSES
    return found | {
        "matrix": _matrix(scores["confusion"], classes) if small else None,
        "confusions": None if small else _confusions(scores, classes),
        "calibration": _calibration(scores["calibration"]),
    }


def _matrix(cells: list[list[int]], classes: list[str]) -> list[dict]:
    """Make rows of the confusion table; a cell's shade is its share of the row, with single images visible."""
    confusion = np.zeros((len(classes), len(classes)), int)
    for truth, prediction, count in cells:
        confusion[truth, prediction] = count
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shades = np.where(confusion, 0.12 + 0.48 * confusion / totals, 0)
    return [
        {
            "name": name,
            "cells": [
                {"count": int(count), "shade": f"{shade:.2f}", "right": i == j}
                for j, (count, shade) in enumerate(zip(confusion[i], shades[i], strict=True))
            ],
        }
        for i, name in enumerate(classes)
    ]


def _confusions(scores: dict, classes: list[str]) -> list[dict]:
    """List the most frequent pairs of truth and wrong prediction."""
    wrong = [cell for cell in scores["confusion"] if cell[0] != cell[1]]
    return [
        {"truth": classes[i], "prediction": classes[j], "count": count, "of": scores["classes"][i]["images"]}
        for i, j, count in sorted(wrong, key=lambda cell: (-cell[2], *cell[:2]))[:MAX_CONFUSIONS]
    ]


def _calibration(bins: list[dict]) -> str:
    """Draw accuracy by confidence: a perfectly calibrated model's dots lie on the dashed diagonal."""
    figure, axes = page_plot("confidence", "accuracy")
    low, high, accuracy = (column(bins, key) for key in ("low", "high", "accuracy"))
    axes.bar(low, accuracy, width=high - low, align="edge", color=BLUE + "66", edgecolor=BLUE)
    axes.plot(column(bins, "confidence"), accuracy, "o", color=ORANGE, markersize=5)
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1.05))
    return svg(figure)
