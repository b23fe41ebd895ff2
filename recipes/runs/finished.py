"""Finished runs, evaluations and searches, read and checked: their numbers, and what they said of each picture."""

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recipes.data.images import Framing, read_bytes, whole
from recipes.data.sources.archive import is_archive, unpacked, without_wrappers
from recipes.errors import ImageError, UserError, shown, some
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.runs.folder import recover
from recipes.settings.sources import is_tfds
from recipes.settings.values import read_object
from zoo.files import from_cell

# By the word that result.json has for what wrote it.
PREDICTED = {"finetune": "run", "evaluate": "evaluation"}
SEARCHED = {"tune": "search", "tune_hypermodel": "search"}
COLUMNS = ("path", "split", "label", "prediction", "probability", "sha256")
# What a result may lack, and what each is where it has it.
SHAPES = dict.fromkeys(("model", "seconds", "strategy", "settings", "objective", "identity", "repeats", "input"), dict)
SHAPES |= {"measures": list}
# The part of an evaluation whose table names none: all of its pictures.
EVALUATED = "evaluated"


@dataclass(frozen=True)
class Answer:
    """A picture that was used, and what a model said of it; `loss` is its log-loss, None in tables that have none."""

    path: str
    split: str
    label: str
    prediction: str
    probability: float
    group: str
    weight: float
    digest: str
    loss: float | None = None


@dataclass(frozen=True)
class Finished:
    """A finished run, or a saved run's evaluation on some pictures.

    Args:
        result: values of its result.json.
        recipe: values of its recipe.json; none if it has none.
    """

    folder: Path
    result: dict
    recipe: dict
    answers: tuple[Answer, ...]

    @property
    def kind(self) -> str:
        """What wrote it: "run" or "evaluation"."""
        return PREDICTED[self.result["recipe"]]

    @cached_property
    def parts(self) -> dict[str, list[Answer]]:
        """The answers of each part, by its name."""
        found: dict[str, list[Answer]] = {}
        for answer in self.answers:
            found.setdefault(answer.split, []).append(answer)
        return found

    @property
    def one_label(self) -> bool:
        """Whether a picture is of one class, and not of any number of them."""
        return all("mean_average_precision" not in scores for scores in self.result["metrics"].values())

    def names(self, cell: str) -> tuple[str, ...]:
        """Read the names of classes in a label or a prediction."""
        return (cell,) if self.one_label else tuple(name for name in cell.split(LABEL_SEPARATOR) if name)

    @cached_property
    def root(self) -> Path | None:
        """The folder that the pictures' paths are relative to; None where it is not there, or there is none."""
        data = Path(self.result["data"])
        if is_tfds(data):
            return None
        if is_archive(data):
            try:
                return without_wrappers(unpacked(data))
            except (UserError, OSError):
                return None
        folder = data.parent if data.is_file() else data
        return folder if folder.is_dir() else None

    def pixels(self, answer: Answer) -> np.ndarray | None:
        """Read a whole picture `(height, width, channels)`, uint8; None if another lies in its place, or none."""
        if self.root is None:
            return None
        try:
            data = read_bytes(self.root / answer.path)
            if hashlib.sha256(data).hexdigest() != answer.digest:
                return None
            picture, _ = whole(data, Framing.saved(self.result["input"]))
        except (ImageError, KeyError, TypeError, ValueError):
            return None
        return np.atleast_3d(np.asarray(picture))


@dataclass(frozen=True)
class Searched:
    """A search that has ended, and the run of its winner; None if it keeps none."""

    folder: Path
    result: dict
    best: Finished | None


def read(folder: Path) -> Finished | Searched:
    """Read a folder that `zoo finetune`, `zoo evaluate` or `zoo tune` wrote.

    Raises:
        UserError: it is none, or it is damaged.
    """
    place = recover(folder)
    result = _result(folder, place)
    what = str(result.get("recipe"))
    if what in SEARCHED:
        best = place / "best"
        return Searched(folder, _with(folder, result, "best", "counts"), read_run(best) if best.is_dir() else None)
    if what not in PREDICTED:
        raise UserError(
            f"{shown(folder)} holds the results of `zoo {shown(what)}`, which say nothing of single pictures: give folders "
            "that `zoo finetune`, `zoo evaluate` or `zoo tune` wrote."
        )
    return _finished(folder, place, result)


def read_run(folder: Path) -> Finished:
    """Read the folder of a run. Raises UserError if it is none, or damaged."""
    found = read(folder)
    if isinstance(found, Searched):
        raise UserError(f"{shown(folder)} is a search where a run was expected.")
    return found


def _result(folder: Path, place: Path) -> dict:
    """Read a folder's result.json. Raises UserError."""
    if not place.is_dir():
        raise UserError(f"{shown(folder)} is no folder: give one that `zoo finetune`, `zoo evaluate` or `zoo tune` wrote.")
    try:
        return read_object(place / "result.json")
    except FileNotFoundError:
        inside = sorted(path.parent for path in place.glob("*/result.json"))
        hint = f"did you mean {some(inside, 3)}?" if inside else "`zoo finetune` writes one when it ends."
        raise UserError(f"{shown(folder)} is no finished run: it has no result.json; {hint}") from None
    except (ValueError, OSError) as error:
        raise _damaged(folder, "result.json", error) from error


