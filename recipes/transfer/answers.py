"""What the trained network says of pictures, and the features that it says it by, in one pass.

Where nothing before the last phase's cut was trained, what lies before it is in the cache, and is not computed again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

import zoo
from recipes.compute import engines
from recipes.data.dataset import Dataset
from recipes.data.views import CENTER
from recipes.runs.reference import MAX_PICTURES, MAX_UNSEEN, balanced
from recipes.transfer import features
from recipes.transfer.features import Cut, center_features, vector_cut
from recipes.transfer.state import Prepared
from recipes.transfer.strategies import Strategy
from zoo.progress import Progress

# Pictures whose features are in memory at once.
CHUNK = 4_096

# From indices of pictures to their features `(images, features)` and probabilities `(images, classes)`.
Answerer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Answers:
    """Probabilities `(images, classes)`, and of some of the pictures the features at "pre_logits", `(kept, features)`."""

    probabilities: np.ndarray
    features: np.ndarray


def answers(prepared: Prepared, strategy: Strategy, images: np.ndarray, kept: np.ndarray) -> Answers:
    """Predict pictures, as evaluation sees them.

    Args:
        images: indices of pictures.
        kept: places in `images` of those whose features are wanted, in rising order.
    """
    if not (strategy.phases and strategy.phases[-1].augment):
        return _gathered(_from_rows(prepared, strategy), images, kept)
    with Progress("evaluation", len(images), "images") as progress:
        return _gathered(_from_images(prepared, progress), images, kept)


def _gathered(answer: Answerer, images: np.ndarray, kept: np.ndarray) -> Answers:
    """Ask about one chunk of the pictures after the other, and keep what is wanted."""
    guesses, rows = [], []
    for start in range(0, len(images), CHUNK):
        vectors, guess = answer(images[start : start + CHUNK])
        guesses.append(guess)
        rows.append(vectors[kept[(kept >= start) & (kept < start + CHUNK)] - start])
    return Answers(np.concatenate(guesses), np.concatenate(rows))


def _from_images(prepared: Prepared, progress: Progress) -> Answerer:
    """Answer by passing pictures through the whole network."""
    model, data, recipe = prepared.model, prepared.data, prepared.recipe
    both = keras.Model(model.input, [vector_cut(model, "pre_logits").output(model), model.output])
    engine = engines.plain(both, recipe.batch_size)

    def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, guess = features.forward(engine, data, [(i, CENTER) for i in images], progress)
        return vectors, guess

    return answer


def _from_rows(prepared: Prepared, strategy: Strategy) -> Answerer:
    """Answer by what is kept at the place up to which the network is frozen."""
    model, data, batch_size = prepared.model, prepared.data, prepared.recipe.batch_size
    stage = strategy.freeze_until
    cut = prepared.head_cut if stage == "pre_logits" else Cut(stage)
    kept = center_features(model, cut, data, batch_size, prepared.recipe.engine)
    body, head = zoo.split(model, "pre_logits")
    middle = None if stage == "pre_logits" else zoo.split(body, stage)[1]

    def parts(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # Called, not `predict`, which would be traced anew for every repeat.
        for start in range(0, len(rows), batch_size):
            found = rows[start : start + batch_size]
            found = found if middle is None else middle(found, training=False)
            vectors, guess = map(keras.ops.convert_to_numpy, (found, head(found, training=False)))
            yield (vectors if vectors.ndim == 2 else vectors.mean(axis=tuple(range(1, vectors.ndim - 1)))), guess

    def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, guesses = zip(*parts(kept.take(images)), strict=True)
        return np.concatenate(vectors), np.concatenate(guesses)

    return answer


def referred(data: Dataset) -> np.ndarray:
    """Choose pictures whose features are kept, their indices in order: of each part so many, of copies one.

    Of a class that has more than its share of the training pictures as many are drawn as of any other such class.
    """
    train = data.part("train")
    train = train[np.sort(np.unique([data.digests[i] for i in train], return_index=True)[1])]
    chosen = [train[balanced(np.array(data.task.strata(data.labels[train])), MAX_PICTURES)]]
    for part in (data.part(name) for name in ("validation", "test")):
        chosen.append(np.random.default_rng(0).permutation(part)[:MAX_UNSEEN])
    return np.sort(np.concatenate(chosen))
