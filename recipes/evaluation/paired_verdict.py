"""Sentences on how two classifiers differ on the same pictures, which claim no more than these pictures show."""

from recipes.console import percent, quantity
from recipes.errors import some
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
    found, first, second = row["measures"][lead], row["baseline"], row["run"]
    what, where, chance = NAMES[lead], f"the same {quantity(images, 'picture')} {which}", _chance(row)
    shares, interval = [percent(value) for value in found["values"]], found["interval"]
    if found["difference"] < 0:
        interval = interval and [-interval[1], -interval[0]]
    said = f"95 % interval {points(interval[0])} to {points(interval[1])}; {chance}" if interval else chance
    size = f"{points(abs(found['difference']))} points ({said})"
    if row["outcome"] == "better":
        return f"{second} is better than {first}: {what} {shares[1]} against {shares[0]} on {where}, by {size}."
    if row["outcome"] == "worse":
        return f"{first} is better than {second}: {what} {shares[0]} against {shares[1]} on {where}, by {size}."
    text = f"{what} {shares[0]} and {shares[1]} on {where}, difference {size}."
    if row["same_answer"] == images:
        text += " They answer alike on every one."
    elif interval and not interval[0] <= 0 <= interval[1]:  # it is for one comparison alone, and by another method
        text += " Nearly: the interval leaves 0 out, the test does not."
    elif interval:
        text += f" One of up to {points(max(map(abs, interval)))} points is not ruled out."
    return f"No difference shown between {first} and {second}: {text}"


def _chance(row: dict) -> str:
    """Say by which test chance alone gives such a difference, and how often."""
    corrected = f", corrected for {row['runs_adjusted']} comparisons" if row["runs_adjusted"] > 1 else ""
    return f"{row['test']} {p_text(row['p_adjusted'])}{corrected}"


def points(difference: float, sign: str = "") -> str:
    """Write a difference of shares in percentage points, with a plus if `sign` is "+"; what rounds to 0 has no minus."""
    return f"{round(100 * difference, 1) + 0.0:{sign}.1f}"


def p_text(p: float) -> str:
    """Write a p-value in two digits, and none below 0.0001."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def loss_sentence(row: dict) -> str:
    """Say whether a difference of the log-losses is shown, from a difference, a value of comparison.json."""
    found = row["losses"]
    if found is None:
        return (
            f"Log-losses are not compared: files.csv of {some(row['without_losses'])} is of an earlier version and has none; "
            "`zoo evaluate` on the same pictures writes them."
        )
    (first, second), interval = found["values"], found["interval"] and [round(edge, 3) + 0.0 for edge in found["interval"]]
    corrected = f", corrected for {row['runs_adjusted']} comparisons" if row["runs_adjusted"] > 1 else ""
    chance = f"signs flipped by chance, {p_text(found['p_adjusted'])}{corrected}"
    between = f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}; {chance}" if interval else chance
    gap = f"difference {round(found['difference'], 3) + 0.0:+.3f} ({between})"
    said = f"{row['baseline']} {first:.3f}, {row['run']} {second:.3f}, {gap}"
    if found["outcome"] == "not shown":
        return f"By log-loss, which also counts how sure each answer is, no difference is shown: {said}."
    better = row["run"] if found["outcome"] == "better" else row["baseline"]
    return f"By log-loss, which also counts how sure each answer is, {better} is better: {said}."


def class_sentence(row: dict) -> str:
    """Say on which classes a difference is shown, from a difference, a value of comparison.json."""
    shown = [found for found in row["classes"] if found["outcome"] != "not shown"]
    count = len(row["classes"])
    tried = f"after correction for {quantity(count * row['runs_adjusted'], 'test')}"
    if not shown:
        return f"No difference is shown on any of the {quantity(count, 'class')} by itself, {tried}."
    sides = {"better": row["run"], "worse": row["baseline"]}
    parts = [
        f"{name} is better on {some([found['name'] for found in shown if found['outcome'] == outcome])}"
        for outcome, name in sides.items()
        if any(found["outcome"] == outcome for found in shown)
    ]
    rest = f"; on the other {count - len(shown):,} no difference is shown" if len(shown) < count else ""
    return f"By class, {tried}, {'; '.join(parts)}{rest}."
