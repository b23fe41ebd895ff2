"""A finished run that is served: what it is called, what it can tell, and what it says of a batch of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.errors import UserError
from recipes.report.explained import figure
from recipes.runs import model_file, reference
from recipes.runs.answers import Answer, worded
from recipes.runs.assurance import Assurance, assurance
from recipes.runs.model_file import Classifier
from recipes.transfer.explanations import Explanations, Picture
from recipes.transfer.grad_cam import GradCam
from recipes.web.waiting import SIZES


@dataclass(frozen=True)
class Told:
    """What a network says of a picture: probabilities `(classes,)`, and whether it is like none of the training."""

    probabilities: np.ndarray
    is_unknown: bool | None


@dataclass(frozen=True)
class Served:
    """A run by the name that clients know; `explanations` are None where its network knows no places in a picture."""

    name: str
    classifier: Classifier
    assurance: Assurance
    explanations: Explanations | None
    notes: tuple[str, ...]

    @property
    def has_sets(self) -> bool:
        """Whether it can give sets of classes that hold the right one as often as asked."""
        sure = self.classifier.confidence
        return bool(sure and sure.count)

    @property
    def tells_unknown(self) -> bool:
        """Whether it can tell that a picture is like none of the training."""
        known = self.assurance.known
        return known is not None and self.assurance.unknown(known.features[:1]) is not None

    def as_dict(self) -> dict:
        """Write what a client must know of it, as values for JSON."""
        return {
            "name": self.name,
            "classes": list(self.classifier.classes),
            "one_label": self.classifier.task.one_label,
            "sets": self.has_sets,
            "unknown": self.tells_unknown,
            "explains": self.explanations is not None,
            "nearest": self.assurance.known is not None,
            "input_pixels": self.classifier.framing.size,
            "notes": list(self.notes),
        }

    def told(self, pixels: np.ndarray) -> list[Told]:
        """Answer for pictures `(batch, height, width, channels)`, in one pass."""
        if not self.assurance.needs_features:
            return [Told(guess, None) for guess in self.classifier.batch_probabilities(pixels)]
        features, guesses = self.classifier.batch_answers(pixels)
        unknown = self.assurance.unknown(features)
        return [Told(guess, None if unknown is None else bool(unknown[i])) for i, guess in enumerate(guesses)]

    def answer(self, name: str, told: Told, notes: Sequence[str], top: int) -> Answer:
        """Put what was told of a picture into words."""
        return worded(self.classifier, name, told.probabilities, top, notes)

    def set(self, told: Told, coverage: float) -> list[str]:
        """Name the classes of the set that holds the right one as often as asked, the likeliest first."""
        row, task = told.probabilities[None], self.classifier.task
        (inside,) = self.classifier.confidence.sets(task, row, coverage)
        return [self.classifier.classes[i] for i in np.argsort(-row[0], kind="stable") if inside[i]]

    def explained(self, picture: Picture) -> dict:
        """Explain a picture: a heat map over it, what hiding its hottest part says, and the nearest training pictures."""
        drawn = figure(self.explanations.of([picture])[0])
        (heat,) = drawn["maps"]
        nearest = [
            {"file": Path(one["path"]).name, "label": one["label"], "picture": one["thumbnail"]} for one in drawn["neighbors"]
        ]
        return {
            "class": heat["name"],
            "map": heat["thumbnail"],
            "words": heat["words"],
            "check": drawn["check"],
            "nearest": nearest,
        }

    def warm(self) -> None:
        """Have the framework compile what answers will need, so that no client waits for that."""
        framing = self.classifier.framing
        shape = framing.size, framing.size, framing.channels
        noise = np.random.default_rng(0).integers(0, 256, (SIZES[-1], *shape)).astype("uint8")
        for size in SIZES:
            self.told(noise[:size])
        if self.explanations:
            self.explained(Picture(Path("noise"), "", noise[0]))


def read(folders: Sequence[Path]) -> list[Served]:
    """Read finished runs, each under a name of its own.

    Raises:
        UserError: one cannot be read.
    """
    found: list[Served] = []
    for folder in folders:
        classifier = model_file.read(folder)
        sure, notes = assurance(folder, classifier, None, None)
        name = _name(folder, {one.name for one in found})
        # What is told of a run to who starts the server names its folder, and a client is told its name alone.
        notes = tuple(note.replace(str(folder), name) for note in notes)
        found.append(Served(name, classifier, sure, _explanations(folder, classifier, sure), notes))
    return found


def _explanations(folder: Path, classifier: Classifier, sure: Assurance) -> Explanations | None:
    """Prepare what explains answers; None for a network that knows no places."""
    try:
        return Explanations(classifier, GradCam(classifier.model), None, sure.known, reference.root(folder))
    except (UserError, ValueError):
        return None


def _name(folder: Path, taken: set[str]) -> str:
    """Name a run as its folder; a search's best one as the search; another of the same name with a number."""
    place = folder.resolve()
    name = (place.parent.name if place.name == "best" else place.name) or "root"
    choices = (f"{name}{f'-{number}' if number > 1 else ''}" for number in range(1, len(taken) + 2))
    return next(choice for choice in choices if choice not in taken)
