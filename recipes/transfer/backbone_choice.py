"""The choice of a backbone, or of several at once, by their probes on the training part: `--model auto`.

Everything is chosen inside the training part that the recipe itself has, with its own shares and seed: what the run reports
of the other parts nobody has looked at before. A budget is for the choice and the run together.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recipes.console import say
from recipes.data.sources.chosen import listed
from recipes.data.sources.listing import Listing
from recipes.data.views import VIEWS
from recipes.errors import UserError, shown
from recipes.settings.backbones import SEPARATOR
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.settings.shared import seconds
from recipes.transfer import combined
from recipes.transfer.candidates import NOTHING_AT_HAND, at_hand
from recipes.transfer.contenders import (
    Pace,
    accuracy,
    combinable,
    in_words,
    measured,
    multiply_adds,
    named,
    of_entry,
    quality,
    sampled,
    together,
)
from recipes.transfer.trials import CLOSING_SECONDS

AUTO = "auto"
# To trace a step of training, and time it.
TRACING_SECONDS = 60.0
# What belongs to a network that is named.
OF_A_NETWORK = ("weights", "alpha", "variant", "preprocessing", "image_size", "tuned", "fine_tuning")


@dataclass(frozen=True)
class Measured:
    """A recipe of a backbone, or of several, and the values that MEASURED names."""

    recipe: Recipe
    values: Mapping

    @property
    def quality(self) -> tuple[float, float]:
        """What contenders are ordered by."""
        return quality(self.values)

    @property
    def is_head(self) -> bool:
        """Whether the run fits a head alone, of which nothing can be cut."""
        return SEPARATOR in self.recipe.model or self.recipe.strategy == "small"

    def with_head_alone(self) -> "Measured":
        """Give the same for a run that fits a head alone."""
        return replace(self, recipe=replace(self.recipe, strategy="small"))

    def run_seconds(self, listing: Listing) -> float:
        """Estimate the seconds of the recipe's run.

        For a head each picture passes once, which takes up to twice as long as here: the network is traced anew, and of several
        most resize it. For more than a head the views of training pictures pass, and the speed of training is measured.
        """
        images, trained = len(listing.files), sum(file.split in ("", "train") for file in listing.files)
        passes = 2 * images if self.is_head else images + len(VIEWS) * trained
        return CLOSING_SECONDS + passes / self.values["images/s"] + (0 if self.is_head else TRACING_SECONDS)


def chosen(recipe: Recipe, start: float) -> Recipe:
    """Put what serves these pictures best, of the networks on this machine, into a recipe whose model is "auto".

    Args:
        start: when the run began, as time.monotonic() counts.

    Raises:
        UserError: the recipe asks for what a named network alone has, or no network is here or can be measured.
    """
    _check(recipe)
    listing = listed(recipe)
    if not listing.task.one_label:
        raise UserError("--model auto compares networks on pictures with one label, and these have any number: name a model.")
    limit = start + seconds(recipe.budget) if recipe.budget else math.inf
    pictures = sampled(listing, recipe, Ranking.sample)
    alone = _alone(recipe, listing, pictures, limit)
    found = alone + _together(sorted(alone, key=lambda one: one.quality, reverse=True), pictures)
    if recipe.strategy == "auto":
        found += [one.with_head_alone() for one in alone]  # where there is no time for more
    in_time = [one for one in found if time.monotonic() + one.run_seconds(listing) <= limit]
    compared = in_time or [min(found, key=lambda one: one.run_seconds(listing))]  # the run says how long it would take
    taken = max(compared, key=lambda one: one.quality)
    say(f"--model auto takes {shown(taken.recipe.model)}: {accuracy(taken.values)}")
    return replace(taken.recipe, budget=None) if taken.is_head else taken.recipe  # that it ends in time was just found


def _check(recipe: Recipe) -> None:
    """Refuse, with a UserError, what cannot be had before the network is known."""
    for name in OF_A_NETWORK:
        if getattr(recipe, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} belongs to a network that is named, found --model auto: name it.")
    if recipe.strategy == "scratch":
        raise UserError("--strategy scratch starts at random, and --model auto compares pretrained networks: name a model.")


def _alone(recipe: Recipe, listing: Listing, pictures: Listing, limit: float) -> list[Measured]:
    """Measure the networks on this machine, the cheapest first, as long as a head on the first still ends in time.

    Raises:
        UserError: there is none, or none can be measured.
    """
    plain = replace(recipe, strategy="auto")  # not "tuned", which would choose other weights
    found, reasons, pace = [], [], Pace(len(pictures.files))
    if not (entries := at_hand(pictures)):
        raise UserError(f"{NOTHING_AT_HAND}or name one as --model.")
    for candidate in sorted((of_entry(plain, entry) for entry in entries), key=multiply_adds):
        began = time.monotonic()
        if found and began + pace.seconds(candidate) + found[0].with_head_alone().run_seconds(listing) > limit:
            break
        try:
            values = measured(candidate, pictures)
        except UserError as error:
            reasons.append(f"{named(candidate)}: {error}")
            continue
        pace.saw(candidate, values["images/s"], time.monotonic() - began)
        say(in_words(candidate, values))
        found.append(Measured(replace(candidate, strategy=recipe.strategy), values))
    if not found:
        raise UserError(f"No network on this machine can be measured. {shown('; '.join(reasons))}")
    return found


def _together(found: Sequence[Measured], pictures: Listing) -> list[Measured]:
    """Measure the best pair and triple of networks, the best of which is the first; none for a recipe that trains."""
    fitting = combinable([one.recipe for one in found])
    by_name = {named(one.recipe): one for one in reversed(found)}
    if len(fitting) < 2:
        return []
    try:
        combined.check(_joined(fitting))
    except UserError:  # what the recipe asks for trains the network
        return []
    teams = together(fitting, [by_name[named(recipe)].values for recipe in fitting], pictures)
    return [Measured(_joined([by_name[name].recipe for name in team["members"]]), team) for team in teams]


def _joined(recipes: Sequence[Recipe]) -> Recipe:
    """Make a recipe of the backbones of several."""
    return replace(recipes[0], alpha=None, image_size=None, **combined.join(recipes))
