"""Several backbones at once: what each says of a picture, side by side, as one network that ends at "pre_logits".

Different networks err on different pictures, so that one head on the features of all is often better than on the best one's
(ComBo, arXiv:2512.01405, which combines frozen backbones by a probe). The network has one input, framed as the largest of them
asks; those that see fewer pixels resize it inside. All of its layers are Keras' own, and none is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import keras
from keras import layers

from recipes.errors import UserError, shown
from recipes.settings.backbones import SEPARATOR, Written, each, read
from recipes.settings.finetune import Recipe
from zoo import facts
from zoo.graph import is_stage
from zoo.layers import stage
from zoo.origin import Origin

# What stands for the licence of a file that says none, beside others.
NOT_STATED = "not stated"
# What may be given for each backbone, as flags.
GIVEN_FOR_EACH = ("weights", "variant", "preprocessing")


@dataclass(frozen=True)
class Combination(Origin):
    """Where a network of several backbones comes from: the framing of the largest; names, joined by "+".

    `parts` are the backbones, each a network of its own from the common input to "pre_logits".
    """

    parts: tuple[keras.Model, ...] = field(repr=False, compare=False, default=())


def members(recipe: Recipe) -> list[Recipe]:
    """List the recipe of each backbone that --model names; one alone is listed, too.

    Raises:
        UserError: --model cannot be read or names one twice; or --weights, --variant or --preprocessing has neither one value
            for all nor one for each.
    """
    names = recipe.model.split(SEPARATOR)
    try:
        found = [read(name) for name in names]
    except ValueError:
        raise UserError(
            "--model takes NAME, NAME:ALPHA or NAME:ALPHA:PIXELS, or several of them joined by +, "
            f"found {shown(recipe.model)!r}."
        ) from None
    for one in found:
        if found.count(one) > 1:
            raise UserError(f"--model names {shown(one)} {found.count(one)} times: give each backbone once.")
    given = {}
    for name in GIVEN_FOR_EACH:
        try:
            given[name] = each(getattr(recipe, name), len(names))
        except ValueError as error:
            raise UserError(
                f"--{name} has {error}, in --model {shown(recipe.model)}: give one for all, or one for each in their order, "
                "joined by +; a place that is left empty stands for what is usual."
            ) from None
    return [
        replace(
            recipe,
            model=one.model,
            alpha=one.alpha or recipe.alpha,
            image_size=one.image_size or recipe.image_size,
            **{name: values[i] for name, values in given.items()},
        )
        for i, one in enumerate(found)
    ]


def own_input(model: str) -> tuple[int, int, int]:
    """Look up the input's shape `(height, width, channels)` of a model whose size nobody has chosen."""
    return next(known.input_shape for known in facts.read() if known.model == model)


def written(recipe: Recipe) -> Written:
    """Write the backbone of a recipe as --model takes it, without a size that is its own."""
    size = recipe.image_size if recipe.image_size != own_input(recipe.model)[0] else None
    return Written(recipe.model, recipe.alpha, size)


def join(recipes: Sequence[Recipe]) -> dict[str, str | None]:
    """Write the backbones of recipes as the values of --model and of what is given for each; `members` reads them."""
    values = {name: [getattr(recipe, name) or "" for recipe in recipes] for name in GIVEN_FOR_EACH}
    joined = {name: SEPARATOR.join(texts) if any(texts) else None for name, texts in values.items()}
    return {"model": SEPARATOR.join(str(written(recipe)) for recipe in recipes)} | joined


def check(recipe: Recipe) -> None:
    """Refuse what trains the network, or reads its last feature map, where there are several.

    Raises:
        UserError: naming the flag; or --model cannot be read.
    """
    found = members(recipe)
    if len(found) == 1:
        return
    trains = {
        "strategy": recipe.strategy not in ("auto", "small"),
        "batch_norm": recipe.batch_norm != "inference",
        "augment": recipe.augment in ("alexnet", "modern"),
        "weights": any(one.weights == "none" for one in found),
    }
    if recipe.pooling != "average":
        raise UserError(
            f"--pooling {recipe.pooling} reads the last feature map of one network, found --model {shown(recipe.model)}: "
            "name one, or leave it out, for each network's own way."
        )
    for name, is_asked in trains.items():
        if is_asked:
            raise UserError(
                f"--{name.replace('_', '-')} {getattr(recipe, name)} is for a network that is trained, and takes one backbone, "
                f"found --model {shown(recipe.model)}: name one, or leave it out, for a head on their frozen features."
            )


