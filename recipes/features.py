"""What a frozen network gives for each picture, computed before it is needed: here, or on a cluster.

    zoo features DATA --model mobilenet_v2 --strategy small
    zoo features DATA --ray HOST:PORT
    python -m recipes.features DATA ...

The run that follows, `zoo finetune` with the same DATA and flags, finds the features in the cache and passes no picture through
the frozen network. What a cluster computes is what this machine would, row by row and file by file.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import shlex
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from functools import partial

import keras

from recipes.compute.cluster import connected
from recipes.compute.engines import EngineName
from recipes.console import say, suggest
from recipes.data.images import Framing
from recipes.data.views import CENTER
from recipes.settings.features import Features
from recipes.settings.finetune import Recipe
from recipes.transfer.ahead import cuts_ahead
from recipes.transfer.choice import LARGE_IMAGES, chosen_strategy
from recipes.transfer.features import extract
from recipes.transfer.passes import Passed, Passing, Shown, Way, here, on
from recipes.transfer.run import frozen_features, prepare
from recipes.transfer.state import Prepared
from recipes.transfer.strategies import Strategy
from recipes.transfer.summary import command
from recipes.transfer.trials import known_evidence


def run(settings: Features) -> None:
    """Compute what the cache lacks, and say what to type next.

    Raises:
        UserError: data, weights, cache or cluster cannot be used.
    """
    recipe = settings.as_recipe()
    with connected(settings.ray, settings.actors) if settings.ray else contextlib.nullcontext() as cluster:
        counter = Counter(partial(on, cluster) if cluster else here)
        prepared = prepare(recipe, passing=counter)
        strategy = _wanted(prepared)
        everything = [(i, CENTER) for i in range(len(prepared.data.paths))]
        if cuts := cuts_ahead(recipe, prepared.model, prepared.head_cut, prepared.data.task):
            extract(prepared.model, cuts, prepared.data, everything, recipe.batch_size, engine=recipe.engine, passing=counter)
        frozen_features(prepared, strategy, counter)
    say(_summary(prepared, strategy, counter.views))
    suggest({"train, with these features": shlex.split(command(recipe))})


@dataclass
class Counter:
    """Has pictures passed as it is told, and counts the views that were."""

    passing: Passing
    views: int = field(default=0, init=False)

    def __call__(self, network: keras.Model, batch_size: int, engine: EngineName) -> Way:
        """Make a way, as `Passing` does, on which views are counted."""
        return _Counted(self, self.passing(network, batch_size, engine))


@dataclass(frozen=True)
class _Counted:
    """A way on which views are counted."""

    counter: Counter
    way: Way

    @property
    def name(self) -> str:
        return self.way.name

    def passed(self, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
        for batch in self.way.passed(framing, pictures):
            self.counter.views += len(batch.keys)
            yield batch


def _wanted(prepared: Prepared) -> Strategy:
    """Find the strategy whose features are wanted; for `auto`, the one that is certain to be tried, or to be taken."""
    recipe, data = prepared.recipe, prepared.data
    if recipe.strategy == "auto" and data.task.one_label:
        name = "large" if len(data.part("train")) >= LARGE_IMAGES else "small"
        recipe = Recipe(**vars(recipe) | {"strategy": name})
    return chosen_strategy(recipe, prepared.model, data, known_evidence(recipe, prepared.model, data, 0.0))


def _summary(prepared: Prepared, strategy: Strategy, views: int) -> str:
    """Say what is in the cache now."""
    data, name = prepared.data, prepared.model.origin.name
    made = f"{views:,} views were computed now" if views else "all of it was there already"
    needs = "auto needs in any case" if prepared.recipe.strategy == "auto" else f"{strategy.name} needs"
    lines = [f"{name}: what strategy {needs} of {len(data.paths):,} pictures is in the cache; {made}."]
    if prepared.recipe.strategy == "auto" and strategy.name == "small" and data.task.one_label:
        lines.append(
            "Strategy auto may try medium as well, where small leaves something to gain: --strategy medium has its features "
            "computed, too."
        )
    return "\n".join(lines)
