"""The lecture's optimisers on one model and your data, each at a learning rate that was tuned at the same cost.

    zoo compare_optimizers DATA --output DIR
    python -m recipes.lecture.compare_optimizers DATA ...

With J the cost of a batch, W the weights, α the learning rate:

    sgd       W ← W − α∇J
    momentum  v ← ηv − (1−η)∇J,  W ← W + αv.  η = 0.9. Keras leaves out (1−η): the same path for a tenth of the rate
    nesterov  as momentum, with the gradient where the step will lead: W ← W + ηv − α∇J once v is updated
    adagrad   s ← s + (∇J)²,  W ← W − α∇J / √s
    rmsprop   s ← ρs + (1−ρ)(∇J)²,  W ← W − α∇J / √s.  ρ = 0.9: old squares decay
    adam      m ← β₁m + (1−β₁)∇J,  s ← β₂s + (1−β₂)(∇J)²,  W ← W − α m̂ / √ŝ.  β₁ = 0.9, β₂ = 0.999; m̂ and ŝ are
              m / (1−β₁ᵗ) and s / (1−β₂ᵗ), for both begin at 0 (Kingma & Ba 2014, arXiv:1412.6980, algorithm 1)
    adamw     adam, and W ← W − α · 0.004 W on kernels (Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2)

The lecture says that RMSProp and Adam are popular and that which is best is hard to say beforehand. So it is measured.
For each optimiser three rates, a factor of √10 apart around its usual one, are tried in runs of a quarter of the epochs
with one seed; while the one with the lowest validation loss is the highest or the lowest of them, the next is tried, nine
at most. Then it is trained at that rate, constant, with several seeds. All see the same starts and the same batches. The
intervals are over seeds and say nothing of other held-out pictures; rates are chosen on the pictures that are reported,
which flatters each a little and none more than the others.

Measured on MNIST (LeNet-5 from a random start, 1,502 training pictures and 749 held out, 6 epochs, 5 seeds; mean and half
of the 95 % interval; 2 CPU cores, TensorFlow 2.21, Keras 3.15.1; 28 short and 35 long runs in 336 s of processor time):

    optimizer rate      validation loss      validation accuracy
    sgd       0.1       0.263 ± 0.017        91.7 % ± 0.9 %
    momentum  0.0316    0.207 ± 0.015        93.4 % ± 0.7 %
    nesterov  0.0316    0.212 ± 0.015        93.5 % ± 0.6 %
    adagrad   0.1       0.221 ± 0.020        93.1 % ± 0.2 %
    rmsprop   0.00316   0.255 ± 0.014        92.4 % ± 0.9 %
    adam      0.00316   0.246 ± 0.027        92.6 % ± 0.7 %
    adamw     0.00316   0.247 ± 0.027        92.5 % ± 0.7 %

Momentum, Nesterov's form of it and AdaGrad are separated from plain gradient descent in both columns, the two momenta from
RMSProp in the loss; all else is within the intervals.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import math
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

import zoo
from callbacks.optimizers import OPTIMIZERS, RATES
from recipes.console import say
from recipes.data.batches import Batches
from recipes.data.dataset import Dataset
from recipes.evaluation.verdict import verdict_over_seeds
from recipes.lecture.comparison import RepeatedTraining, bands, center_crops, plus_minus, prepare_sample
from recipes.runs.journal import Experiment
from recipes.settings.finetune import Recipe
from recipes.settings.lecture import CompareOptimizers
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.combined import require_one
from zoo.progress import Progress

# Rates that are tried for each optimiser, at first and at most.
FIRST_RATES = 3
MAX_RATES = 9


def run(settings: CompareOptimizers) -> Path:
    """Tune, train, draw, and say which is best; return the folder that holds it.

    Raises:
        UserError: data, model, weights or output cannot be used.
    """
    require_one(settings.model, "zoo compare_optimizers trains a network, and")
    recipe = Recipe(settings.data, model=settings.model, weights=settings.weights or "none")
    frame = framing(backbone(recipe))
    data = prepare_sample(settings.data, frame, settings.seed, settings.images, settings.images // 2 or 1, test=False)
    with Experiment(settings) as experiment:
        found = {}
        with Progress("training", len(OPTIMIZERS) * (FIRST_RATES + settings.seeds), "runs") as progress:
            for name in OPTIMIZERS:
                compiled = cache(partial(compile_model, recipe, len(data.classes), name))
                work = partial(_work, compiled, settings, data)
                rate = tune_rate(experiment, settings, name, work, progress)
                found[name] = []
                for seed in range(settings.seed, settings.seed + settings.seeds):
                    piece = partial(work, rate, seed, settings.epochs)
                    found[name].append(_once(experiment, f"{name}, rate {rate:.3g}, seed {seed}", piece))
                    progress.advance()
                say(f"{name}: rate {rate:.3g}")
        _report(experiment, settings, found)
        return experiment.folder


def compile_model(recipe: Recipe, classes: int, optimizer: str) -> RepeatedTraining:
    """Compile the recipe's network with a new head and an optimiser of that name."""
    return RepeatedTraining(lambda: zoo.new_head(backbone(recipe), classes), optimizer)


