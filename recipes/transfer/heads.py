"""The heads that a recipe may choose, fitted to features that are already there.

- `linear` is solved: `recipes.transfer.logistic`; once, for it is kept: `recipes.transfer.kept_heads`.
- `cosine` is computed: a class's direction is the mean of its pictures' directions (Qi, Brown, Lowe 2018, "Low-Shot
  Learning with Imprinted Weights", arXiv:1712.07136, section 3.2); its one number, the scale, is cross-validated.
- `dropout` and `hidden` are stepped: Adam, with warm-up and cosine decay; the number of epochs is the best of
  `EPOCH_CHOICES` on a fold of the training part, after which the head is trained anew on all of it.
- one that a search has found is trained as the search trained it: `recipes.transfer.head_trainer`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import keras
import numpy as np

import zoo
from callbacks.learning_rate import warmup_cosine
from callbacks.optimizers import get_optimizer
from recipes.data.batches import Batches
from recipes.evaluation.tasks import MULTI_CLASS, Task
from recipes.settings.tuned import HeadSettings
from recipes.transfer import kept_heads, logistic, training
from recipes.transfer.combined import widths
from recipes.transfer.head_trainer import HeadTrainer
from recipes.transfer.logistic import OutOfFold
from recipes.transfer.steps import compile_whole
from recipes.transfer.strategies import Phase
from recipes.transfer.view_features import ViewFeatures, as_views, standardization
from zoo.heads import COSINE, SCALE, standardize
from zoo.layers import CLASSIFIER

COSINE_SCALES = np.geomspace(1, 100, 17)
# What follows is for the stepped heads.
EPOCH_CHOICES = (5, 15, 50)
LEARNING_RATE = 1e-3
BATCH_SIZE = 32
MAX_STEPS = 20_000


@dataclass(frozen=True)
class FittedHead:
    """How a head was chosen.

    `chosen` is what its kind chooses: a penalty, a scale, epochs or what a search has found. `path` has, for each thing that
    could have been chosen, cross-validated loss and accuracy, `history` a row an epoch. `decay` is the solved head's penalty
    as it acts on the kernel, for those who train on. `out_of_fold` are the answers by which the choice was made.
    """

    kind: str
    chosen: dict
    mirrored: bool
    folds: int
    path: list[dict]
    decay: float = 0.0
    history: list[dict] = field(default_factory=list, repr=False)
    out_of_fold: OutOfFold | None = field(default=None, repr=False)

    def as_dict(self) -> dict:
        """Write the choice as values for result.json."""
        path = [row for row in self.path if row["mirrored"] == self.mirrored]
        values = {"kind": self.kind} | self.chosen | {"mirrored": self.mirrored, "folds": self.folds, "path": path}
        # A path of penalties ends where the held-out loss has clearly risen.
        return values | ({"path_complete": len(path) == len(logistic.PENALTIES)} if "penalty" in self.chosen else {})


def fit(
    model: keras.Model,
    kind: str,
    views: np.ndarray | ViewFeatures,
    mirrored: Sequence[bool],
    labels: np.ndarray,
    seed: int,
    choose_mirror: bool = True,
    weights: np.ndarray | None = None,
    tick: Callable[[], None] = lambda: None,
    task: Task = MULTI_CLASS,
    groups: np.ndarray | None = None,
) -> FittedHead:
    """Fit the model's head, which is of that kind; the other arguments are those of `logistic.fit`."""
    weights, mirrored, source = np.ones(len(labels)) if weights is None else weights, np.asarray(mirrored), as_views(views)
    center, scale = standardization(source, widths(model))
    standardize(model, center, scale)
    more = seed, choose_mirror, tick, weights, task, widths(model), groups
    if kind == "linear":
        solved = kept_heads.solved(source, mirrored, labels, *more)
        model.get_layer(CLASSIFIER).set_weights([solved.kernel, solved.bias])
        how = {"penalty": solved.penalty}, solved.mirrored, solved.folds, solved.path, solved.decay
        return FittedHead(kind, *how, out_of_fold=solved.out_of_fold)
    views = source.array()
    if kind == "cosine":
        folds = logistic.folds_of(task, labels, seed, groups)
        return _cosine(model, (views - center) / scale, mirrored, labels, folds, choose_mirror, weights, task)
    with_mirrored = bool(mirrored.any())
    if with_mirrored and choose_mirror:
        # Whether mirrored pictures help is a question about the pictures, which the solved head answers.
        with_mirrored = kept_heads.solved(source, mirrored, labels, *more).mirrored
    used = views if with_mirrored else views[~mirrored]
    fold = logistic.folds_of(task, labels, seed, groups)[0]
    return _stepped(model, kind, used, labels, seed, with_mirrored, weights, task, fold)


