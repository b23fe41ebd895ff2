"""What a search may be over: heads on features of the frozen network, or ways to fine-tune."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras_tuner
import numpy as np

from recipes.search import space
from recipes.search.fine_tuning import FineTuner, choices
from recipes.search.loop import Trial
from recipes.search.preparation import Search, base_recipe
from recipes.search.records import TrialRecord
from recipes.search.study import Study
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings, HeadSettings
from recipes.transfer.combined import widths
from recipes.transfer.head_trainer import HeadTrainer


@dataclass(frozen=True)
class Scope:
    """What is searched, and how a trial is done."""

    space: keras_tuner.HyperParameters
    work: Callable[[Trial], dict]
    """Does a trial, and gives at least loss, accuracy and epoch."""
    winner: Callable[[TrialRecord], Recipe]
    """Makes the recipe that trains the winner."""


def over_heads(search: Search) -> Scope:
    """Search over heads on features of the frozen network."""
    settings = search.settings
    declare = functools.partial(space.declare_head, cuts=list(search.cuts), views=search.views, epochs=settings.epochs)
    hps = keras_tuner.HyperParameters()
    declare(hps)

    others = np.setdiff1d(np.arange(len(search.train)), search.held_out)
    labels, classes = search.data.labels[search.train], len(search.data.classes)
    of_all = search.data.weights_of(search.train)
    trainer = HeadTrainer(search.features(), labels, others, search.held_out, classes, widths(search.model), of_all)

    def work(trial: Trial) -> dict:
        result = trainer.train(declare(trial.hyperparameters), trial.seed, trial.report)
        size = sum(array.nbytes for array in result.weights)
        search.best_models.offer(trial.number, result.loss, ".npz", size, functools.partial(_save, result.weights))
        return {"loss": result.loss, "accuracy": round(result.accuracy, 6), "epoch": result.epoch}

    def winner(trial: TrialRecord) -> Recipe:
        tuned = declare(space.hyperparameters_of(trial.values))
        return dataclasses.replace(base_recipe(settings), strategy="small", augment="crops", tuned=tuned)

    return Scope(hps, work, winner)


def over_fine_tunings(search: Search, study: Study) -> Scope:
    """Search over how much of the network to train, and how; the head is the best that is known."""
    settings, head = search.settings, best_head(search, study)
    cuts, policies = choices(search.model, len(search.train) - len(search.held_out), settings.batch_size)
    recipe = dataclasses.replace(base_recipe(settings), tuned=head, strategy="tuned", fine_tuning=FineTuneSettings())
    tuner = FineTuner(recipe, cuts, policies, settings.epochs, settings.folder / "logs", search.best_models)
    hps = keras_tuner.HyperParameters()
    tuner.declare_recipe(hps)
    return Scope(hps, tuner.work, tuner.winner)


def best_head(search: Search, study: Study) -> HeadSettings | None:
    """Find the best head of the last features among the searches on the same pictures in the same storage.

    What the first worker finds holds for this study.
    """
    if "head" not in study.identity:
        same = {what: study.identity[what] for what in ("model", "weights", "pictures")}
        done = [
            (known, trial)
            for known, trial in study.records_like(same | {"scope": "heads"})
            if trial.state == "done" and trial.values["cut"] == "pre_logits"
        ]
        known, best = min(done, key=lambda one: one[1].loss, default=(None, None))
        head = None
        if best:
            hps = space.hyperparameters_of(best.values)
            head = dataclasses.asdict(space.declare_head(hps, list(search.cuts), known["views"], known["epochs"]))
        study.claim({"head": head})
    head = study.identity["head"]
    return head and HeadSettings(**head)


def _save(arrays: list[np.ndarray], path: Path) -> None:
    """Write a head's weights into a file."""
    with open(path, "wb") as file:
        np.savez(file, *arrays)
