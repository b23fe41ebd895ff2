"""Several finished runs on the same pictures: how far each lies from the first, and what these pictures can tell of that."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from recipes.evaluation.bootstrap import LABEL_MEASURES, MEASURES, Pair, interval_of_mean
from recipes.evaluation.intervals import mean_interval, wilson
from recipes.evaluation.paired import holm, newcombe, sign_flip_test
from recipes.evaluation.paired_verdict import class_sentence, loss_sentence, paired_verdict
from recipes.runs.finished import Finished
from recipes.runs.shared_pictures import SAID, SharedPictures, shared_pictures

SCHEMA = 1
LEVEL = 0.05
# Settings that say where things lie, not what was done.
PLACES = ("data", "output", "data_dir", "recipe")


def compare(runs: Sequence[Finished], names: Sequence[str]) -> tuple[dict, SharedPictures]:
    """Compare runs with the first one, on the pictures that all were measured on.

    Args:
        names: what the runs are called.

    Returns:
        Values of comparison.json, and the pictures with the answers.

    Raises:
        UserError: the runs cannot be compared.
    """
    pictures = shared_pictures(runs, names)
    known = MEASURES if runs[0].one_label else LABEL_MEASURES
    lead = next((name for name in runs[0].result.get("measures") or () if name in known), next(iter(known)))
    known = {lead: known[lead]} | known
    differences = [_difference(pictures, i, known, lead) for i in range(1, len(runs))]
    for row, adjusted in zip(differences, holm([row["p"] for row in differences]), strict=True):
        row |= {"run": names[row["index"]], "baseline": names[0], "p_adjusted": adjusted, "runs_adjusted": len(differences)}
        row |= {"outcome": _outcome(row, lead)}
    _judge_classes(pictures, runs[0].one_label, differences)
    _judge_losses(pictures, names, differences)
    for row in differences:
        row["verdict"] = paired_verdict(row, lead, len(pictures), SAID[pictures.part])
        row["classes_verdict"], row["losses_verdict"] = class_sentence(row), loss_sentence(row)
    return {
        "schema": SCHEMA,
        "recipe": "compare",
        "part": pictures.part,
        "images": len(pictures),
        "groups": None if pictures.group_count == len(pictures) else pictures.group_count,
        "weighted": pictures.is_weighted,
        "measure": lead,
        "one_label": runs[0].one_label,
        "runs": [_described(run, name, pictures, i, known) for i, (run, name) in enumerate(zip(runs, names, strict=True))],
        "differences": differences,
        "settings": _settings(runs, names),
        "repeats": _repeats(runs, names),
        "findings": list(pictures.findings),
    }, pictures


def _difference(pictures: SharedPictures, index: int, known: Mapping, lead: str) -> dict:
    """Measure how a run differs from the first, in each measure, and test the leading one."""
    pair = Pair(pictures.truth, pictures.guesses[0], pictures.guesses[index], pictures.groups, pictures.weights)
    right = [_right(pictures, i) for i in (0, index)]
    both, first, second = (int(those.sum()) for those in (right[0] & right[1], right[0] & ~right[1], right[1] & ~right[0]))
    neither = len(pictures) - both - first - second
    intervals = pair.intervals(known)
    if pictures.is_plain:
        intervals["accuracy"] = newcombe(both, first, second, neither)
    elif intervals["accuracy"] is None:  # all groups are alike: as of so many pictures as there are groups
        share = pictures.group_count / len(pictures)
        intervals["accuracy"] = newcombe(both * share, first * share, second * share, neither * share)
    measured = {}
    for name, measure in known.items():
        values = pair.values(measure)
        interval = intervals[name]
        measured[name] = {
            "values": list(values),
            "difference": values[1] - values[0],
            "interval": interval and list(interval),
        }
    if lead == "accuracy":
        p, test = sign_flip_test(_sums(pictures, right[1].astype(float) - right[0])), _test(pictures)
    else:
        p, test = pair.p_value(known[lead]), "answers swapped by chance,"
    same = int((abs(pictures.guesses[index] - pictures.guesses[0]).sum(axis=1) == 0).sum())
    counts = {"both_right": both, "only_baseline_right": first, "only_run_right": second, "neither_right": neither}
    return {"index": index, **counts, "same_answer": same, "measures": measured, "p": p, "test": test}


def _test(pictures: SharedPictures) -> str:
    """Name the test of accuracy."""
    if pictures.is_plain:
        return "McNemar"
    return "signs flipped by chance," if pictures.group_count == len(pictures) else "signs of groups flipped by chance,"


def _right(pictures: SharedPictures, index: int) -> np.ndarray:
    """Say of each picture whether a run is right in all of it, `(images,)`."""
    return abs(pictures.guesses[index] - pictures.truth).sum(axis=1) == 0


def _sums(pictures: SharedPictures, better: np.ndarray) -> np.ndarray:
    """Add up by group how much better the second is, `(groups,)`."""
    return np.bincount(pictures.groups, better * pictures.weights, minlength=pictures.group_count)


def _outcome(row: dict, lead: str) -> str:
    """Say whether a difference is shown, and in whose favour: "better", "worse" or "not shown"."""
    interval = row["measures"][lead]["interval"]
    if row["p_adjusted"] >= LEVEL or not interval or interval[0] <= 0 <= interval[1]:
        return "not shown"
    return "better" if row["measures"][lead]["difference"] > 0 else "worse"


def _judge_classes(pictures: SharedPictures, one_label: bool, differences: list[dict]) -> None:
    """Add to each difference its classes, with p-values that are adjusted for all classes of all differences."""
    for row in differences:
        columns = [rows.tocsc() for rows in (pictures.truth, pictures.guesses[0], pictures.guesses[row["index"]])]
        answered = ([of[:, [i]].toarray()[:, 0] > 0 for of in columns] for i in range(len(pictures.classes)))
        each = (_class(pictures, one_label, name, *those) for name, those in zip(pictures.classes, answered, strict=True))
        row["classes"] = [found for found in each if found]
    rows = [found for row in differences for found in row["classes"]]
    for found, adjusted in zip(rows, holm([found["p"] for found in rows]), strict=True):
        shown = adjusted < LEVEL
        found |= {
            "p_adjusted": adjusted,
            "outcome": ("better" if found["difference"] > 0 else "worse") if shown else "not shown",
        }
    for row in differences:
        row["classes"].sort(key=lambda found: (found["p_adjusted"], found["p"], -abs(found["difference"])))


def _judge_losses(pictures: SharedPictures, names: Sequence[str], differences: list[dict]) -> None:
    """Add to each difference that of the log-losses, None where a run has none; p-values are adjusted for all differences."""
    each = [np.array([one.loss for one in those], float) for those in pictures.answers]
    sizes = np.bincount(pictures.groups, pictures.weights)
    for row in differences:
        first, second = each[0], each[row["index"]]
        row["without_losses"] = [names[i] for i in (0, row["index"]) if np.isnan(each[i]).any()]
        if row["without_losses"]:
            row["losses"] = None
            continue
        sums = _sums(pictures, second - first)
        values = [float(np.average(losses, weights=pictures.weights)) for losses in (first, second)]
        interval = interval_of_mean(sums, sizes)
        found = {"values": values, "difference": values[1] - values[0], "interval": interval and list(interval)}
        row["losses"] = found | {"p": sign_flip_test(sums)}
    rows = [row["losses"] for row in differences if row["losses"]]
    for found, adjusted in zip(rows, holm([found["p"] for found in rows]), strict=True):
        found["p_adjusted"] = adjusted
        found["outcome"] = _outcome({"p_adjusted": adjusted, "measures": {"loss": _turned(found)}}, "loss")


def _turned(found: Mapping) -> dict:
    """Give a difference of losses, of which less is better, as one of which more is better."""
    low, high = found["interval"] or (None, None)
    return {"difference": -found["difference"], "interval": None if low is None else [-high, -low]}


def _class(
    pictures: SharedPictures, one_label: bool, name: str, truth: np.ndarray, first: np.ndarray, second: np.ndarray
) -> dict | None:
    """Compare two runs on the pictures of a class, or, where a picture has any number of labels, on one of these.

    Args:
        truth: whether a picture is of the class, `(images,)`; `first` and `second`: whether a run says so.

    Returns:
        None for a class without pictures.
    """
    chosen = truth if one_label else np.ones(len(pictures), bool)
    if not truth.any():
        return None
    right = [(first == truth) & chosen, (second == truth) & chosen]
    cells = [int(part.sum()) for part in (right[0] & right[1], right[0] & ~right[1], right[1] & ~right[0])]
    weights = np.where(chosen, pictures.weights, 0)
    shares = [float(weights[those].sum() / weights.sum()) for those in right]
    interval = newcombe(*cells, int(chosen.sum()) - sum(cells)) if pictures.is_plain else None
    return {
        "name": name,
        "images": int(truth.sum()),
        "shares": shares,
        "difference": shares[1] - shares[0],
        "interval": interval and list(interval),
        "only_baseline_right": cells[1],
        "only_run_right": cells[2],
        "p": sign_flip_test(_sums(pictures, right[1].astype(float) - right[0])),
    }


def _described(run: Finished, name: str, pictures: SharedPictures, index: int, known: Mapping) -> dict:
    """Describe a run: what it is, and its own numbers on the pictures."""
    result, model = run.result, run.result.get("model") or {}
    return {
        "name": name,
        "kind": run.kind,
        "folder": str(run.folder),
        "model": model.get("name"),
        "parameters": model.get("parameters"),
        "strategy": (result.get("strategy") or {}).get("name"),
        "seed": result.get("seed"),
        "trained_on": len(run.parts.get("train", ())) if run.kind == "run" else None,
        "seconds": (result.get("seconds") or {}).get("total"),
        "measures": _own_measures(run, pictures, index, known),
    }


def _own_measures(run: Finished, pictures: SharedPictures, index: int, known: Mapping) -> dict:
    """Give a run's measures on the pictures, with the intervals of its own result where that has the same numbers."""
    pair = Pair(pictures.truth, pictures.guesses[index], pictures.guesses[index], pictures.groups, pictures.weights)
    scores = run.result["metrics"].get(pictures.part if run.kind == "run" else run.result.get("part")) or {}
    found = {}
    for name, measure in known.items():
        value, interval = pair.values(measure)[0], None
        if abs(value - (scores.get(name) or -1)) < 1e-6:
            interval = scores.get(f"{name}_interval")
        elif name == "accuracy" and not pictures.is_weighted:
            interval = list(wilson(round(value * len(pictures)), len(pictures)))
        found[name] = {"value": value, "interval": interval}
    return found


