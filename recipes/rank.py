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
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import zoo
from recipes.console import percent, say, suggest
from recipes.data.decoding import decode_all
from recipes.data.findings import grouped
from recipes.data.look import FRAMING, look
from recipes.data.sources.chosen import scan_for_one_label
from recipes.data.sources.listing import Listing
from recipes.errors import UserError, shown
from recipes.evaluation.verdict import Contender, verdict
from recipes.report.ranking import accuracy_and_speed
from recipes.runs.journal import Experiment
from recipes.settings.backbones import read
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.settings.shared import seconds
from recipes.transfer import contenders
from recipes.transfer.backbone import builder_options
from recipes.transfer.candidates import NOTHING_AT_HAND, at_hand
from recipes.transfer.combined import join
from recipes.transfer.contenders import MEASURED, Pace, in_words, multiply_adds, named
from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry
from zoo.weights.tags import must_be_named

# Settings that what is measured of a candidate does not depend on.
INDEPENDENT_OF = ("models", "weights", "variant", "preprocessing", "budget")


def run(settings: Ranking) -> Path:
    """Measure, draw, and say which to take; return the folder that holds it.

    Raises:
        UserError: data, output or an argument cannot be used, or no candidate can be measured.
    """
    start, limit = time.monotonic(), math.inf if settings.budget is None else seconds(settings.budget)
    pictures = sampled(settings)
    chosen = sorted(candidates(settings, pictures), key=multiply_adds)
    with Experiment(settings) as experiment:
        rows, pace = [], Pace(len(pictures.files))
        for recipe in chosen:
            left, needed = limit - (time.monotonic() - start), pace.seconds(recipe)
            try:
                if needed > left:
                    raise UserError(
                        f"left out: it would take about {needed:.0f} s, and of --budget {max(left, 0):.0f} s are left"
                    )
                found = experiment.once(
                    named(recipe),
                    lambda recipe=recipe: work(settings, recipe, pictures),
                    but=INDEPENDENT_OF,
                    pictures=_identity(pictures.root, pictures),
                    file=_stamp(recipe),
                )
                pace.saw(recipe, found["images/s"], found["seconds"])
                note = ""
                say(in_words(recipe, found))
            except (UserError, ValueError) as error:  # a sentence already
                found, note = dict.fromkeys(MEASURED), str(error)
                say(f"{named(recipe)}: {shown(note)}")
            values = {name: found[name] for name in MEASURED}
            rows.append({**dict(zip(("candidate", "weights"), _key(recipe), strict=True)), **values, "note": note})
        alone = ranked(rows)
        teams = _together(experiment, settings, chosen, alone, pictures)
        _report(experiment, rows, teams)
        best = next(recipe for recipe in chosen if _key(recipe) == (alone[0]["candidate"], alone[0]["weights"]))
        corrections = ["--corrections", settings.corrections] if settings.corrections else []
        suggest({"train the best": ["zoo", "finetune", *settings.source_words(), *corrections, *_words(join([best]))]})
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
            f"{NOTHING_AT_HAND}--models mobilenet_v2 fetches another, and --weights MODEL=FILE takes a file of yours."
        )
    return given + [contenders.of_entry(Recipe(settings.data), entry) for entry in entries]


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
    """Read MODEL=FILE, with the model as `zoo finetune --model` takes it."""
    name, _, file = text.partition("=")
    try:
        model = read(name)
    except ValueError:
        file = ""
    if not file:
        raise UserError(
            "--weights takes MODEL=FILE, MODEL:ALPHA=FILE, MODEL:ALPHA:PIXELS=FILE or MODEL::PIXELS=FILE, found "
            f"{shown(text)!r}."
        )
    builder_options(model.model, model.alpha)
    return Recipe(
        settings.data,
        model=model.model,
        weights=file,
        alpha=model.alpha,
        variant=variant,
        preprocessing=preprocessing,
        image_size=model.image_size,
    )


def sampled(settings: Ranking) -> Listing:
    """List a stratified sample of what `zoo finetune` would train on."""
    listing = scan_for_one_label(settings)
    found = contenders.sampled(listing, Recipe(settings.data, seed=settings.seed), settings.sample)
    seen = look(found, decode_all(found, FRAMING, needs_pixels=False))
    for finding in (*listing.findings, *grouped(one for one in seen.findings if one.kind != "source")):
        say(shown(finding))
    return found


def work(settings: Ranking, recipe: Recipe, pictures: Listing) -> dict:
    """Measure one candidate."""
    return contenders.measured(_in_batches(settings, recipe), pictures)


def _in_batches(settings: Ranking, recipe: Recipe) -> Recipe:
    """Let a candidate's pictures be drawn and passed as the settings ask."""
    return dataclasses.replace(recipe, batch_size=settings.batch_size, seed=settings.seed, engine=settings.engine)


