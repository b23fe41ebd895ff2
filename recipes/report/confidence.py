"""What a page says of a model: its temperature, sets of classes, pictures of no known class, and when to say nothing."""

import numpy as np

from recipes.console import percent
from recipes.report.charts import BLUE, page_plot, svg, use_share_axis

# The share of the pictures, the surest, that the sentence on saying nothing is about.
ANSWERED = 0.8


def confidence(result: dict) -> dict:
    """Prepare what the section on confidence shows.

    Args:
        result: values of `result.json`; of older runs without "confidence".

    Returns:
        `sure`, the values, None without any; `answered`, the row of the surest pictures that is said in a sentence; and
        `abstention`, a chart.
    """
    sure = result.get("confidence")
    if not sure or not sure.get("abstention"):
        return {"sure": sure, "answered": None, "abstention": None}
    rows = sure["abstention"]["rows"]
    answered = min(rows[1:], key=lambda row: abs(row["coverage"] - ANSWERED), default=None)
    return {"sure": sure, "answered": answered, "abstention": _chart(sure["abstention"]) if answered else None}


def _chart(abstention: dict) -> dict:
    """Draw accuracy by the share of the pictures that is answered, the surest first."""
    coverage, accuracy = np.transpose(abstention["curve"])
    figure, axes = page_plot("share of the images that is answered", "accuracy")
    axes.plot(coverage, accuracy, color=BLUE, linewidth=1.8)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, place: percent(value, 0))
    use_share_axis(axes, accuracy)
    words = ", ".join(f"{percent(row['accuracy'])} of the surest {percent(row['coverage'], 0)}" for row in abstention["rows"])
    return {"title": "accuracy by coverage", "uri": svg(figure), "alt": f"Chart of accuracy by coverage: right are {words}."}
