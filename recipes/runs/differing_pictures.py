"""The pictures on which runs differ, for a page and a table."""

from collections.abc import Sequence

from recipes.runs.finished import Finished
from recipes.runs.shared_pictures import SharedPictures


def _order(pictures: SharedPictures, index: int, ours: bool) -> list[int]:
    """List the pictures that one run alone has right, those of which the other is surest first.

    Args:
        index: of the run that is compared with the first.
        ours: whether it is that run which is right, or the first.
    """
    right, wrong = (index, 0) if ours else (0, index)
    answers = pictures.answers
    chosen = [
        i
        for i in range(len(pictures))
        if answers[right][i].prediction == answers[right][i].label and answers[wrong][i].prediction != answers[wrong][i].label
    ]
    return sorted(chosen, key=lambda i: (-answers[wrong][i].probability, answers[wrong][i].path))


def galleries(found: dict, runs: Sequence[Finished], pictures: SharedPictures, most: int) -> list[dict]:
    """Prepare the pictures that one run alone has right, of each difference and side, as `recipes.report.compare` takes them.

    Args:
        found: values of comparison.json.
        most: so many of each are read and shown.
    """
    shown_galleries = []
    for row in found["differences"]:
        for ours in (True, False):
            order, pair = _order(pictures, row["index"], ours), (0, row["index"])
            title = f"Only {row['run'] if ours else row['baseline']} is right, not {row['baseline'] if ours else row['run']}"
            shown_ones = []
            for i in order[:most]:
                said = [(found["runs"][j]["name"], pictures.answers[j][i]) for j in pair]
                pixels = (run.pixels(those[i]) for run, those in zip(runs, pictures.answers, strict=True))
                shown_ones.append(
                    {
                        "path": pictures.answers[0][i].path,
                        "label": pictures.answers[0][i].label,
                        "answers": [(name, one.prediction, one.probability) for name, one in said],
                        "pixels": next((one for one in pixels if one is not None), None),
                    }
                )
            shown_galleries.append({"title": title, "count": len(order), "pictures": shown_ones})
    return shown_galleries


def table_rows(found: dict, pictures: SharedPictures) -> list[dict]:
    """Make a row of answers.csv for each picture, those to which the runs do not all give the same answer first."""
    rows = []
    for i, first in enumerate(pictures.answers[0]):
        each = [those[i] for those in pictures.answers]
        said = {}
        for run, one in zip(found["runs"], each, strict=True):
            said |= {f"prediction of {run['name']}": one.prediction, f"probability of {run['name']}": one.probability}
        same = "yes" if len({one.prediction for one in each}) == 1 else "no"
        rows.append({"path": first.path, "label": first.label, "same": same, **said, "sha256": first.digest})
    return sorted(rows, key=lambda row: (row["same"], row["path"]))
