"""Say which of several runs is better on the same test pictures, and whether these pictures can tell.

    zoo compare RUN RUN ...                    # the others against the first
    zoo compare RUN RUN --output FOLDER        # a page, with the pictures on which they differ, and comparison.json
    python -m recipes.compare RUN RUN ...

A run is what `zoo finetune` wrote, an evaluation of one, or a search, of which the winner's run is taken. Nothing is computed
anew: what each said of a picture stands in its files.csv.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from collections.abc import Sequence
from pathlib import Path

from recipes.console import say, table
from recipes.data.sources.own import MARK, mark
from recipes.errors import UserError, shown, some
from recipes.evaluation.paired_verdict import NAMES
from recipes.report.compare import MAX_SHOWN, render
from recipes.runs.compared_searches import describe_searches
from recipes.runs.comparison import SCHEMA, compare
from recipes.runs.finished import Finished, Searched, read, short_names
from recipes.runs.shared_pictures import SAID, SharedPictures
from recipes.settings.compare import Comparison
from zoo.disk import WriteError
from zoo.files import write_csv, write_json, write_text

PAGE, VALUES, TABLE = "comparison.html", "comparison.json", "differences.csv"
MAX_SETTINGS = 12


def run(settings: Comparison) -> dict:
    """Compare, print what was found, and write it where --output says; return the values of comparison.json.

    Raises:
        UserError: fewer than two runs, one that cannot be read, or runs that cannot be compared.
    """
    if len(settings.runs) < 2:
        raise UserError(
            "There is nothing to compare: give two or more folders that `zoo finetune` wrote, as in `zoo compare A B`."
        )
    _check_output(settings)
    names, given = short_names(settings.runs), [read(folder) for folder in settings.runs]
    searches = [one for one in given if isinstance(one, Searched)]
    found, galleries, table_rows = {"schema": SCHEMA, "recipe": "compare", "differences": []}, [], []
    found["searches"] = describe_searches(searches, names) if len(searches) == len(given) else None
    if found["searches"]:
        _say_searches(found["searches"])
    if found["searches"] and (without := [name for name, one in zip(names, searches, strict=True) if not one.best]):
        say(f"No runs of winners to compare: {some(without)} kept none.")
    else:
        runs = [_as_run(one, name) for one, name in zip(given, names, strict=True)]
        compared, pictures = compare(runs, names)
        found = compared | {"searches": found["searches"]}
        _say(found)
        if settings.output is not None:
            galleries, table_rows = _galleries(found, runs, pictures), _table_rows(found, pictures)
    if settings.output is None:
        say("--output FOLDER writes a page, with the pictures on which they differ.")
    else:
        _write(settings, found, galleries, table_rows)
    return found


def _as_run(one: Finished | Searched, name: str) -> Finished:
    """Take a run, or that of a search's winner. Raises UserError for a search that kept none."""
    if isinstance(one, Finished):
        return one
    if one.best is None:
        raise UserError(f"{shown(name)} is a search that kept no run of its winner: compare it with other searches alone.")
    return one.best


def _say_searches(found: dict) -> None:
    """Print a row a search, and what each chose."""
    rows = [
        {
            "search": row["name"],
            "trials": row["trials"],
            "scored": row["scored"],
            row["objective"]: row["score"],
            "accuracy": _with_interval(row["accuracy"], row["accuracy_interval"]),
            "pictures": row["held_out"],
            "seconds": round(row["seconds"]),
        }
        for row in found["rows"]
    ]
    objective = next(iter(found["rows"]))["objective"]
    say(table([{(objective if key not in rows[0] else key): value for key, value in row.items()} for row in rows]))
    for row in found["rows"]:
        say(f"{row['name']} chose {', '.join(f'{key} {_setting(value)}' for key, value in row['values'].items())}.")
    say(f"{found['finding']}\n")


def _say(found: dict) -> None:
    """Print the verdicts, a row a run, and what a reader should know."""
    for row in found["differences"]:
        say(row["verdict"])
    say()
    rows = []
    for row in found["runs"]:
        scores = {NAMES[key]: _with_interval(one["value"], one["interval"]) for key, one in row["measures"].items()}
        rows.append({"run": row["name"], "model": row["model"], "strategy": row["strategy"], "seed": row["seed"], **scores})
    say(table(rows))
    say(f"\n{found['images']:,} pictures {SAID[found['part']]}; 95 % intervals in brackets. Differences in points:")
    say(table([_difference_row(row) for row in found["differences"]]))
    say()
    for row in found["differences"]:
        say(row["classes_verdict"])
    for line in (*_settings(found), *_remarks(found)):
        say(line)