def _together(
    experiment: Experiment, settings: Ranking, recipes: Sequence[Recipe], rows: Sequence[Mapping], pictures: Listing
) -> list[dict]:
    """Find the best pair and triple of what could be measured, the best one in each; rows like those of one alone."""
    ordered = {_key(recipe): recipe for recipe in recipes}
    fitting = contenders.combinable([ordered[row["candidate"], row["weights"]] for row in rows])
    if len(fitting) < 2:
        return []
    known = {row["candidate"]: row for row in reversed(rows)}  # of two of a name the better, as in `fitting`
    by_name = {named(recipe): recipe for recipe in fitting}
    found = experiment.once(
        f"the best of {len(fitting)} together",
        lambda: {
            "teams": contenders.together(
                [_in_batches(settings, recipe) for recipe in fitting], [known[named(recipe)] for recipe in fitting], pictures
            )
        },
        but=INDEPENDENT_OF,
        pictures=_identity(pictures.root, pictures),
        files=[(named(recipe), *_stamp(recipe)) for recipe in fitting],
    )
    return [
        {
            "candidate": " + ".join(team["members"]),
            "weights": " + ".join(known[name]["weights"] for name in team["members"]),
            **{name: team[name] for name in MEASURED},
            "note": "",
            "flags": join([by_name[name] for name in team["members"]]),
        }
        for team in found["teams"]
    ]


def front(rows: Sequence[Mapping]) -> list[Mapping]:
    """Find the Pareto front in accuracy and speed, slowest first."""

    def beats(a: Mapping, b: Mapping) -> bool:
        pairs = [(a[name], b[name]) for name in ("accuracy", "images/s")]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    best = [row for row in rows if not any(beats(other, row) for other in rows)]
    return sorted(best, key=lambda row: row["images/s"])


def answer(rows: Sequence[Mapping]) -> str:
    """Say which of the measured rows, the best first, to take, as far as the intervals tell."""
    compared = [Contender(row["candidate"], row["accuracy"], row["low"], row["high"]) for row in rows]

    def undecided(close: list[Contender]) -> str:
        level = [row for row, contender in zip(rows, compared, strict=True) if row is rows[0] or contender in close]
        fast = max(level, key=lambda row: row["images/s"])
        return (
            f"{len(close)} more cannot be told from it by these pictures; the fastest of them all is "
            f"{fast['candidate']}, {fast['images/s']:.1f} images/s"
        )

    return verdict(compared, "accuracy", undecided, write=percent)


def ranked(rows: Sequence[Mapping]) -> list[Mapping]:
    """Order the rows that could be measured, the most accurate first.

    Raises:
        UserError: there are none; the message gives the reason of each.
    """
    measured = sorted((row for row in rows if not row["note"]), key=contenders.quality, reverse=True)
    if not measured:
        reasons = "; ".join(f"{row['candidate']}: {row['note']}" for row in rows)
        raise UserError(f"No candidate can be measured. {shown(reasons)}")
    return measured


def cost(teams: Sequence[Mapping], rows: Sequence[Mapping]) -> list[str]:
    """Say what the best pair and triple reach, what they cost beside the best one alone, and how to have them."""
    best = rows[0]
    return [
        f"The best {what} is {team['candidate']}: {contenders.accuracy(team)}, at {team['images/s']:.1f} images/s and "
        f"{team['MB']:.0f} MB, {best['images/s'] / team['images/s']:.1f} times the time of {best['candidate']} alone. "
        f"`zoo finetune` takes it as {shown(shlex.join(_words(team['flags'])))}."
        for what, team in zip(("pair", "triple"), teams, strict=False)
    ]


def _key(recipe: Recipe) -> tuple[str, str]:
    """Name a candidate and the file of its weights, as the table does."""
    return named(recipe), os.path.basename(recipe.weights)


def _words(flags: Mapping[str, str | None]) -> list[str]:
    """Write settings as the arguments of a command."""
    return [word for name, value in flags.items() if value for word in (f"--{name}", value)]


def _report(experiment: Experiment, rows: list[dict], teams: list[dict]) -> None:
    """Write table, figure and answer."""
    alone, failed = ranked(rows), [row for row in rows if row["note"]]
    said, costs = answer(alone), cost(teams, alone)
    measured = ranked([*alone, *({k: v for k, v in team.items() if k != "flags"} for team in teams)])
    best = front(measured)
    experiment.save_figure("accuracy_and_speed", accuracy_and_speed(measured, best))
    for row in best:
        row["note"] = "front"
    flags = {team["candidate"]: team["flags"] for team in teams}
    experiment.finish([*measured, *failed], answer=said, together=costs, flags=flags, front=[row["candidate"] for row in best])
    say("\n" + "\n".join([said, *costs]))


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