def _damaged(folder: Path, name: str, reason: object) -> UserError:
    """Make the error of a file that is not as it was written."""
    said = getattr(reason, "strerror", None) or reason
    return UserError(f"{shown(folder / name)} is damaged, or was changed ({shown(said)}): make the run again.")


def _with(folder: Path, result: dict, *names: str) -> dict:
    """See that a result has what is needed of it, each an object of JSON, and the rest in its shape. Raises UserError."""
    for name in names:
        if not isinstance(result.get(name), dict):
            raise _damaged(folder, "result.json", f"it has no {name!r} as they are written today")
    if wrong := [name for name, kind in SHAPES.items() if not isinstance(result.get(name), kind | None)]:
        raise _damaged(folder, "result.json", f"its {wrong[0]!r} is not as it is written today")
    return result


def _is_measure(item: tuple[str, object]) -> bool:
    """Whether a value of a part's metrics is what its name says, as far as it is read here."""
    name, value = item
    if name.endswith("_interval"):
        return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)))
    return name not in ("images", *MEASURES, *LABEL_MEASURES) or value is None or _is_number(value)


def _is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finished(folder: Path, place: Path, result: dict) -> Finished:
    """Read the tables beside a result. Raises UserError."""
    _with(folder, result, "metrics")
    if not all(isinstance(scores, dict) and all(map(_is_measure, scores.items())) for scores in result["metrics"].values()):
        raise _damaged(folder, "result.json", "its 'metrics' are not as they are written today")
    if not isinstance(result.get("data"), str):
        raise _damaged(folder, "result.json", "it does not say of which data it is")
    classes = result.get("classes")
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise _damaged(folder, "result.json", "it has no list of its classes")
    try:
        recipe = read_object(place / "recipe.json")
    except (ValueError, OSError):  # it is for what the runs differ in alone
        recipe = {}
    found = Finished(folder, result, recipe, _answers(folder, place))
    _check_table(found)
    return found


def _answers(folder: Path, place: Path) -> tuple[Answer, ...]:
    """Read files.csv, without files that were left out. Raises UserError."""
    try:
        with open(place / "files.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if lacking := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise ValueError(f"it has no column {some(lacking)}, without which pictures cannot be told apart")
            return tuple(_answer(row) for row in rows if row["probability"])
    except FileNotFoundError:
        raise UserError(
            f"{shown(folder)} has no files.csv, which says what the run answered: it cannot be compared without."
        ) from None
    except (ValueError, TypeError, csv.Error, OSError) as error:
        raise _damaged(folder, "files.csv", error) from error


def _answer(row: dict) -> Answer:
    """Read a row of files.csv. Raises ValueError, or TypeError for a row that was cut off."""
    if not (row["sha256"] and len(row["sha256"]) == 64):
        raise ValueError(f"{row['path']} has no sha256")
    cells = {name: from_cell(row[name]) for name in ("path", "label", "prediction")}
    split, weight = row["split"] or EVALUATED, float(row.get("weight") or 1)
    probability, loss = float(row["probability"]), float(row["loss"]) if row.get("loss") else None
    if loss is not None and not 0 <= loss < math.inf:
        raise ValueError(f"{row['path']} has the loss {loss:g}")
    if not (0 < weight < math.inf and 0 <= probability <= 1):
        raise ValueError(f"{row['path']} has the weight {weight:g} and the probability {probability:g}")
    group, digest = row.get("group") or "", row["sha256"]
    return Answer(**cells, split=split, probability=probability, group=group, weight=weight, digest=digest, loss=loss)


def _check_table(found: Finished) -> None:
    """See that a run's table and its numbers are of one run. Raises UserError."""
    if found.kind != "run":
        return
    for name, scores in found.result["metrics"].items():
        answers = found.parts.get(name, [])
        right = [one.label == one.prediction for one in answers]
        weights, losses = [one.weight for one in answers], [one.loss for one in answers]
        value = np.average(right, weights=weights) if answers else -1
        is_other = scores.get("images") != len(answers) or abs(value - (scores.get("accuracy") or 0)) > 1e-6
        if not is_other and None not in losses and _is_number(scores.get("loss")):
            is_other = abs(np.average(losses, weights=weights) - scores["loss"]) > 1e-5 * max(1, scores["loss"])
        if is_other:
            raise _damaged(found.folder, "files.csv", f"its {name} part gives other numbers than result.json")


def short_names(folders: Sequence[Path]) -> list[str]:
    """Name folders, so that it can be printed, by as few of their last parts as tell them apart.

    Raises:
        UserError: one is given twice.
    """
    places = [folder.resolve() for folder in folders]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise UserError(f"{shown(folders[i])} is given twice: a run cannot be compared with itself.")
    for count in range(1, max(len(place.parts) for place in places) + 1):
        names = [shown("/".join(place.parts[-count:])) for place in places]
        if len(set(names)) == len(names):
            break
    return names
