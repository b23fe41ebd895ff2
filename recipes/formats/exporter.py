"""Writes a network in a form, looks at what was written, and keeps it if that answers as the network does."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recipes.compute.machine import machine
from recipes.compute.runtime import silenced
from recipes.console import percent, say
from recipes.data.sources.own import IGNORED
from recipes.errors import UserError, shown, some
from recipes.formats import agreement, unknown
from recipes.formats.agreement import LIMITS, Agreement, Answers
from recipes.formats.facts import facts
from recipes.formats.form import Form, Job, Page
from recipes.formats.network import SCORE, Network
from recipes.formats.pictures import Picture
from recipes.runs.model_file import Classifier
from recipes.settings.export import QUANTIZED, Exporting
from zoo.files import replace_folder, write_json

SCHEMA = 1
NAME, CLASSES, FRAMING = "export.json", "classes.json", "framing.json"
MAX_REASON = 300


@dataclass(frozen=True)
class Shown:
    """Pictures to look at exported networks with.

    `compared` are those that probabilities are compared on, from where `source` says in words. For int8 `held_out` have labels,
    by which the accuracy is measured, and `calibration` are training pictures `(batch, size, size, channels)`; else both are
    empty.
    """

    compared: Sequence[Picture]
    source: str
    calibration: np.ndarray
    held_out: Sequence[Picture] = ()


def place(settings: Exporting, form: Form) -> Path:
    """Name the folder of a form."""
    parts = [form.name, *[settings.precision] * (settings.precision != "float32")]
    return settings.folder / "-".join(parts + ["any-size"] * form.resizes_inside(settings.any_size))


def check_place(settings: Exporting, form: Form) -> None:
    """Refuse, with a UserError, to replace what no export wrote, such as a program of the user's beside a network."""
    folder = place(settings, form)
    own = {NAME, CLASSES, FRAMING, form.file, *form.beside, *IGNORED}
    try:
        foreign = sorted(set(os.listdir(folder)) - own)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be replaced ({error.strerror}): move it, or give another --output.") from error
    if foreign:
        raise UserError(
            f"{shown(folder)} holds what no export wrote ({some(foreign, 2)}), and would be replaced: move that, or give "
            "another --output."
        )


