"""Say which of several runs is better on the same test pictures, and whether these pictures can tell.

    zoo compare RUN RUN ...                    # the others against the first
    zoo compare RUN RUN --output FOLDER        # a page with the pictures on which they differ, and more
    python -m recipes.compare RUN RUN ...

A run is what `zoo finetune` wrote, an evaluation of one, or a search, of which the winner's run is taken. Nothing is computed
anew: what each said of a picture stands in its files.csv.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from collections.abc import Sequence

from recipes.console import say
from recipes.data.sources.own import MARK, mark
from recipes.errors import UserError, shown, some
from recipes.report.compare import MAX_SHOWN, render
from recipes.report.compare_lines import remarks, run_lines, search_lines
from recipes.runs.compared_searches import describe_searches
from recipes.runs.comparison import SCHEMA, compare
from recipes.runs.differing_pictures import galleries, table_rows
from recipes.runs.finished import Finished, Searched, read, short_names
from recipes.settings.compare import Comparison
from zoo.disk import WriteError
from zoo.files import write_csv, write_json, write_text

PAGE, VALUES, TABLE = "comparison.html", "comparison.json", "answers.csv"


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
    found, shown_pictures, rows = {"schema": SCHEMA, "recipe": "compare", "searches": None, "differences": []}, [], []
    if all(isinstance(one, Searched) for one in given):
        found["searches"] = describe_searches(given, names)
        _say_all(search_lines(found["searches"]))
    try:
        runs = [_as_run(one, name) for one, name in zip(given, names, strict=True)]
        compared, pictures = compare(runs, names)
    except UserError as error:
        if not found["searches"]:
            raise
        found["searches"]["refused"] = f"The winners cannot be compared. {shown(error)}"
        say(found["searches"]["refused"])
    else:
        found |= compared
        _say_all(run_lines(found))
        if settings.output is not None:
            shown_pictures, rows = galleries(found, runs, pictures, MAX_SHOWN), table_rows(found, pictures)
    if settings.output is None:
        say("--output FOLDER writes a page, with the pictures on which they differ.")
    else:
        _write(settings, found, shown_pictures, rows)
    return found


def _say_all(lines: Sequence[str]) -> None:
    """Print lines."""
    for line in lines:
        say(line)


def _as_run(one: Finished | Searched, name: str) -> Finished:
    """Take a run, or that of a search's winner. Raises UserError for a search that kept none."""
    if isinstance(one, Finished):
        return one
    if one.best is None:
        raise UserError(
            f"{shown(name)} is a search that kept no run of its winner: only its trials can be seen, beside others."
        )
    return one.best


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
            f"--output {shown(output)} holds files that no comparison wrote ({some(foreign, 2)}): choose a new or an empty "
            "folder."
        )


def _write(settings: Comparison, found: dict, shown_pictures: list[dict], rows: list[dict]) -> None:
    """Write the page, the values and the table. Raises UserError for a place that cannot be written."""
    folder = settings.output
    mark(folder)
    try:
        if rows:
            write_csv(folder / TABLE, rows)
        else:  # what an earlier comparison has left would be taken for this one's
            (folder / TABLE).unlink(missing_ok=True)
        write_text(folder / PAGE, render(found, shown_pictures, remarks(found)))
        write_json(folder / VALUES, found)
    except WriteError as error:
        raise UserError(f"--output {shown(error)}") from error
    say(f"Open {shown((folder / PAGE).resolve())}")
