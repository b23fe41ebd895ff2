"""The stages of a run: prepare, fit, evaluate. `recipes.finetune` puts them in order, `recipes.search` uses some of them."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.averaging import interpolate
from callbacks.penalties import l2_sp
from recipes.compute import engines, precision, replicas
from recipes.data import augment, dataset, views
from recipes.data.batches import Batches, Reader, from_features
from recipes.data.dataset import Dataset
from recipes.data.sources.chosen import scan
from recipes.data.store import Rows
from recipes.data.views import CENTER, TEN_CROP, View
from recipes.errors import UserError
from recipes.evaluation.tasks import Task
from recipes.settings.finetune import PATH_FIELDS, Recipe
from recipes.settings.shared import TRACKERS
from recipes.transfer import batch_norm, combined, features, heads, logistic, training
from recipes.transfer.ahead import Ahead, cuts_ahead
from recipes.transfer.answers import answers, referred
from recipes.transfer.backbone import backbone, framing, new_head
from recipes.transfer.features import Cut, Samples, center_features
from recipes.transfer.heads import FittedHead
from recipes.transfer.passes import Passing, here
from recipes.transfer.state import Clock, Evaluated, Fitted, Prepared, head_cut
from recipes.transfer.strategies import Phase, Strategy
from recipes.transfer.view_features import ViewFeatures
from zoo.heads import COSINE
from zoo.layers import CLASSIFIER
from zoo.progress import Progress

# Called with a row of history, and the folders of the states so far.
Report = Callable[[dict, Sequence[Path]], None]
# From the epochs of a phase that are done, and the weights before all phases, to whether training goes on.
Watch = Callable[[int, Sequence[np.ndarray]], bool]


def prepare(recipe: Recipe, clock: Clock | None = None, passing: Passing = here) -> Prepared:
    """Read and divide the pictures, and build the network with an untrained head.

    Args:
        clock: counts the steps "reading", "building" and "features".
        passing: in this process, or on a cluster.

    Raises:
        UserError: data or weights cannot be used.
    """
    clock = clock or Clock()
    keras.utils.set_random_seed(recipe.seed)  # so that a network without weights is the same, whatever was drawn before
    combined.check(recipe)
    replicas.count(recipe.devices, recipe.batch_size)
    # First of all: no weights need be fetched for a folder that is not there.
    with clock.step("reading"):
        listing = scan(recipe)
        _check_task(recipe, listing.task)
    with clock.step("building"):
        body = backbone(recipe)
        batch_norm.require(recipe.batch_norm, body)
        engines.planned(recipe.engine, body)  # which refuses what there is not
        keras.utils.set_random_seed(recipe.seed)
        model = new_head(recipe, body, listing)
        cuts = cuts_ahead(recipe, model, head_cut(recipe, model), listing.task)
    with ExitStack() as stack:
        with clock.step("reading"):
            pictures = framing(body), len(listing.files)
            ahead = stack.enter_context(Ahead(model, cuts, *pictures, recipe.batch_size, recipe.engine, passing))
            shares = recipe.validation, recipe.test
            data = dataset.prepare(listing, framing(body), *shares, recipe.seed, recipe.keep_leaks, ahead.add)
            batch_norm.check(recipe.batch_norm, len(data.part("train")), recipe.batch_size)
        with clock.step("features"):
            stack.close()  # when what could be computed ahead has been
    return Prepared(recipe, data, model)


def _check_task(recipe: Recipe, task: Task) -> None:
    """Refuse, with a UserError, what is for classes that exclude each other where these do not."""
    if task.one_label:
        return
    if recipe.head == "cosine":
        raise UserError("--head cosine tells classes apart that exclude each other: these pictures have any number of labels.")
    if recipe.balance != "none":
        raise UserError("--balance is for pictures with one label: these have any number, and each class is learnt by itself.")


def fit(
    prepared: Prepared,
    strategy: Strategy,
    deadline: float = math.inf,
    report: Report = lambda row, states: None,
    watch: Watch | None = None,
) -> Fitted:
    """Fit the head on frozen features, then train the strategy's phases.

    A phase that was trained before a kill is not trained again: its state is taken up.

    Args:
        deadline: of time.monotonic(), when training ends at the latest.
        watch: asked after every epoch but a phase's last.

    Raises:
        UserError: training has diverged, or a cache or state cannot be written.
    """
    clock, shown = Clock(), _shown_views(prepared, strategy)
    rows: dict[Cut, Rows] = {}
    fitted = Fitted(strategy, None, seconds=clock.seconds)
    if strategy.head_first:
        with clock.step("features"):
            rows = _features(prepared, strategy, shown)
        with clock.step("head"):
            head = _fit_head(prepared, rows[prepared.head_cut], shown)
        fitted = replace(fitted, head=head, history=tuple(head.history))
        if not head.mirrored:
            shown = [view for view in shown if not view.mirrored]
    zoo.freeze(prepared.model, strategy.freeze_until)
    for phase in strategy.phases:
        with clock.step(phase.name):
            trainer = _PhaseTrainer(prepared, fitted, phase, shown)
            fitted = trainer.train(None if phase.augment else rows[Cut(phase.freeze_until)], deadline, report, watch)
    return fitted


def frozen_features(prepared: Prepared, strategy: Strategy, passing: Passing = here) -> Rows:
    """Compute what the untrained network says of every picture, `(images, features)`, in the one pass that `fit` needs."""
    if strategy.head_first:
        _features(prepared, strategy, _shown_views(prepared, strategy), passing)
    recipe = prepared.recipe
    return center_features(prepared.model, prepared.head_cut, prepared.data, recipe.batch_size, recipe.engine)


def _shown_views(prepared: Prepared, strategy: Strategy) -> list[View]:
    """List the views of a picture that the head is fitted to."""
    if prepared.augmentation(strategy) == "none":
        return [CENTER]
    return views.visible(prepared.data.framing, prepared.recipe.mirror != "no")


def _features(prepared: Prepared, strategy: Strategy, shown: list[View], passing: Passing = here) -> dict[Cut, Rows]:
    """Compute the head's features, and the activations that phases begin with.

    First come the shown views of what is trained on, a view after the other, and then the center of every picture.
    """
    data, train = prepared.data, prepared.data.part("train")
    cuts = [prepared.head_cut, *(Cut(phase.freeze_until) for phase in strategy.phases if not phase.augment)]
    others = np.flatnonzero(data.splits != "train") if CENTER in shown else np.arange(len(data.paths))
    samples, recipe = Samples([*((view, train) for view in shown), (CENTER, others)]), prepared.recipe
    return features.extract(prepared.model, cuts, data, samples, recipe.batch_size, engine=recipe.engine, passing=passing)


def _fit_head(prepared: Prepared, rows: Rows, shown: list[View]) -> FittedHead:
    """Fit the recipe's head to the features of the training part: it becomes the model's classifier."""
    recipe, data = prepared.recipe, prepared.data
    train = data.part("train")
    stacked = ViewFeatures(rows.take(np.arange(len(shown) * len(train))), len(shown))
    mirrored = [view.mirrored for view in shown]
    if recipe.tuned:
        more = data.groups_of(train), data.weights_of(train)
        return heads.fit_tuned(prepared.model, recipe.tuned, stacked.array(), mirrored, data.labels[train], recipe.seed, *more)
    choose_mirror, groups = recipe.mirror == "auto", data.groups_of(train)
    folds = logistic.folds_of(data.task, data.labels[train], recipe.seed, groups)
    most = logistic.problems_at_most(mirrored, choose_mirror, len(folds)) if recipe.head != "cosine" else 0
    with Progress("head", most, "problems at most") as progress:
        return heads.fit(
            prepared.model,
            recipe.head,
            stacked,
            mirrored,
            data.labels[train],
            recipe.seed,
            choose_mirror=choose_mirror,
            weights=sample_weights(recipe, data, train),
            tick=progress.advance,
            task=data.task,
            groups=groups,
        )


def sample_weights(recipe: Recipe, data: Dataset, images: np.ndarray) -> np.ndarray | None:
    """Weigh pictures `(images,)`, 1 on average, by their own weights; with --balance, each class counts the same."""
    own = data.weights_of(images)
    if recipe.balance == "none":
        return own
    return logistic.balanced_weights(data.labels[images], len(data.classes), own)


@dataclass(frozen=True)
class _PhaseTrainer:
    """Trains one phase, from images or from the activations that are kept before its first trained layer.

    `fitted` is what the phases before have given.
    """

    prepared: Prepared
    fitted: Fitted
    phase: Phase
    shown: list[View]

    def train(self, rows: Rows | None, deadline: float, report: Report, watch: Watch | None) -> Fitted:
        """Train the phase, and add what that gave to what was fitted before."""
        recipe, data, model = self.prepared.recipe, self.prepared.data, self.prepared.model
        part = training.prepare(model, self.phase, math.ceil(len(data.part("train")) / recipe.batch_size))
        if head := self.fitted.head:  # without the penalty that it was solved with it would grow
            l2_sp(part, self.phase.hold, head.decay, COSINE if recipe.head == "cosine" else CLASSIFIER)
        batches, held_out = self._from_images() if self.phase.augment else self._from_activations(rows)
        state = self._state_folder()
        states, start = (*self.fitted.states, state), self.fitted.start or tuple(model.get_weights())
        asked = watch and (lambda epoch: watch(epoch, start))
        history = training.train(
            part,
            self.phase,
            batches,
            held_out,
            state,
            deadline,
            lambda row: report(row, states),
            model,
            data.task,
            asked,
            precision.chosen(recipe.precision),
            self._devices,
        )
        if self.phase.interpolation < 1:
            interpolate(model, start, model.get_weights(), self.phase.interpolation)
        augmented = self.phase.augment and self._augmentation != "none"
        return replace(
            self.fitted,
            history=(*self.fitted.history, *history),
            states=states,
            start=start,
            augmented=batches if augmented else self.fitted.augmented,
        )

    @property
    def _devices(self) -> int:
        """The number of devices that each batch is divided among."""
        return replicas.count(self.prepared.recipe.devices, self.prepared.recipe.batch_size)

    @property
    def _augmentation(self) -> str:
        """The name of what training pictures go through."""
        return self.prepared.augmentation(self.fitted.strategy)

    def _from_images(self) -> tuple[Batches, Batches | None]:
        """Make batches of augmented pictures, and of what is held out as evaluation sees it."""
        data, train, validation = self._parts()
        read, mix = augment.pipeline(self._augmentation, data, train, self.fitted.mirrors(self.prepared.recipe))
        labels = data.task.one_hot(data.labels, len(data.classes)) if mix else data.labels
        read_held_out, _ = augment.pipeline("none", data, validation, mirror=False)
        return self._batches(read, labels, read_held_out, mix, threads=max(2, os.cpu_count() or 1))

    def _from_activations(self, rows: Rows) -> tuple[Batches, Batches | None]:
        """Make batches of the activations at the phase's cut, which are kept on the disk."""
        data, train, validation = self._parts()
        recipe = self.prepared.recipe
        cut = Cut(self.phase.freeze_until)
        kept = center_features(self.prepared.model, cut, data, recipe.batch_size, recipe.engine)
        read = from_features(rows, len(train), len(self.shown))
        return self._batches(read, data.labels, from_features(kept.take(validation), len(validation)))

    def _parts(self) -> tuple[Dataset, np.ndarray, np.ndarray]:
        """Give the pictures, and the indices of those to train on and of those held out."""
        data = self.prepared.data
        return data, data.part("train"), data.part("validation")

    def _batches(
        self, read: Reader, labels: np.ndarray, read_held_out: Reader, mix: augment.Mix | None = None, threads: int = 0
    ) -> tuple[Batches, Batches | None]:
        """Make batches to train on, weighed or sampled as --balance asks, and those held out; None if there are none."""
        recipe, (data, train, validation) = self.prepared.recipe, self._parts()
        weights, sampling = sample_weights(recipe, data, train), recipe.balance == "sampling"
        batches = Batches(read, labels[train], recipe.batch_size, recipe.seed, mix, threads, weights, sampling, self._devices)
        if not len(validation):
            return batches, None
        own = data.weights_of(validation)
        options = {"weights": own, "multiple": self._devices, "measured": True}
        return batches, Batches(read_held_out, labels[validation], recipe.batch_size, recipe.seed, **options)

    def _state_folder(self) -> Path:
        """Name the folder by all that the phase depends on: the pictures themselves, not where they lie."""
        data = self.prepared.data
        settings = replace(self.prepared.recipe, **dict.fromkeys(PATH_FIELDS), **dict.fromkeys(TRACKERS, False))
        pictures = (data.digests, data.labels.tolist(), data.splits.tolist(), [str(view) for view in self.shown])
        weights = None if data.weights is None else data.weights.tolist()
        return training.state_folder(self.prepared.model, settings, self.phase, *pictures, weights)


