"""Sentences on how two classifiers differ on the same pictures, which claim no more than these pictures show."""

from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES

NAMES = MEASURES | LABEL_MEASURES


def paired_verdict(row: dict, lead: str, images: int, which: str) -> str:
    """Say in a sentence which of two runs is better, as far as these pictures tell.

    Args:
        row: their difference, a value of comparison.json.
        lead: the measure that decides.
        images: how many pictures there are.
        which: which these are, such as "of the test part".
    """
    found = row["measures"][lead]
    values, sign = found["values"], 1 if found["difference"] >= 0 else -1
    higher, lower = (row["run"], row["baseline"]) if sign > 0 else (row["baseline"], row["run"])
    high, low = max(values), min(values)
    where = f"the same {images:,} pictures {which}"
    reach = sorted(sign * edge for edge in found["interval"]) if found["interval"] else None
    chance = f"{row['test']} {p_text(row['p_adjusted'])}" + (
        f", corrected for {row['runs_adjusted']} comparisons" if row["runs_adjusted"] > 1 else ""
    )
    size = f"{100 * abs(found['difference']):.1f} points"
    interval = f"95 % interval {100 * reach[0]:.1f} to {100 * reach[1]:.1f}; " if reach else ""
    if row["outcome"] == "not shown":
        text = (
            f"No difference shown between {row['baseline']} and {row['run']}: {NAMES[lead]} {values[0]:.1%} and {values[1]:.1%} on "
            f"{where}, difference {size} ({interval}{chance})."
        )
        if row["same_answer"] == images:
            return f"{text} They answer alike on every one."
        if reach:
            text += f" One of up to {100 * max(map(abs, reach)):.1f} points is not ruled out."
        return text
    return f"{higher} is better than {lower}: {NAMES[lead]} {high:.1%} against {low:.1%} on {where}, by {size} ({interval}{chance})."


def p_text(p: float) -> str:
    """Write a p-value in two digits, and none below 0.0001."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def class_sentence(row: dict) -> str:
    """Say on which classes a difference is shown, from a difference, a value of comparison.json."""
    shown = [found for found in row["classes"] if found["outcome"] != "not shown"]
    count = len(row["classes"])
    tried = f"after correction for {count * row['runs_adjusted']:,} tests"
    if not shown:
        return f"No difference is shown on any of the {count:,} classes by itself, {tried}."
    sides = {"better": row["run"], "worse": row["baseline"]}
    parts = [
        f"{name} is better on {', '.join(found['name'] for found in those)}"
        for outcome, name in sides.items()
        if (those := [found for found in shown if found["outcome"] == outcome])
    ]
    return f"By class, {tried}, {'; '.join(parts)}; on the other {count - len(shown):,} no difference is shown."
