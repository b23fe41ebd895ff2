"""What a page says of one measured part: confusion, classes, calibration."""

import numpy as np

from recipes.console import percent
from recipes.evaluation.intervals import wilson
from recipes.report.charts import BLUE, GRAY, ORANGE, column, page_plot, svg

MAX_MATRIX_CLASSES = 30
MAX_CONFUSIONS = 30
# Area of the largest dot, in square points.
MAX_DOT = 120


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
        "calibration": _calibration(scores["calibration"], scores["calibration_error"]),
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


def _calibration(bins: list[dict], error: float) -> dict:
    """Draw accuracy by confidence: a perfectly calibrated model's dots lie on the dashed diagonal.

    A dot is as large as the share of the images that it stands for, and has their interval: one image says next to nothing.
    """
    figure, axes = page_plot("confidence", "accuracy")
    confidence, accuracy, images = (column(bins, key) for key in ("confidence", "accuracy", "images"))
    low, high = np.transpose([wilson(share * count, count) for share, count in zip(accuracy, images, strict=True)])
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle="--")
    axes.vlines(confidence, low, high, color=BLUE, alpha=0.6, linewidth=1.4)
    axes.scatter(confidence, accuracy, MAX_DOT * images / images.max(), color=ORANGE, zorder=3)
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.05))
    largest = bins[int(images.argmax())]
    alt = (
        f"Chart of accuracy by confidence: of {int(images.sum()):,} images, {largest['images']:,} lie in the fullest bin, with "
        f"a mean confidence of {percent(largest['confidence'])} and an accuracy of {percent(largest['accuracy'])}; on average "
        f"the two differ by {percent(error)}."
    )
    return {"title": "accuracy by confidence", "uri": svg(figure), "alt": alt}
