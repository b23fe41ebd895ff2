"""The desk of a person who labels: which picture comes next, what is written down, and a head that learns on meanwhile."""

import itertools
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from recipes.data.sources.corrections import KEEP, LEAVE_OUT, RELABEL
from recipes.data.sources.corrections_file import NOTHING, CorrectionsFile, Wish
from recipes.errors import shown
from recipes.evaluation.tasks import LABEL_SEPARATOR, Task
from recipes.runs.reference import Reference
from recipes.transfer.acquisition import least_sure, margins, quick_head
from recipes.transfer.pool import Pool
from recipes.web.refusals import Refusal

# The head is solved again when so many labels have come.
LEARNT_AT_ONCE = 20
# Pictures that the page is told of at once.
AHEAD = 6
# A rate is told when labels have come for so long.
MIN_MINUTES = 0.25
# Classes of a picture that the page is told of, the likeliest first.
MAX_RANKED = 50


@dataclass(frozen=True)
class Order:
    """What is thought of all pictures: probabilities `(pictures, classes)`, how they follow, and after how many labels."""

    probabilities: np.ndarray
    ranked: list[int]
    labels: int


class Desk:
    """Pictures of a pool, the labels that a person gives, and the table into which they go. Threads may share one.

    Args:
        known: what the run has learnt from; without it the run's answers alone order the pictures.
    """

    def __init__(self, pool: Pool, classes: Sequence[str], task: Task, known: Reference | None, table: CorrectionsFile):
        self.pool, self.classes, self.task = pool, tuple(classes), task
        self._known, self._table = known, table
        self._places = {file.path: i for i, file in enumerate(pool.files)}
        self._skipped: dict[int, None] = {}
        self._order, self._lock = self._ranked(pool.probabilities, 0), threading.Lock()
        self._learner, self._is_learning = ThreadPoolExecutor(1, "learner"), False
        self._begun: float | None = None
        self._count = 0  # labels of this session
        self.learn()

    def close(self) -> None:
        """End the thread that learns."""
        self._learner.shutdown(cancel_futures=True)

    # ------------------------------------------------------------------------------------------------- what is shown
    def progress(self) -> dict:
        """Count pictures and labels, as values for JSON; `rate` is labels a minute of this session."""
        done = len(self._table.wishes.keys() & self._places.keys())
        minutes = (time.monotonic() - self._begun) / 60 if self._begun else 0
        rate = round(self._count / minutes) if minutes > MIN_MINUTES else None
        return {"done": done, "pictures": len(self.pool.files), "rate": rate, "learnt": self._order.labels}

    def next(self) -> list[dict]:
        """List the pictures that come next: without labels before those with, the least sure first, what was skipped last."""
        waiting = itertools.chain((i for i in self._order.ranked if i not in self._skipped), list(self._skipped))
        left = (i for i in waiting if self._wish_of(i) == NOTHING)
        return [self.picture(i) for i in itertools.islice(left, AHEAD)]

    def _ranked(self, probabilities: np.ndarray, labels: int) -> Order:
        """Order all pictures by what is thought of them."""
        left = np.array([self._wish_of(i) == NOTHING for i in range(len(self.pool.files))])
        has_label = np.array([bool(file.label) for file in self.pool.files])
        sure, ranked = self._sure(probabilities), []
        for some in (np.flatnonzero(left & ~has_label), np.flatnonzero(left & has_label), np.flatnonzero(~left)):
            ranked += some[least_sure(sure[some], self.pool.features[some], LEARNT_AT_ONCE)].tolist()
        return Order(probabilities, ranked, labels)

    def _wish_of(self, number: int) -> Wish:
        """Find what is wanted of a picture."""
        return self._table.wish(self.pool.files[number].path)

    def _sure(self, probabilities: np.ndarray) -> np.ndarray:
        """Say how sure it is of each picture's answer; of one with a label, of this label: below 0 where it speaks against."""
        sure = margins(self.task, probabilities)
        for i, guess in enumerate(probabilities):
            label = self._given(i)
            if label and self.task.one_label and label[0] in self.classes:
                number = self.classes.index(label[0])
                sure[i] = guess[number] - np.delete(guess, number).max()
            elif label and not self.task.one_label:
                truth = np.isin(self.classes, label)
                sure[i] = np.where(truth, 2 * guess - 1, 1 - 2 * guess).min()
        return sure

    def picture(self, number: int) -> dict:
        """Say what is known of a picture, as values for JSON."""
        guess, wish = self._order.probabilities[number], self._wish_of(number)
        ranked = np.argsort(-guess, kind="stable")[:MAX_RANKED]
        return {
            "picture": number,
            "path": shown(self.pool.files[number].path),
            "given": list(self._given(number)),
            "ranked": [{"class": self.classes[i], "probability": float(guess[i])} for i in ranked],
            **self._said(number, wish),
        }

    def _given(self, number: int) -> tuple[str, ...]:
        """List the labels that a picture has from where it comes."""
        label = self.pool.files[number].label
        return (label,) if isinstance(label, str) else tuple(label)

    def _said(self, number: int, wish: Wish) -> dict:
        """Write what a person wants of a picture as the page says it."""
        action, to = wish
        if action == KEEP:
            return {"action": "label", "labels": list(self._given(number))}
        labels = [to] if self.task.one_label and to else [name.strip() for name in to.split(LABEL_SEPARATOR) if name.strip()]
        return {"action": {RELABEL: "label", LEAVE_OUT: "leave out"}.get(action, ""), "labels": labels}

    # ---------------------------------------------------------------------------------------------- what is written
    def put(self, number: int, action: str, labels: Sequence[str]) -> dict:
        """Write down what a person wants of a picture, and return what was wanted before, with what comes next.

        Args:
            action: "label", "leave out", "skip", or "" to take back what was said.

        Raises:
            Refusal: there is no such picture or class.
            UserError: another program has changed the table.
            WriteError: the table cannot be written.
        """
        if not 0 <= number < len(self.pool.files):
            raise Refusal(404, f"There is no picture {number}: they are numbered from 0 to {len(self.pool.files) - 1}.")
        before = self._said(number, self._wish_of(number))
        if action == "skip":
            self._skipped.pop(number, None)
            self._skipped[number] = None
        else:
            path = self.pool.files[number].path
            before = self._said(number, self._table.set(path, self._wish(number, action, labels), self._reason(number)))
            self._skipped.pop(number, None)
            self._counted(bool(action) - bool(before["action"]))
        return {"was": before, "progress": self.progress(), "next": self.next()}

    def _wish(self, number: int, action: str, labels: Sequence[str]) -> Wish:
        """Turn what the page says into what the table holds. Raises Refusal."""
        if action != "label":
            return (LEAVE_OUT, "") if action == "leave out" else NOTHING
        if labels and set(labels) == set(self._given(number)):
            return KEEP, ""
        if unknown := [name for name in labels if name not in self.classes]:
            raise Refusal(422, f"{shown(unknown[0])} is no class of the run: leave the picture out if it is none of them.")
        if self.task.one_label and len(labels) != 1:
            raise Refusal(422, f"A picture of this run is of one class, found {len(labels)}: give one.")
        return RELABEL, LABEL_SEPARATOR.join(name for name in self.classes if name in labels)

    def _reason(self, number: int) -> str:
        """Write for who reads the table what was thought of a picture."""
        guess = self._order.probabilities[number]
        return f"a person said so; it looked like {self.classes[int(guess.argmax())]} ({guess.max():.2f})"

    def _counted(self, labels: int) -> None:
        """Count a label that has come, or gone, and learn on where enough have."""
        with self._lock:
            self._begun = self._begun or time.monotonic()
            self._count += labels
        self.learn()

    # ---------------------------------------------------------------------------------------------- what is learnt
    def learn(self) -> None:
        """Solve the head again in the background, where enough labels have come and none is being solved."""
        with self._lock:
            new = len(self._labels()) - self._order.labels
            if self._known is None or self._is_learning or abs(new) < LEARNT_AT_ONCE:
                return
            self._is_learning = True
        self._learner.submit(self._learn)

    def _learn(self) -> None:
        """Solve the head on what the run has learnt from and on what was labelled since."""
        try:
            labels = self._labels()
            said = {self.pool.digests[i] for i in labels}
            old = np.array([digest not in said for digest in self._known.digests], bool)
            features = np.concatenate([self._known.features[old], self.pool.features[list(labels)]])
            names = list(labels.values()) if not self.task.one_label else [one for (one,) in labels.values()]
            new = self.task.encode(names, self.classes)
            everything = np.concatenate([self._known.labels[old], new])
            head = quick_head(features, everything, len(self.classes), self.task)
            self._order = self._ranked(head.probabilities(self.pool.features), len(labels))
        except Exception as error:  # labels are saved all the same, and the order stays
            print(f"warning: the order has not learnt from the labels ({type(error).__name__}: {error}).", file=sys.stderr)
        finally:
            self._is_learning = False

    def _labels(self) -> dict[int, tuple[str, ...]]:
        """Collect the labels that a person has given or confirmed, by picture; all of them are the run's classes."""
        found = {}
        for path, wish in self._table.wishes.items():
            number = self._places.get(path)
            if number is None or wish[0] == LEAVE_OUT:
                continue
            names = tuple(self._said(number, wish)["labels"])
            if set(names) <= set(self.classes) and (not self.task.one_label or len(names) == 1):
                found[number] = names
        return found
