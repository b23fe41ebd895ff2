"""The choice of a backbone, or of several at once, by their probes on the training part: `--model auto`.

Everything is chosen inside the training part that the recipe itself has, with its own shares and seed: what the run reports
of the other parts nobody has looked at before. A budget is for the choice and the run together.
"""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence

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
from recipes.transfer.candidates import NONE, at_hand
from recipes.transfer.contenders import Pace, combinable, measured, multiply_adds, named, of_entry, quality, sampled, together
from recipes.transfer.trials import CLOSING_SECONDS

AUTO = "auto"
# What belongs to a network that is named.
OF_A_NETWORK = ("weights", "alpha", "variant", "preprocessing", "image_size", "tuned", "fine_tuning")


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
    pictures = sampled(listing, recipe, Ranking.sample)
    limit = start + seconds(recipe.budget) if recipe.budget else math.inf
    contenders = _measured(recipe, pictures, len(listing.files), limit)
    in_time = [one for one in contenders if time.monotonic() + _finish(*one, len(listing.files)) <= limit]
    taken, values = max(
        in_time or [min(contenders, key=lambda one: _finish(*one, len(listing.files)))], key=lambda one: quality(one[1])
    )
    say(
        "--model auto: {} is the best of {}: {accuracy:.1%} ({low:.1%} to {high:.1%}), {images/s:.0f} images/s.".format(
            shown(taken.model), len(in_time) or len(contenders), **values
        )
    )
    return taken


def _check(recipe: Recipe) -> None:
    """Refuse, with a UserError, what cannot be had before the network is known."""
    for name in OF_A_NETWORK:
        if getattr(recipe, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} belongs to a network that is named, found --model auto: name it.")
    if recipe.strategy == "scratch":
        raise UserError("--strategy scratch starts at random, and --model auto compares pretrained networks: name a model.")


def _measured(recipe: Recipe, pictures: Listing, images: int, limit: float) -> list[tuple[Recipe, Mapping]]:
    """Measure the networks on this machine, the cheapest first, and the best pair and triple where they can be had.

    Raises:
        UserError: there is none, or none can be measured.
    """
    plain = dataclasses.replace(recipe, strategy="auto")  # not "tuned" or "scratch", which would choose other weights
    found, reasons, pace = [], [], Pace(len(pictures.files))
    if not (entries := at_hand(pictures)):
        raise UserError(f"{NONE}or name one as --model.")
    for candidate in sorted((of_entry(plain, entry) for entry in entries), key=multiply_adds):
        began = time.monotonic()
        # Its own run must end in time, too: the pictures pass once more.
        needed = pace.seconds(candidate) * (1 + images / len(pictures.files)) + CLOSING_SECONDS
        if found and began + needed > limit:
            break
        try:
            values = measured(candidate, pictures)
        except UserError as error:
            reasons.append(f"{named(candidate)}: {error}")
            continue
        pace.saw(candidate, values["images/s"], time.monotonic() - began)
        say("{}: accuracy {accuracy:.1%} ({low:.1%} to {high:.1%}), {images/s:.0f} images/s".format(named(candidate), **values))
        found.append((dataclasses.replace(candidate, strategy=recipe.strategy), values))
    if not found:
        raise UserError(f"No network on this machine can be measured. {shown('; '.join(reasons))}")
    return found + _together(sorted(found, key=lambda one: quality(one[1]), reverse=True), pictures)


def _together(found: list[tuple[Recipe, Mapping]], pictures: Listing) -> list[tuple[Recipe, Mapping]]:
    """Measure the best pair and triple of the networks that were measured, the best first; none for a recipe that trains."""
    fitting = combinable([recipe for recipe, _ in found])
    by_name = {named(recipe): (recipe, values) for recipe, values in reversed(found)}
    try:
        combined.check(_joined(fitting))
    except UserError:  # what the recipe asks for trains the network
        return []
    if len(fitting) < 2:
        return []
    teams = together(fitting, [by_name[named(recipe)][1] for recipe in fitting], pictures)
    return [(_joined([by_name[name][0] for name in team["members"]]), team) for team in teams]


def _joined(recipes: Sequence[Recipe]) -> Recipe:
    """Make a recipe of the backbones of several."""
    return dataclasses.replace(recipes[0], alpha=None, image_size=None, **combined.join(recipes))


def _finish(recipe: Recipe, values: Mapping, images: int) -> float:
    """Estimate the seconds of the run itself: a head passes the pictures once, more than that needs their views."""
    is_head = SEPARATOR in recipe.model or recipe.strategy == "small"
    return CLOSING_SECONDS + (1 if is_head else 1 + len(VIEWS)) * images / values["images/s"]