def _work(
    compiled: Callable[[], RepeatedTraining],
    settings: CompareOptimizers,
    data: Dataset,
    rate: float,
    seed: int,
    epochs: int,
    last: bool = False,
) -> dict:
    """Train once; with `last`, validate after the last epoch only."""
    train, held_out = data.part("train"), data.part("validation")
    batches = Batches(center_crops(data, train), data.labels[train], settings.batch_size, seed)
    validation = Batches(center_crops(data, held_out), data.labels[held_out], 256, seed)
    training, start = compiled(), time.monotonic()
    history = training.train(batches, seed, rate, epochs, validation_data=validation, validation_freq=epochs if last else 1)
    names = {"loss": "loss", "validation_loss": "val_log_loss", "validation_accuracy": "val_accuracy"}
    curves = {name: [value if math.isfinite(value) else None for value in history[key]] for name, key in names.items()}
    return {"rate": rate, **curves, "training_seconds": round(time.monotonic() - start, 2)}


def _once(experiment: Experiment, piece: str, work: Callable[[], dict]) -> dict:
    """Do a piece of work, or find it in the journal, also if it was written for fewer or more seeds."""
    return experiment.once(piece, work, but=("seeds",))


def tune_rate(
    experiment: Experiment, settings: CompareOptimizers, name: str, work: Callable[..., dict], progress: Progress
) -> float:
    """Find the rate with the lowest validation loss after a short run."""
    epochs, losses = max(1, settings.epochs // 4), {}
    tried = range(-(FIRST_RATES // 2), FIRST_RATES // 2 + 1)  # half powers of ten, from the usual rate
    while True:
        for exponent in tried:
            if exponent not in losses:
                rate = float(f"{RATES[name] * 10 ** (exponent / 2):.3g}")
                piece = partial(work, rate, settings.seed, epochs, last=True)
                loss = _once(experiment, f"{name}, rate {rate:.3g}, choice", piece)["validation_loss"][-1]
                losses[exponent] = math.inf if loss is None else loss
                if len(losses) <= FIRST_RATES:  # the total that is shown knows of no more
                    progress.advance()
        best = min(losses, key=lambda exponent: (losses[exponent], exponent))  # where all diverge, the lowest
        if tried[0] < best < tried[-1] or len(losses) == MAX_RATES:
            return float(f"{RATES[name] * 10 ** (best / 2):.3g}")
        tried = range(tried[0] - (best == tried[0]), tried[-1] + 1 + (best == tried[-1]))


def _report(experiment: Experiment, settings: CompareOptimizers, found: dict[str, list[dict]]) -> None:
    """Write table, figure and verdict."""

    def last(name: str, key: str) -> list[float | None]:
        return [result[key][-1] for result in found[name]]

    rows = [
        {
            "optimizer": name,
            "rate": results[0]["rate"],
            **plus_minus("validation loss", last(name, "validation_loss")),
            **plus_minus("validation accuracy", last(name, "validation_accuracy")),
            # Of the run least disturbed by other programs.
            "seconds": min(result["training_seconds"] for result in results),
        }
        for name, results in found.items()
    ]
    panels = {
        title: {name: np.array([result[key] for result in results], float) for name, results in found.items()}
        for title, key in (("training loss", "loss"), ("validation accuracy", "validation_accuracy"))
    }
    experiment.save_figure("curves", bands(range(1, settings.epochs + 1), "epoch", panels))
    answers = [
        verdict_over_seeds({name: last(name, "validation_loss") for name in found}, "validation loss", min),
        verdict_over_seeds({name: last(name, "validation_accuracy") for name in found}, "validation accuracy"),
    ]
    experiment.finish(rows, answers=answers)
    say("\nOn these data " + "\nOn these data ".join(answers))
