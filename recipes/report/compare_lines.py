"""What `zoo compare` prints: tables and sentences from the values of comparison.json."""

from collections.abc import Mapping, Sequence

from recipes.console import percent, table, with_interval
from recipes.errors import shown
from recipes.evaluation.paired_verdict import NAMES, points

MAX_SETTINGS = 6


def search_lines(found: Mapping) -> list[str]:
    """Write a row a search, and what each chose."""
    rows = [
        {
            "search": row["name"],
            "trials": row["trials"],
            "scored": row["scored"],
            "objective": row["objective"],
            "best": row["score"],
            "accuracy": _measured(row["accuracy"], row["accuracy_interval"]),
            "held out": row["held_out"],
            "seconds": round(row["seconds"]),
        }
        for row in found["rows"]
    ]
    chosen = [
        f"{row['name']} chose {', '.join(f'{key} {setting(value)}' for key, value in row['values'].items())}."
        for row in found["rows"]
    ]
    return [table(rows), *chosen, found["finding"], ""]


def run_lines(found: Mapping) -> list[str]:
    """Write the verdicts, a row a run, the differences, and what a reader should know."""
    runs = [
        {
            "run": row["name"],
            "strategy": row["strategy"],
            **{
                NAMES[key]: _measured(one["value"], one["interval"] if key == found["measure"] else None)
                for key, one in row["measures"].items()
            },
        }
        for row in found["runs"]
    ]
    differences = found["differences"]
    return [
        *(row["verdict"] for row in differences),
        "",
        table(runs),
        "",
        "Differences in points:",
        table([_difference(row) for row in differences]),
        "",
        *(_counts(row) for row in differences),
        *(f"{_pair(row)}{row['losses_verdict']}" for row in differences),
        *(f"{_pair(row)}{row['classes_verdict']}" for row in differences),
        *_settings(found["settings"]),
        *remarks(found),
    ]


def remarks(found: Mapping) -> list[str]:
    """Say in sentences what a reader should know of the pictures, and of other seeds."""
    if not found["differences"]:
        return []
    lines = list(found["findings"])
    for row in found["repeats"]:
        key, one = next(iter(row["measures"].items()))
        values = f"{percent(one['values'][0])} ({row['baseline']}) and {percent(one['values'][1])} ({row['run']})"
        gap = f"{points(one['difference'], '+')} points{_interval(one['interval'])}"
        lines.append(
            f"Means over repeats ({row['what']}): {NAMES[key]} {values}, difference {gap}. Repeats share pictures, so this "
            "is about seeds and divisions of these alone."
        )
    if not found["repeats"]:
        lines.append("This is about these trained models: with another seed, each would have become a different one.")
    return lines


def setting(value: object) -> str:
    """Write the value of a setting; of a path, where the machine's folders are nobody's business, the last part."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = shown("–" if value is None else value)
    return text.rpartition("/")[2] if text.startswith("/") else text


def _settings(differing: Mapping[str, Mapping]) -> list[str]:
    """Say in which settings the runs differ."""
    if not differing:
        return []
    said = [f"{key} ({', '.join(map(setting, values.values()))})" for key, values in list(differing.items())[:MAX_SETTINGS]]
    more = f" and {len(differing) - MAX_SETTINGS} more settings" if len(differing) > MAX_SETTINGS else ""
    return [f"Their recipes differ in {', '.join(said)}{more}."]


def _difference(row: Mapping) -> dict:
    """Write how a run differs from the first, as cells."""
    cells = {
        NAMES[key]: f"{points(one['difference'], '+')}{_interval(one['interval'])}" for key, one in row["measures"].items()
    }
    return {"run": f"{row['run']} - {row['baseline']}", **cells}


def _pair(row: Mapping) -> str:
    """Name the two runs that a sentence is about, where there are more."""
    return f"{row['run']} and {row['baseline']}: " if row["runs_adjusted"] > 1 else ""


def _counts(row: Mapping) -> str:
    """Say how many pictures each of two runs has right."""
    alone = f"{row['run']} alone has {row['only_run_right']:,} right, {row['baseline']} alone {row['only_baseline_right']:,}"
    return f"Of the pictures {alone}, both {row['both_right']:,}, neither {row['neither_right']:,}."


def _interval(interval: Sequence[float] | None) -> str:
    """Write the interval of a difference in points, where it has one."""
    return f" ({points(interval[0])} to {points(interval[1])})" if interval else ""


def _measured(value: float | None, interval: Sequence[float] | None) -> str:
    """Write a share with its interval, and a dash where there is none."""
    return "–" if value is None else with_interval(value, interval)