def _settings(runs: Sequence[Finished], names: Sequence[str]) -> dict[str, dict]:
    """List the settings in which the runs differ, and each one's value; nothing where one has no recipe."""
    recipes = [_flat(run.recipe) for run in runs]
    if not all(recipes):
        return {}
    keys = [key for key in dict.fromkeys(key for recipe in recipes for key in recipe) if key not in PLACES]
    values = {key: [recipe.get(key) for recipe in recipes] for key in keys}
    return {key: dict(zip(names, each, strict=True)) for key, each in values.items() if any(a != b for a, b in pairwise(each))}


def _flat(recipe: Mapping) -> dict:
    """Write settings that have settings of their own, such as a tuned head, as "tuned.units"."""
    found: dict = {}
    for key, value in recipe.items():
        found |= {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
    return found


def _repeats(runs: Sequence[Finished], names: Sequence[str]) -> list[dict]:
    """Compare the means over repeats of the runs, where all have repeats of one kind with the same seeds."""
    found = [run.result.get("repeats") for run in runs]
    if not all(isinstance(one, dict) and {"what", "part", "scores", "mean"} <= one.keys() for one in found):
        return []
    if len({(one["what"], one["part"], *(row["seed"] for row in one["scores"])) for one in found}) > 1:
        return []
    rows = []
    for name, one in zip(names[1:], found[1:], strict=True):
        measures = {}
        for key in one["mean"]:
            each = [b[key] - a[key] for a, b in zip(found[0]["scores"], one["scores"], strict=True)]
            mean, low, high = mean_interval(each)
            measures[key] = {"values": [found[0]["mean"][key], one["mean"][key]], "difference": mean, "interval": [low, high]}
        rows.append({"run": name, "baseline": names[0], "what": one["what"], "part": one["part"], "measures": measures})
    return rows
