"""What a classifier says of pictures in files, one after the other: any number of them takes the memory of a few."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recipes.data.decoding import quiet_threads
from recipes.data.images import Framing, center, read
from recipes.errors import ImageError
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.runs.assurance import Assurance, FeatureSample
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
        set: the classes of which one is right as often as was asked; None if nobody asked.
        is_unknown: whether the picture is like none of the training; None where the run cannot tell, or nobody asked.
        error: why nothing could be said, in words that follow the path; "" without one.
    """

    path: str
    prediction: str | None = None
    probability: float | None = None
    ranked: tuple[tuple[str, float], ...] = ()
    probabilities: tuple[float, ...] = ()
    note: str = ""
    error: str = ""
    set: tuple[str, ...] | None = None
    is_unknown: bool | None = None


def answers(assurance: Assurance, paths: Iterable[str], top: int, sample: FeatureSample) -> Iterator[Answer]:
    """Answer for each picture, in the order of the paths; for one that cannot be read, with the reason.

    Args:
        assurance: of the classifier that answers: what is said beside its probabilities.
        top: how many classes to rank.
        sample: gets features of the pictures, where the assurance needs any.
    """
    classifier = assurance.classifier
    with quiet_threads() as pool:
        decoded = ahead(pool, lambda path: (path, _read(path, classifier.framing)), paths, AHEAD * BATCH_SIZE)
        while batch := list(itertools.islice(decoded, BATCH_SIZE)):
            good = [found for _, found in batch if not isinstance(found, ImageError)]
            told = _told(assurance, np.stack([pixels for pixels, _ in good]), sample) if good else iter(())
            for path, found in batch:
                if isinstance(found, ImageError):
                    yield Answer(path, error=str(found))
                else:
                    guess, chosen, is_unknown = next(told)
                    answer = worded(classifier, path, guess, top, found[1])
                    yield replace(answer, set=chosen, is_unknown=is_unknown)


def _told(assurance: Assurance, pixels: np.ndarray, sample: FeatureSample) -> Iterator[tuple]:
    """Give of each picture probabilities, its set of classes, and whether it is unknown, in one pass through the network."""
    classes, unknown = assurance.classifier.classes, None
    if assurance.needs_features:
        features, guesses = assurance.classifier.answers(pixels)
        sample.add(features)
        unknown = assurance.unknown(features)
    else:
        guesses = assurance.classifier.probabilities(pixels)
    sets = assurance.sets(guesses)
    for i, guess in enumerate(guesses):
        order = np.argsort(-guess, kind="stable")
        chosen = None if sets is None else tuple(classes[label] for label in order if sets[i, label])
        yield guess, chosen, None if unknown is None else bool(unknown[i])


def worded(classifier: Classifier, path: str, guess: np.ndarray, top: int, notes: Sequence[str]) -> Answer:
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


def ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable, count: int) -> Iterator:
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