def require_one(model: str, what: str) -> None:
    """Refuse several backbones for `what` can do with one alone.

    Raises:
        UserError: --model names several.
    """
    if SEPARATOR in model:
        raise UserError(f"{what} takes one backbone, found {shown(model)}: name one of them.")


def combine(bodies: Sequence[keras.Model], names: Sequence[str]) -> keras.Model:
    """Put networks that end at "pre_logits" beside each other: from one input to all their features, one behind the other.

    They share their layers with what is returned, and lose the names of their earlier stages.

    Args:
        names: of the networks, each another.

    Raises:
        UserError: they see different channels.
    """
    channels = {name: body.input_shape[3] for name, body in zip(names, bodies, strict=True)}
    if len(set(channels.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in channels.items())
        raise UserError(f"Backbones can be combined that see pictures of as many channels, found {found}: leave one out.")
    largest = max(bodies, key=lambda body: body.input_shape[1])
    pixels = keras.Input(largest.input_shape[1:], name="pixels")
    parts, vectors = [], []
    for name, body in zip(names, bodies, strict=True):
        part, vector = _part(body, name, pixels)
        parts.append(part)
        vectors.append(vector)
    side_by_side = layers.Concatenate(name="side_by_side")(vectors)
    model = keras.Model(pixels, stage(side_by_side, "pre_logits"), name="_and_".join(names))
    model.origin = _origin([body.origin for body in bodies], largest.origin, parts)
    return model


def parts_of(model: keras.Model) -> tuple[keras.Model, ...]:
    """Return the backbones of a network of several; none of one that is alone."""
    origin = getattr(model, "origin", None)
    return origin.parts if isinstance(origin, Combination) else ()


def pixels_of(part: keras.Model) -> int:
    """Return how many pixels wide one of several backbones sees the picture."""
    return next((layer.height for layer in part.layers if isinstance(layer, layers.Resizing)), part.input_shape[1])


def widths(model: keras.Model) -> tuple[int, ...]:
    """Count the features of each of several backbones, in their order; none of one that is alone."""
    return tuple(part.output_shape[-1] for part in parts_of(model))


def _origin(origins: Sequence[Origin], largest: Origin, parts: Sequence[keras.Model]) -> Combination:
    """Put together where several networks come from, who allows what, and all that is to be cited."""
    joined = {
        name: SEPARATOR.join(getattr(origin, name) for origin in origins) for name in ("name", "variant", "preprocessing")
    }
    files, licenses = [origin.weights for origin in origins], [origin.license for origin in origins]
    return Combination(
        **joined,
        weights=SEPARATOR.join(files) if all(files) else None,
        size=largest.size,
        resize=largest.resize,
        interpolation=largest.interpolation,
        license=", ".join(dict.fromkeys(text or NOT_STATED for text in licenses)) if any(licenses) else None,
        citations=tuple(dict.fromkeys(citation for origin in origins for citation in origin.citations)),
        parts=tuple(parts),
    )


def _part(body: keras.Model, name: str, pixels: keras.KerasTensor) -> tuple[keras.Model, keras.KerasTensor]:
    """Make a backbone see common pixels; gives it, and its features in the common network."""
    size = body.input_shape[1]
    for layer in body.layers:
        if is_stage(layer) and layer.name != "pre_logits":  # there is one place where the common network can be cut
            layer.name = f"{name}_{layer.name}"
    features = body.get_layer("pre_logits").input
    is_map = len(features.shape) == 4  # the old classifier was a convolution
    if is_map:
        features = layers.GlobalAveragePooling2D(name="avg_pool")(features)
    inner = keras.Model(body.input, features, name=name)
    if size == pixels.shape[1] and not is_map:
        return body, inner(pixels)
    seen = pixels
    if size != pixels.shape[1]:
        # Without `training`, Resizing says it is training to all layers behind it (Keras 3.15), and batch norms adapt.
        seen = layers.Resizing(size, size, antialias=True, name=f"{name}_pixels")(pixels, training=False)
    vector = inner(seen)
    part = keras.Model(pixels, stage(vector, "pre_logits"), name=name)
    part.origin = body.origin
    return part, vector
