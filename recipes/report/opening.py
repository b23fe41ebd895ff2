"""The sentences that a report opens with: what came out, where it fails, and what to do next, each from the numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recipes.console import percent
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES

# A class is called weak where its recall lies this far below the mean of all classes.
WEAK = 0.05
MAX_WEAK_CLASSES = 3
# A class has few pictures where the largest has this many times as many.
FEW_RATIO = 2
# Training pictures that are answered less often than this have not been learnt.
NOT_LEARNT = 0.9
# Half the width of an interval from which on it is called wide.
WIDE = 0.05
MAX_STEPS = 4
# Letters of a class in a sentence.
MAX_NAME = 40
NAMES = MEASURES | LABEL_MEASURES


@dataclass(frozen=True)
class Opening:
    """Sentences: what was found, and what to do next, each of those with the section of the page to look at."""

    found: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]


def opening(result: Mapping, split: str, measure: str) -> Opening:
    """Say what a run has shown.

    Args:
        result: values of `result.json`.
        split: the part that is reported, a key of its "metrics".
        measure: what is reported first, a key of that part's values.
    """
    scores = result["metrics"][split]
    found = [_against_baseline(result, split, measure), _gap(result, split, measure), _weakest(scores), _confusion(scores)]
    steps = [_labels(result), _more_pictures(result, split), _training(result, split, measure), _more_measured(scores, split)]
    return Opening(tuple(filter(None, found)), tuple(filter(None, steps))[:MAX_STEPS])


def quoted(name: str) -> str:
    """Write a class's name, of a long one the beginning: the tables have it in full."""
    return f"“{name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + '…'}”"


