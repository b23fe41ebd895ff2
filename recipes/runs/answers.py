"""What a classifier says of pictures in files, one after the other: any number of them takes the memory of a few."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.data.decoding import quiet_threads
from recipes.data.images import Framing, center, read
from recipes.errors import ImageError
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.runs.model_file import Classifier

BATCH_SIZE = 64
# Batches that are decoded while the network computes.
AHEAD = 2


@dataclass(frozen=True)
class Answer:
    """What is said of one picture.

    Args:
        path: as it was given, or found.
        prediction: the class; of a run with any number of labels those over one half, separated by ";"; None with an error.
        probability: of the prediction, as in a run's files.csv.
        ranked: (class, probability), the likeliest first, as many as were asked for.
        probabilities: of every class, in the order of the run's.
        note: on the picture's content; "" if there is nothing to know.
        error: why nothing could be said, in words that follow the path; "" without one.
    """

    path: str
    prediction: str | None = None
    probability: float | None = None
    ranked: tuple[tuple[str, float], ...] = ()
    probabilities: tuple[float, ...] = ()
    note: str = ""
    error: str = ""


def answers(classifier: Classifier, paths: Iterable[str], top: int) -> Iterator[Answer]:
    """Answer for each picture, in the order of the paths; for one that cannot be read, with the reason.

    Args:
        top: how many classes to rank.
    """
    with quiet_threads() as pool:
        decoded = _ahead(pool, lambda path: (path, _read(path, classifier.framing)), paths, AHEAD * BATCH_SIZE)
        while batch := list(itertools.islice(decoded, BATCH_SIZE)):
            good = [found for _, found in batch if not isinstance(found, ImageError)]
            guesses = iter(classifier.probabilities(np.stack([pixels for pixels, _ in good])) if good else ())
            for path, found in batch:
                if isinstance(found, ImageError):
                    yield Answer(path, error=str(found))
                else:
                    yield _answer(classifier, path, next(guesses), top, found[1])


def _answer(classifier: Classifier, path: str, guess: np.ndarray, top: int, notes: Sequence[str]) -> Answer:
    """Put into words what probabilities `(classes,)` say of a picture."""
    classes, task = classifier.classes, classifier.task
    return Answer(
        path,
        LABEL_SEPARATOR.join(classes[i] for i in np.flatnonzero(task.predicted(guess))),
        task.confidence(guess),
        tuple((classes[i], float(guess[i])) for i in np.argsort(-guess, kind="stable")[:top]),
        tuple(guess.tolist()),
        "; ".join(notes),
    )


def _read(path: str, framing: Framing) -> tuple[np.ndarray, list[str]] | ImageError:
    """Read a picture `(size, size, channels)` and the notes on it, or say why it cannot be."""
    try:
        pixels, notes = read(Path(path), framing)
    except ImageError as error:
        return error
    return center(pixels, framing), notes


def _ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable, count: int) -> Iterator:
    """Map in order, so many items ahead of who takes the results, and no more."""
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