def probabilities(prepared: Prepared, strategy: Strategy, images: np.ndarray | None = None) -> np.ndarray:
    """Predict some pictures, or all: `(images, classes)`, through the cut if what lies before it is frozen."""
    images = np.arange(len(prepared.data.paths)) if images is None else images
    return answers(prepared, strategy, images, np.array([], int)).probabilities


def evaluate(prepared: Prepared, fitted: Fitted) -> Evaluated:
    """Predict every picture, and keep features of some."""
    kept = referred(prepared.data)
    found = answers(prepared, fitted.strategy, np.arange(len(prepared.data.paths)), kept)
    return Evaluated(found.probabilities, None, kept, found.features)


def with_crops(prepared: Prepared, fitted: Fitted, evaluated: Evaluated) -> Evaluated:
    """Add, with AlexNet's augmentation, what a network whose temperature is in its weights says of ten crops.

    Not before: the mean over crops at a temperature is not the mean at that temperature.
    """
    if prepared.augmentation(fitted.strategy) != "alexnet":
        return evaluated
    return replace(evaluated, ten_crop=ten_crop(prepared, fitted))


def ten_crop(prepared: Prepared, fitted: Fitted) -> np.ndarray:
    """Predict what was held out as the mean over four corners, the center and their mirrors; NaN for the others."""
    recipe, data = prepared.recipe, prepared.data
    held_out = np.flatnonzero(data.splits != "train")
    shown = [view for view in TEN_CROP if fitted.mirrors(recipe) or not view.mirrored]
    means = np.full((len(data.paths), len(data.classes)), np.nan, "float32")
    if len(held_out):
        with Progress("ten crops", len(held_out) * len(shown), "views") as progress:
            samples = [(i, view) for i in held_out for view in shown]
            engine = engines.plain(prepared.model, recipe.batch_size)
            guesses = features.forward(engine, data, samples, progress)[0]
        means[held_out] = guesses.reshape(len(held_out), len(shown), -1).mean(axis=1)
    return means