def difference(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Compute one share minus another, of other pictures, with its 95 % interval.

    By the intervals of both (Newcombe 1998, "Interval estimation for the difference between independent proportions",
    method 10).

    Args:
        one: the share, and the ends of its interval; `other` likewise.
    """
    (a, low_a, high_a), (b, low_b, high_b) = one, other
    return a - b, a - b - math.hypot(a - low_a, high_b - b), a - b + math.hypot(high_a - a, b - low_b)


def baseline(result: Mapping, split: str, measure: str) -> tuple[float, str] | None:
    """Compute what a part's measure would be without a look at the pictures, and say by whom; None where that says nothing.

    One label a picture: by who always answers the class that has most training pictures. Several labels: by a ranking of
    the pictures by chance, whose average precision is about the share of the pictures that carry the label.
    """
    classes, counts = result["metrics"][split]["classes"], result["class_counts"].get("train") or {}
    there = [row for row in classes if row["images"]]
    if measure == "mean_average_precision" and there:
        images = result["metrics"][split]["images"]
        return sum(row["images"] / images for row in there) / len(there), "a ranking by chance"
    if (
        measure not in ("accuracy", "balanced_accuracy")
        or "confusion" not in result["metrics"][split]
        or not any(counts.values())
    ):
        return None
    largest = max(classes, key=lambda row: counts.get(row["name"], 0))
    who = f"always answering {quoted(largest['name'])}, the class with most training images,"
    if measure == "balanced_accuracy":
        return (1 / len(there) if largest["images"] else 0.0), who
    return largest["images"] / sum(row["images"] for row in classes), who


def _against_baseline(result: Mapping, split: str, measure: str) -> str:
    """Set the result beside what no look at the pictures would give."""
    if (known := baseline(result, split, measure)) is None or result.get("weights"):
        return ""
    (share, who), scores = known, result["metrics"][split]
    value, interval = scores[measure], scores[f"{measure}_interval"]
    lead = f"The {NAMES[measure]} of {percent(value)} is to be compared with the {percent(share)} that {who} would give"
    if (interval[0] if interval else value) > share:
        return f"{lead}: {100 * (value - share):.1f} points more."
    return f"{lead}: these {scores['images']:,} images do not show that the model is better than that."


def _gap(result: Mapping, split: str, measure: str) -> str:
    """Say how much better the training pictures are answered than those that the model has not seen."""
    parts = result["metrics"]
    if split == "train" or "train" not in parts:
        return ""
    there, here = ((parts[name][measure], *(parts[name][f"{measure}_interval"] or ())) for name in ("train", split))
    if len(there) < 3 or len(here) < 3:
        return f"On the training images the {NAMES[measure]} is {percent(there[0])}, on the {split} images {percent(here[0])}."
    points, low, high = (100 * value for value in difference(there, here))
    lead = f"On the training images the {NAMES[measure]} is {percent(there[0])}"
    if low > 0:
        return f"{lead}: {points:.1f} points more ({low:.1f} to {high:.1f}), so some of them are learnt by heart."
    if high < 0:
        return f"{lead}: {-points:.1f} points less ({-high:.1f} to {-low:.1f}), so the {split} images are easier than those."
    low, high = (round(edge, 1) + 0.0 for edge in (low, high))  # + 0.0: no minus before 0
    return f"{lead}: no difference to the {split} images is shown ({low:+.1f} to {high:+.1f} points)."


def _weak(scores: Mapping) -> list[Mapping]:
    """Find the classes that are found clearly less often than the mean class, the weakest first."""
    measured = [row for row in scores["classes"] if row["recall"] is not None]
    if len(measured) < 2:
        return []
    mean = sum(row["recall"] for row in measured) / len(measured)
    weak = [row for row in measured if row["recall"] < mean - WEAK]
    return sorted(weak, key=lambda row: (row["recall"], row["name"]))[:MAX_WEAK_CLASSES]


def _weakest(scores: Mapping) -> str:
    """Name the classes that are found least often."""
    if not (weak := _weak(scores)):
        return ""
    named = [
        f"{quoted(row['name'])} ({percent(row['recall'])} of {row['images']:,} images found, "
        f"{percent(row['recall_interval'][0])} to {percent(row['recall_interval'][1])})"
        for row in weak
    ]
    return f"The weakest class{'es are' if len(named) > 1 else ' is'} {_listed(named)}."


def _confusion(scores: Mapping) -> str:
    """Name the mistake that is made most often."""
    if "confusion" not in scores:
        return ""
    wrong = [cell for cell in scores["confusion"] if cell[0] != cell[1]]
    if not wrong:
        return "No image of this part is classified wrongly."
    most = max(cell[2] for cell in wrong)
    alike = [cell for cell in wrong if cell[2] == most]
    total = sum(cell[2] for cell in wrong)
    if most == 1 and total > 1:
        return f"No mistake is made twice: the {total:,} wrong answers are of {len(alike):,} kinds."
    truth, taken = (scores["classes"][number] for number in alike[0][:2])
    others = f"; {len(alike) - 1:,} other pair{'s' * (len(alike) > 2)} as often" if len(alike) > 1 else ""
    return (
        f"The most frequent mistake is {quoted(truth['name'])} taken for {quoted(taken['name'])}: {most:,} of the "
        f"{truth['images']:,} images of that class, and of {total:,} mistakes in all{others}."
    )


def _labels(result: Mapping) -> tuple[str, str] | None:
    """Send the reader to the labels that are probably wrong, if there are any."""
    if not (suspects := result.get("suspects")):
        return None
    some = f"{len(suspects):,} labels that are" if len(suspects) > 1 else "label that is"
    return f"Look at the {some} probably wrong: right labels cost less than a better network.", "suspects"


def _more_pictures(result: Mapping, split: str) -> tuple[str, str] | None:
    """Ask for pictures of the weak classes, and say where they are fewer than others."""
    if not (weak := _weak(result["metrics"][split])):
        return None
    counts = result["class_counts"].get("train") or {}
    most = max(counts.values(), default=0)
    few = [row["name"] for row in weak if counts.get(row["name"], 0) * FEW_RATIO <= most]
    named = _listed([quoted(name) for name in few or [row["name"] for row in weak]])
    if few:
        fewest = min(counts.get(name, 0) for name in few)
        return f"Add pictures of {named}: {fewest:,} to train on, where the largest class has {most:,}.", "counts"
    return f"Look at the mistakes with {named}, and add pictures of the kind that fails.", "mistakes"


def _training(result: Mapping, split: str, measure: str) -> tuple[str, str] | None:
    """Say whether to give the network more room to learn, or less to learn by heart."""
    parts = result["metrics"]
    if "train" not in parts:
        return None
    trained, head_only = parts["train"][measure], not ((result.get("strategy") or {}).get("phases"))
    if trained < NOT_LEARNT:
        way = "train more of it (--strategy auto), or " if head_only else ""
        return f"Even the training images are answered at {percent(trained)} only: {way}try a larger network.", "learning"
    held_out = parts[split]
    if split == "train" or not held_out[f"{measure}_interval"] or not parts["train"][f"{measure}_interval"]:
        return None
    pairs = [(parts[name][measure], *parts[name][f"{measure}_interval"]) for name in ("train", split)]
    if difference(*pairs)[1] <= WEAK:
        return None
    less = (
        "a network whose features fit these pictures better (zoo rank)" if head_only else "augmentation, or training less of it"
    )
    return f"What it learns by heart does not help new pictures: try more training pictures, {less}.", "learning"


def _more_measured(scores: Mapping, split: str) -> tuple[str, str] | None:
    """Ask for more pictures to measure with, where the interval is wide."""
    low, high = scores["accuracy_interval"]
    if split == "train":
        return "Keep images apart to measure with: nothing here says how the model does on new ones.", "splits"
    if (half := (high - low) / 2) <= WIDE:
        return None
    return (
        f"Measure with more images: {scores['images']:,} tell the accuracy to within {100 * half:.0f} points, "
        "four times as many to within half of that."
    ), "splits"


def _listed(words: Sequence[str]) -> str:
    """Write words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
