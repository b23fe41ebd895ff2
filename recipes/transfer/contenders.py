"""Backbones that are compared by one pass over a sample: each alone, and the best of them together.

Which go well together is found greedily: to the best one comes the one whose features, beside those that are there, lower the
error of the linear probe most, and to these two a third. That asks nothing more of the networks: what each gives for a picture
lies in the cache, and a probe is one decomposition of a matrix.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

import zoo
from recipes.console import say, with_interval
from recipes.data.dataset import Dataset, prepare, training_files
from recipes.data.sources.listing import Listing
from recipes.data.views import CENTER
from recipes.settings.finetune import Recipe
from recipes.transfer import features
from recipes.transfer.backbone import backbone, framing, other_sizes
from recipes.transfer.combined import own_input, written
from recipes.transfer.evidence import Probe
from recipes.transfer.features import vector_cut
from recipes.transfer.probes import judged, measure, on_one_scale, probe, sample
from recipes.transfer.transferability import logme
from zoo import facts
from zoo.progress import Progress
from zoo.weights.catalog.entry import Entry

MEASURED = ("accuracy", "low", "high", "logme", "images/s", "parameters", "MB")
MOST_TOGETHER = 3


@dataclass(frozen=True)
class Team:
    """Backbones that go together: which they are, and what their features say side by side, as LogME and by a linear probe."""

    members: tuple[int, ...]
    probe: Probe
    transferability: float


class Pace:
    """Says how long the next candidate will take, if they come in the order of their cost.

    That is the most that any has taken beside its pass, and a pass at the pace of the last.
    """

    def __init__(self, pictures: int):
        self._pictures, self._beside, self._pace = pictures, 0.0, 0.0

    def seconds(self, recipe: Recipe) -> float:
        """Estimate the seconds of a candidate; 0 before the first has been seen."""
        return self._beside + self._pace * multiply_adds(recipe)

    def saw(self, recipe: Recipe, images_per_second: float, seconds: float) -> None:
        """Learn from a candidate that has been measured."""
        passed = self._pictures / images_per_second
        self._beside, self._pace = max(self._beside, seconds - passed), passed / multiply_adds(recipe)


def of_entry(recipe: Recipe, entry: Entry) -> Recipe:
    """Give a recipe the backbone that an entry of the catalog has weights for."""
    alpha, size = entry.options.get("alpha"), entry.input_shape[0]
    return replace(recipe, model=entry.model, weights=entry.tag, alpha=alpha, image_size=size)


def named(recipe: Recipe) -> str:
    """Name a candidate: the model with its width, form, preprocessing and input's size, as far as they were given."""
    parts = (recipe.model, recipe.alpha, recipe.variant, recipe.preprocessing, recipe.image_size)
    return " ".join(str(part) for part in parts if part)


def in_words(recipe: Recipe, values: Mapping) -> str:
    """Say in a line what was measured of a candidate."""
    return f"{named(recipe)}: accuracy {accuracy(values)}, {values['images/s']:.1f} images/s"


def accuracy(values: Mapping) -> str:
    """Write a candidate's accuracy with its interval."""
    return with_interval(values["accuracy"], (values["low"], values["high"]))


def multiply_adds(recipe: Recipe) -> float:
    """Estimate the multiply-adds of a picture, which grow with the squares of width and of input size."""
    known = next(known for known in facts.read() if known.model == recipe.model)
    size = known.input_shape[0]
    return known.multiply_adds * (recipe.alpha or 1) ** 2 * ((recipe.image_size or size) / size) ** 2


def sampled(listing: Listing, recipe: Recipe, most: int) -> Listing:
    """List a stratified sample of what a run of the recipe would train on."""
    files = training_files(listing, recipe.validation, recipe.test, recipe.seed, recipe.keep_leaks)
    kept = sample(np.array([file.label for file in files]), most, recipe.seed)
    files = [replace(files[i], split="train") for i in kept]
    return replace(listing, files=tuple(files), left_out=(), findings=())


