"""The page of `zoo compare`: the verdict first, then the numbers, the classes, and the pictures on which runs differ."""

from collections.abc import Sequence

from recipes.evaluation.paired_verdict import NAMES, p_text, points
from recipes.report.charts import BLUE, GRAY, named, page_plot, svg
from recipes.report.compare_lines import setting
from recipes.report.page import page
from recipes.report.thumbnails import thumbnail

# Of each difference and side; the others stand in answers.csv.
MAX_SHOWN = 12
MAX_CLASSES = 60


def render(found: dict, galleries: Sequence[dict], remarks: Sequence[str]) -> str:
    """Write the page as HTML text that any UTF-8 file can hold.

    Args:
        found: values of `comparison.json`.
        galleries: of each difference the pictures that one run alone has right: a `title`, `count` of them all, and as many
            `pictures` as are shown, each with `path`, `label`, `answers` and `pixels` `(height, width, channels)` or None.
        remarks: sentences on what a reader should know.
    """
    shown = [
        gallery | {"pictures": [one | {"thumbnail": thumbnail(one["pixels"])} for one in gallery["pictures"]]}
        for gallery in galleries
    ]
    lost = sum(one["thumbnail"] is None for gallery in shown for one in gallery["pictures"])
    rows = [*(found.get("runs") or ()), *((found["searches"] or {}).get("rows") or ())]
    return page(
        "compare.html",
        found=found,
        names=list(dict.fromkeys(row["name"] for row in rows)),
        measures={key: NAMES[key] for key in (found["runs"][0]["measures"] if found.get("runs") else ())},
        chart=_chart(found["differences"], found["measure"]) if found["differences"] else None,
        p_text=p_text,
        points=points,
        setting=setting,
        max_classes=MAX_CLASSES,
        galleries=shown,
        remarks=remarks,
        lost=lost,
    )


def _chart(differences: Sequence[dict], lead: str) -> str:
    """Draw the differences of the leading measure with their intervals, in points, beside the line of no difference."""
    from matplotlib.ticker import MaxNLocator

    figure, plot = page_plot(f"difference of {NAMES[lead]}, points", "")
    figure.set_size_inches(6.4, 1.1 + 0.4 * len(differences))
    plot.axvline(0, color=GRAY, linewidth=1, linestyle="--")
    for place, row in enumerate(reversed(differences)):
        one = row["measures"][lead]
        if one["interval"]:
            plot.plot([100 * edge for edge in one["interval"]], [place, place], color=BLUE, linewidth=2)
        plot.plot(100 * one["difference"], place, "o", color=BLUE)
    plot.set_yticks(range(len(differences)), [named(row["run"]) for row in reversed(differences)])
    plot.set_ylim(-0.6, len(differences) - 0.4)
    edges = [abs(100 * edge) for row in differences for edge in row["measures"][lead]["interval"] or ()]
    reach = max(5, *edges, *(abs(100 * row["measures"][lead]["difference"]) for row in differences)) * 1.1
    plot.set_xlim(-reach, reach)  # a small difference looks small
    plot.xaxis.set_major_locator(MaxNLocator(7))
    return svg(figure)