def fit_tuned(
    model: keras.Model,
    settings: HeadSettings,
    views: np.ndarray,
    mirrored: Sequence[bool],
    labels: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> FittedHead:
    """Fit the model's head as a search does: a fold says when to stop, then it is trained on all.

    A search is over classes that exclude each other. The arguments are as in `fit`.
    """
    used, cut = 1 + settings.views, {settings.cut: views}
    train, test = logistic.folds_of(MULTI_CLASS, labels, seed, groups)[0]
    classes = int(labels.max()) + 1
    judge = HeadTrainer(cut, labels, train, test, classes, widths(model), weights)
    tried = judge.train(settings, seed)
    guesses = judge.probabilities(settings.cut, tried.weights, test)
    trainer = HeadTrainer(cut, labels, np.arange(len(labels)), np.array([], int), classes, widths(model), weights)
    trained = trainer.train(settings, seed, last=tried.epoch)
    standardize(model, *trainer.standardization(settings.cut))
    if settings.kind == "hidden":
        model.get_layer("hidden").set_weights(trained.weights[:2])
    model.get_layer(CLASSIFIER).set_weights(trained.weights[-2:])
    with_mirrored = any(mirrored[:used])
    path = [{"epochs": tried.epoch, "mirrored": with_mirrored, "loss": tried.loss, "accuracy": tried.accuracy}]
    history = [{"phase": "head"} | row for row in trained.history]
    decay = 2 * settings.l2 if settings.l2_schedule == "constant" else 0.0
    chosen = asdict(settings) | {"epochs": tried.epoch}
    return FittedHead(settings.kind, chosen, with_mirrored, 1, path, decay, history, OutOfFold(test, guesses))


def _cosine(
    model: keras.Model,
    views: np.ndarray,
    mirrored: np.ndarray,
    labels: np.ndarray,
    folds: logistic.Folds,
    choose_mirror: bool,
    weights: np.ndarray,
    task: Task,
) -> FittedHead:
    """Compute each class's direction, and choose the scale by cross-validation; `views` are standardised."""
    path, held_out = [], {}
    for with_mirrored in sorted({False, bool(mirrored.any())}) if choose_mirror else [bool(mirrored.any())]:
        used = views if with_mirrored else views[~mirrored]
        scores, held_out[with_mirrored] = [], []
        for train, test in folds:
            cosines = _unit(views[0, test]) @ directions(used[:, train], labels[train], weights[train])
            held_out[with_mirrored].append(cosines)
            scores.append(
                [logistic.score(task, task.probabilities(s * cosines), labels[test], weights[test]) for s in COSINE_SCALES]
            )
        path += [
            {"scale": float(scale), "mirrored": with_mirrored, "loss": float(loss), "accuracy": float(accuracy)}
            for scale, (loss, accuracy) in zip(COSINE_SCALES, np.mean(scores, axis=0), strict=True)
        ]
    best = min(path, key=lambda row: row["loss"])
    model.get_layer(COSINE).set_weights([directions(views if best["mirrored"] else views[~mirrored], labels, weights)])
    model.get_layer(SCALE).set_weights([np.full((1, 1), best["scale"])])
    guesses = task.probabilities(best["scale"] * np.concatenate(held_out[best["mirrored"]]))
    answers = OutOfFold(np.concatenate([test for _, test in folds]), guesses)
    return FittedHead("cosine", {"scale": best["scale"]}, best["mirrored"], len(folds), path, out_of_fold=answers)


def directions(views: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average the directions of each class's views `(views, images, features)`, by the weights of its images `(images,)`.

    Returns:
        `(features, classes)`, each column of length 1.
    """
    each = _unit(views).sum(axis=0)
    each = each if weights is None else each * weights[:, None]
    return _unit(np.stack([each[labels == label].sum(axis=0) for label in range(labels.max() + 1)])).T


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors, along the last axis, to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _stepped(
    model: keras.Model,
    kind: str,
    views: np.ndarray,
    labels: np.ndarray,
    seed: int,
    with_mirrored: bool,
    weights: np.ndarray,
    task: Task,
    fold: tuple[np.ndarray, np.ndarray],
) -> FittedHead:
    """Train the part behind "pre_logits" by Adam, the number of epochs chosen on a fold."""
    zoo.freeze(model, "pre_logits")
    part = zoo.split(model, "pre_logits")[1]
    start, (train, test) = part.get_weights(), fold

    def steps(epochs: int, images: np.ndarray) -> list[dict]:
        """Train anew on some of the images, and return the history."""
        part.set_weights(start)

        def read(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
            return views[generator.integers(0, len(views), len(samples)), images[samples]]

        batches = Batches(read, labels[images], BATCH_SIZE, seed, weights=weights[images])
        optimizer = get_optimizer("adam", warmup_cosine(LEARNING_RATE, len(batches) * epochs))
        compile_whole(part, optimizer, labels, task)
        recorder = training.History(Phase("head", epochs, LEARNING_RATE, "pre_logits", augment=False), len(batches))
        part.fit(batches, epochs=epochs, verbose=0, shuffle=False, callbacks=[recorder])
        return recorder.rows

    path, answers = [], {}
    for epochs in [epochs for epochs in EPOCH_CHOICES if epochs * len(labels) <= MAX_STEPS * BATCH_SIZE] or EPOCH_CHOICES[:1]:
        steps(epochs, train)
        guesses = keras.ops.convert_to_numpy(part(views[0, test], training=False))
        answers[epochs] = guesses
        loss, accuracy = logistic.score(task, guesses, labels[test], weights[test])
        path.append({"epochs": epochs, "mirrored": with_mirrored, "loss": float(loss), "accuracy": float(accuracy)})
    best = min(path, key=lambda row: row["loss"])["epochs"]
    history, held_out = steps(best, np.arange(len(labels))), OutOfFold(test, answers[best])
    return FittedHead(kind, {"epochs": best}, with_mirrored, 1, path, history=history, out_of_fold=held_out)