def _difference_row(row: dict) -> dict:
    """Write a difference from the first run in words."""
    scores = {
        NAMES[key]: f"{100 * one['difference']:+.1f}" + (_points(one["interval"]) if one["interval"] else "")
        for key, one in row["measures"].items()
    }
    counts = {"only it right": row["only_run_right"], "only the first right": row["only_baseline_right"]}
    return {"run": f"{row['run']} - {row['baseline']}", **scores, **counts}


def _points(interval: Sequence[float]) -> str:
    """Write an interval of a difference in points."""
    return f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """Write a share with its interval, where it has one."""
    if value is None:
        return "–"
    return f"{value:.1%}" + (f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else "")


def _setting(value: object) -> str:
    """Write the value of a setting."""
    return f"{value:.3g}" if isinstance(value, float) else shown(value)


def _settings(found: dict) -> list[str]:
    """Say in which settings the runs differ."""
    settings = list(found["settings"].items())
    if not settings:
        return []
    more = len(settings) - MAX_SETTINGS
    said = [f"{key} ({', '.join(_setting(value) for value in values.values())})" for key, values in settings[:MAX_SETTINGS]]
    return [f"Their recipes differ in {', '.join(said)}{f' and {more} more' if more > 0 else ''}."]


def _remarks(found: dict) -> list[str]:
    """Say in sentences what a reader should know: of the pictures, and of repeats."""
    lines = list(found.get("findings") or ())
    for row in found.get("repeats") or ():
        key, one = next(iter(row["measures"].items()))
        lines.append(
            f"Means over {row['what']}: {NAMES[key]} {one['values'][0]:.1%} ({row['baseline']}) and {one['values'][1]:.1%} "
            f"({row['run']}), difference {100 * one['difference']:+.1f} points{_points(one['interval'])}, over repeats that share "
            "pictures."
        )
    if not found.get("repeats"):
        lines.append("This is about these trained models: trained with another seed, each would be another one.")
    return lines


def _check_output(settings: Comparison) -> None:
    """Refuse, with a UserError, an --output that holds what no comparison wrote."""
    output = settings.output
    if output is None or not output.exists():
        return
    if not output.is_dir():
        raise UserError(f"--output {shown(output)} is a file: give a folder.")
    foreign = sorted({path.name for path in output.iterdir()} - {PAGE, VALUES, TABLE, MARK})
    if foreign:
        raise UserError(
            f"--output {shown(output)} holds files that no comparison wrote ({some(foreign, 2)}): choose a new or an empty folder."
        )


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


def _galleries(found: dict, runs: Sequence[Finished], pictures: SharedPictures) -> list[dict]:
    """Prepare the pictures that one run alone has right, of each difference and side."""
    galleries = []
    for row in found["differences"]:
        for ours in (True, False):
            order, pair = _order(pictures, row["index"], ours), (0, row["index"])
            title = f"Only {row['run'] if ours else row['baseline']} is right, not {row['baseline'] if ours else row['run']}"
            shown_ones = []
            for i in order[:MAX_SHOWN]:
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
            galleries.append({"title": title, "count": len(order), "pictures": shown_ones})
    return galleries


def _table_rows(found: dict, pictures: SharedPictures) -> list[dict]:
    """Make a row of differences.csv for each picture to which the runs do not all give the same answer."""
    rows = []
    for i, first in enumerate(pictures.answers[0]):
        each = [those[i] for those in pictures.answers]
        if len({one.prediction for one in each}) > 1:
            said = {}
            for run, one in zip(found["runs"], each, strict=True):
                said |= {f"prediction of {run['name']}": one.prediction, f"probability of {run['name']}": one.probability}
            rows.append({"path": first.path, "label": first.label, **said, "sha256": first.digest})
    return rows


def _write(settings: Comparison, found: dict, galleries: list[dict], rows: list[dict]) -> None:
    """Write the page, the values and the table. Raises UserError for a place that cannot be written."""
    folder = settings.output
    mark(folder)
    try:
        write_csv(folder / TABLE, rows)
        write_text(folder / PAGE, render(found, galleries, _remarks(found)))
        write_json(folder / VALUES, found)
    except WriteError as error:
        raise UserError(f"--output {shown(error)}") from error
    say(f"Open {shown((folder / PAGE).resolve())}")
