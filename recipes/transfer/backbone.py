"""The pretrained network that a recipe asks for, and the same with a new classifier."""

import inspect
from collections.abc import Sequence
from functools import partial

import keras

import zoo
from recipes.data.dataset import Dataset
from recipes.data.images import Framing
from recipes.data.sources.listing import Listing
from recipes.errors import UserError
from recipes.settings.backbones import Written
from recipes.settings.finetune import Recipe
from recipes.transfer.combined import combine, members, own_input, parts_of, pixels_of
from zoo.heads import shorten, standardized
from zoo.migrating import unknown_model
from zoo.weights import catalog, tags


def backbone(recipe: Recipe) -> keras.Model:
    """Build the pretrained network without its classifier; of several, one network that gives the features of all.

    Raises:
        UserError: no such model or weights, or they do not go together.
    """
    found = members(recipe)
    bodies = [_single(one) for one in found]
    if len(bodies) == 1:
        return bodies[0]
    names = [str(Written(one.model, one.alpha, one.image_size)).replace(":", "_") for one in found]
    return combine(bodies, names)


def _single(recipe: Recipe) -> keras.Model:
    """Build one network without its classifier. Raises UserError."""
    options = builder_options(recipe.model, recipe.alpha)
    options |= {"weights": _weights(recipe), "variant": recipe.variant, "preprocessing": recipe.preprocessing}
    if recipe.image_size:
        options["input_shape"] = (recipe.image_size, recipe.image_size, own_input(recipe.model)[2])
    try:
        return zoo.get_model(recipe.model, num_classes=0, **options)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error


def new_head(recipe: Recipe, body: keras.Model, data: Dataset | Listing, pooling: str | None = None) -> keras.Model:
    """Put the recipe's classifier, untrained, on the network: on an earlier stage, if the recipe's tuned head sees that.

    Raises:
        UserError: the network has nothing to pool, or no such stage.
    """
    activation, tuned = data.task.activation, recipe.tuned
    if tuned:
        try:
            body = shorten(body, tuned.cut) if tuned.cut != "pre_logits" else body
        except ValueError as error:  # a sentence already
            raise UserError(f"The tuned head does not fit --model {recipe.model}: {error}") from error
        head = partial(standardized, units=tuned.units if tuned.kind == "hidden" else 0)
        return zoo.new_head(body, len(data.classes), tuned.dropout, activation, head)
    try:
        return zoo.new_head(body, len(data.classes), 0.0, activation, recipe.head, pooling or recipe.pooling)
    except ValueError as error:  # a sentence already
        raise UserError(f"--pooling {recipe.pooling}: {error}") from error


def _weights(recipe: Recipe) -> str | None:
    """Choose which weights to ask for: if the recipe does not say, the first that allow commercial use. Raises UserError."""
    if recipe.strategy == "scratch":
        if recipe.weights not in (None, "none"):
            raise UserError("--strategy scratch starts at random: leave out --weights, or choose another strategy.")
        return None
    if recipe.weights == "none":
        if recipe.strategy != "auto":
            raise UserError(
                f"--strategy {recipe.strategy} freezes layers that --weights none leaves untrained: "
                "give weights, or --strategy scratch."
            )
        return None
    if recipe.weights is not None:
        return recipe.weights
    fitting = [entry for entry in catalog.entries(recipe.model) if recipe.variant in (None, entry.variant)]
    if not fitting:
        form = f" for --variant {recipe.variant}" if recipe.variant else ""
        raise UserError(f"{recipe.model} has no published weights{form}: give a file as --weights, or --strategy scratch.")
    return first_tag(fitting)


def first_tag(entries: Sequence[catalog.Entry]) -> str:
    """Choose the first of a model's entries that may be taken unasked. Raises UserError: there is none."""
    known = [entry.tag for entry in entries if entry.commercial]
    if not known:
        raise UserError(f"{entries[0].model} has no weights by default: {tags.must_be_named(entries)}, as --weights.")
    return known[0]


def framing(body: keras.Model) -> Framing:
    """Say how a picture becomes the network's input; the short side before the crop is in the weights' own proportion."""
    size, origin = body.input_shape[1], body.origin
    return Framing(size, round(size * origin.resize / origin.size), body.input_shape[3], origin.interpolation)


def other_sizes(body: keras.Model) -> list[str]:
    """Say of which weights it is known that they were trained at another size than they run at, in a sentence each."""
    parts = [(part.origin, pixels_of(part)) for part in parts_of(body)] or [(body.origin, body.input_shape[1])]
    return [
        f"The weights of {origin.name} were trained at {origin.trained_size} × {origin.trained_size} pixels and see "
        f"{size} × {size} here: whether that costs accuracy, a run at their own size tells."
        for origin, size in parts
        if origin.trained_size not in (None, size)
    ]


def builder_options(model: str, alpha: float | None) -> dict:
    """Collect the arguments that only some builders take, as far as they were given.

    Raises:
        UserError: there is no such model, or it has no width multiplier.
    """
    if model not in zoo.MODELS:
        raise UserError(unknown_model(model, zoo.MODELS))
    if alpha is None:
        return {}
    if "alpha" not in inspect.signature(zoo.MODELS[model]).parameters:
        raise UserError(f"--alpha does not apply to {model}: only MobileNet V1 to V3 have a width multiplier.")
    return {"alpha": alpha}