class Exporter:
    """Writes one run's network in one form after the other."""

    def __init__(self, settings: Exporting, classifier: Classifier, shown_to: Shown, page: Page | None = None):
        self.settings, self.classifier, self.shown, self.page = settings, classifier, shown_to, page
        self.known, unknown_is = unknown.known(settings.run, classifier)
        self.network = Network(classifier.model, classifier.framing, known=self.known)
        self.facts = {any_size: facts(settings.run, classifier, any_size, self.known, unknown_is) for any_size in (False, True)}
        self.judged = shown_to.held_out or shown_to.compared
        self.before = self._answers()
        self._keras_seconds()  # the first call is traced

    def write(self, form: Form) -> dict:
        """Write one form, look at it, and keep it if it holds; gives what was measured.

        Raises:
            UserError: it cannot be written or run, or answers otherwise.
        """
        measured = {}
        any_size = form.resizes_inside(self.settings.any_size)
        folder, told = place(self.settings, form), self.facts[any_size]

        def fill(new: Path) -> None:
            job = Job(self.settings.precision, told, self.shown.calibration, self.page)
            try:
                with silenced():
                    form.write(replace(self.network, any_size=any_size), new, job)
            except OSError:
                raise
            except Exception as error:  # converters raise almost anything
                reason = " ".join(str(error).split())[:MAX_REASON] or type(error).__name__
                raise UserError(f"The network cannot be written as {form.name}: {shown(reason)}") from error
            measured.update(self._measured(form, new))
            write_json(new / CLASSES, told["classes"])
            write_json(new / FRAMING, told["framing"])
            write_json(new / NAME, {"schema": SCHEMA, "recipe": "export"} | measured | {"facts": told})

        say(f"{form.name}: being written, and run on {len(self.judged):,} pictures.")
        replace_folder(folder, fill)
        say(f"{shown(folder / form.file)}: {measured['says']}")
        return measured

    def _measured(self, form: Form, folder: Path) -> dict:
        """Look at a form that was written. Raises UserError if it answers otherwise than Keras."""
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        any_size = form.resizes_inside(self.settings.any_size)
        given = [one.given if any_size else one.framed for one in self.judged]
        answers = agreement.ask(form.name, folder / form.file, given, self._keras_seconds)
        is_quantized = self.settings.precision in QUANTIZED
        found = {
            "form": form.name,
            "file": form.file,
            "precision": self.settings.precision,
            "bytes": size,
            "compared_on": "held-out pictures of the run" if is_quantized else self.shown.source,
            "seconds": answers.seconds,
            "keras_seconds": answers.keras_seconds,
            "timed_on": list(given[0].shape),
            "machine": machine(),
        }
        return found | (self._accuracy(form, answers) if is_quantized else self._agreement(form, answers))

    def _answers(self) -> tuple[np.ndarray, np.ndarray]:
        """Have Keras answer: probabilities, and scores `(pictures,)` of how foreign each is, none without `known`."""
        framed = np.stack([one.framed for one in self.judged])
        if self.known is None:
            return self.classifier.probabilities(framed), np.zeros(0)
        features, guess = self.classifier.answers(framed)
        return guess, self.known.scores(features)

    def _keras_seconds(self) -> float:
        """Time Keras' `predict_on_batch`, compiled, on one picture."""
        pixels = self.judged[0].framed[None]
        start = time.perf_counter()
        self.classifier.model.predict_on_batch(pixels)
        return time.perf_counter() - start

    def _agreement(self, form: Form, answers: Answers) -> dict:
        """Compare the answers. Raises UserError if they differ."""
        any_size, precision = form.resizes_inside(self.settings.any_size), self.settings.precision
        kind = "any_size" if any_size and precision == "float32" else precision
        guess, scores = self.before
        compared = [agreement.compare(self.classifier.task, guess, answers.probabilities, LIMITS[kind])]
        says = _said(compared[0], self.shown.source)
        if self.known:
            told = agreement.compare_scores(self.known.threshold, scores, answers.scores, LIMITS[kind])
            compared.append(told)
            says += f"; {SCORE} differs by {told.difference:.2g}, and {told.same:,} of {told.clear:,} clear verdicts agree"
        if not all(found.holds for found in compared):
            raise UserError(f"The network as {form.name} does not answer as Keras does, and is not kept: {says}.")
        return {name: one.as_dict() for name, one in zip(("agreement", SCORE), compared, strict=False)} | {"says": f"{says}."}

    def _accuracy(self, form: Form, answers: Answers) -> dict:
        """Compare the accuracy on held-out pictures. Raises UserError if too much is lost."""
        task, classes, (guess, scores) = self.classifier.task, self.classifier.classes, self.before
        if answers.probabilities.shape != guess.shape or not np.isfinite(answers.probabilities).all():
            raise UserError(f"The network as {form.name} answers what are no probabilities, and is not kept.")
        before = agreement.accuracy(task, classes, self.judged, guess)
        after = agreement.accuracy(task, classes, self.judged, answers.probabilities)
        lost, says = before.accuracy - after.accuracy, f"{self.settings.precision} {after}, float32 {before}"
        if not lost <= self.settings.loss + 1e-9:
            raise UserError(
                f"The network as {form.name} loses {percent(lost)} of accuracy, more than --loss {self.settings.loss:g}, and "
                f"is not kept: {says}. Give a higher --loss, or --precision float16."
            )
        found = {"float32": before.as_dict(), "accuracy": after.as_dict()}
        if self.known:
            refused = {"float32": scores, "accuracy": answers.scores}
            found[SCORE] = {name: float((each > self.known.threshold).mean()) for name, each in refused.items()}
            after_share, before_share = (percent(found[SCORE][name]) for name in ("accuracy", "float32"))
            says += f"; unknown are {after_share} of them, and {before_share} by float32"
        return found | {"says": f"{says}."}


def _said(found: Agreement, source: str) -> str:
    """Say how two networks agree."""
    return (
        f"on {found.pictures:,} {source} probabilities differ by {found.difference:.2g} at most (limit {found.limit:g}), and "
        f"{found.same:,} of {found.clear:,} clear answers are the same"
    )