def measured(recipe: Recipe, pictures: Listing) -> dict:
    """Measure one candidate: the values that MEASURED names.

    Raises:
        UserError: its weights cannot be had or do not fit.
    """
    body, data = _prepared(recipe, pictures)
    for sentence in other_sizes(body):
        say(sentence)
    model = zoo.new_head(body, len(data.classes))
    found = measure(model, data, data.part("train"), recipe.batch_size, recipe.seed, engine=recipe.engine)
    last = found.probes["pre_logits"]
    size = os.path.getsize(body.origin.weights) / 1e6
    values = (last.accuracy, last.low, last.high, found.transferability, found.forward, body.count_params(), size)
    return dict(zip(MEASURED, values, strict=True))


def quality(values: Mapping) -> tuple[float, float]:
    """Give what contenders are ordered by, of the values that MEASURED names: accuracy, and LogME where that is the same."""
    return values["accuracy"], values["logme"]


def combinable(recipes: Sequence[Recipe]) -> list[Recipe]:
    """List those that can be combined with the first, itself among them: they see as many channels, and are each another."""
    found: list[Recipe] = []
    for recipe in recipes:
        is_another = written(recipe) not in map(written, found)
        if is_another and own_input(recipe.model)[2] == own_input(recipes[0].model)[2]:
            found.append(recipe)
    return found


def together(recipes: Sequence[Recipe], rows: Sequence[Mapping], pictures: Listing) -> list[dict]:
    """Find the best pair and triple with the first candidate; its rows are those of MEASURED, with the `members`' names.

    Args:
        recipes: candidates that can be combined, the best first.
        rows: what was measured of each.
    """
    read = [features_of(recipe, pictures) for recipe in recipes]
    return [
        {"members": [named(recipes[i]) for i in team.members]} | _row(team, [rows[i] for i in team.members])
        for team in grown([vectors for vectors, _, _ in read], *read[0][1:])
    ]


def grown(vectors: Sequence[np.ndarray], labels: np.ndarray, groups: np.ndarray | None = None) -> list[Team]:
    """Grow a team from the first backbone: the best pair with it, and the best triple with these two.

    Args:
        vectors: of each backbone, `(images, features)`.
        labels: `(images,)`, class numbers.
        groups: `(images,)`, names of what is judged together.
    """
    sizes = range(2, 1 + min(MOST_TOGETHER, len(vectors)))
    members, teams = (0,), []
    with Progress("together", sum(1 + len(vectors) - size for size in sizes), "probes") as progress:
        for _ in sizes:
            probes = {}
            for i in sorted(set(range(len(vectors))) - set(members)):
                probes[i] = probe(side_by_side([vectors[j] for j in (*members, i)]), labels, groups)
                progress.advance()
            best = min(probes, key=lambda i: probes[i].loss)
            members = (*members, best)
            score = logme(side_by_side([vectors[j] for j in members]), labels)
            teams.append(Team(members, probes[best], score))
    return teams


def side_by_side(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Put features `(images, features)` of several backbones beside each other, on one scale."""
    return on_one_scale(np.concatenate(vectors, axis=1), [block.shape[1] for block in vectors])


def _row(team: Team, rows: Sequence[Mapping]) -> dict:
    """Give the values that MEASURED names of a team, whose members' are `rows`: a picture passes through each of them."""
    last, sums = team.probe, {name: sum(row[name] for row in rows) for name in ("parameters", "MB")}
    rate = 1 / sum(1 / row["images/s"] for row in rows)
    values = (last.accuracy, last.low, last.high, team.transferability, rate, sums["parameters"], sums["MB"])
    return dict(zip(MEASURED, values, strict=True))


def features_of(recipe: Recipe, pictures: Listing) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read the features of the pictures that `measured` has looked at, class numbers and groups; from the cache, by now."""
    body, data = _prepared(recipe, pictures)
    chosen, cut = judged(data, data.part("train"), recipe.seed), vector_cut(body, "pre_logits")
    rows = features.extract(body, [cut], data, [(i, CENTER) for i in chosen], recipe.batch_size, engine=recipe.engine)[cut]
    return rows[:], data.labels[chosen], data.groups_of(chosen)


def _prepared(recipe: Recipe, pictures: Listing) -> tuple[keras.Model, Dataset]:
    """Build a candidate's network, in the place of those before it, and read the pictures as it sees them."""
    keras.backend.clear_session()
    body = backbone(recipe)
    return body, prepare(pictures, framing(body), 0.0, 0.0, recipe.seed)
