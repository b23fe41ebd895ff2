"""Filling a model that is built already from a file, a copy of a builder's model among them.

`keras.models.clone_model`, `copy.deepcopy`, `pickle` and `keras.models.load_model` copy layers and leave out a model's
attributes, so the copy of a network has no `origin`, which says how a file's names and shapes become its own. It is found
again by building the network of the model's name in the forms and widths that are published, without values, until one is
what the copy is.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras

from zoo import origin as origins
from zoo.arguments import check_model, shown
from zoo.builder import BUILDERS, Builder
from zoo.graph import stage_names
from zoo.keras_private import has_graph, without_values
from zoo.layers import CLASSIFIER
from zoo.origin import Origin
from zoo.weights import catalog
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.forms import body_of, layers_of
from zoo.weights.loading import load
from zoo.weights.saved import Saved


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Fill a model of the zoo from a file, strictly, and say so in its `origin`.

    Also the body that `split` made of one, a model made of its layers (`keras.Model(model.input, layer.output)`), and a copy by
    `clone_model`, `copy.deepcopy`, `pickle` or `keras.models.load_model` that has kept the model's name: a copy's origin is
    found again. That takes seconds; `copy.origin = model.origin` tells it. Of a copy of a model of another width than the
    published ones it must be told.

    Raises:
        WeightsError: the file cannot be read, does not fit, or says that it is for another form of the network or for other
            preprocessing; or the model is a copy of unknown origin. Nothing was changed.
    """
    check_model(model, "load_weights")
    if not isinstance(path, (str, os.PathLike)) or not Path(path).expanduser().exists():
        raise WeightsError(
            f"load_weights: there is no weights file {shown(path)}; tags of the catalog, such as 'imagenet', are for a "
            "builder's weights=."
        )
    path, before = Path(path).expanduser(), getattr(model, "origin", None)
    origin = origins.find(model) or _recognized(model, path)
    model.origin = origin and origin.refilled(path)
    try:
        whole = load(model, path, new_classes=False)
    except BaseException as error:
        model.origin = before
        inner = next((layer for layer in model.layers if getattr(layer, "origin", None)), None)
        if isinstance(error, WeightsError) and isinstance(inner, keras.Model):
            raise WeightsError(
                f"{path} does not fit {model.name}, which holds the network {inner.name}: if the file is for that, give "
                f"model.get_layer({inner.name!r}). {error}"
            ) from None
        raise
    if not whole:
        model.origin = origins.of_part(model)


def _recognized(model: keras.Model, path: Path) -> Origin | None:
    """Find the origin of a copy of a builder's network, or of its body; None if it is none.

    Raises:
        WeightsError: it is called as one and has its stages, and no published form of it is the same.
    """
    builder = BUILDERS.get(model.name)
    if not builder or not has_graph(model) or "stage1" not in stage_names(model):
        return None
    mode = Saved(layers_of(model), True).preprocessing({})
    has_classifier = any(layer.name == CLASSIFIER for layer in model.layers)
    rest = {
        "input_shape": model.input_shape[1:],
        "preprocessing": mode,
        "num_classes": model.outputs[0].shape[-1] if has_classifier else 0,
    }
    published = [dict(entry.options) for entry in catalog.entries(model.name)]
    widths = [options for i, options in enumerate(published) if options and options not in published[:i]]
    for options in ({}, *widths):
        for whole in _forms(builder, {**options, **rest}):
            has_sizes = _has_sizes(model, whole)
            if has_sizes and _is_part(model, whole):
                return whole.origin
            if options and not has_sizes:
                break  # it is of another width in all forms
    raise WeightsError(
        f"{model.name} is a copy that does not say where it comes from, and is none of the forms whose weights are "
        f"published, so that nobody can say what {path} must be for it: give it the origin of the model that it is a copy of, "
        "copy.origin = model.origin."
    )


def _forms(builder: Builder, options: Mapping[str, object]) -> Iterator[keras.Model]:
    """Build a network in each of its forms, without values."""
    with without_values():
        first = builder(**options)
    yield first
    for variant in first.origin.variants[1:]:
        with without_values():
            other = builder(**options, variant=variant)
        yield other


def _has_sizes(model: keras.Model, whole: keras.Model) -> bool:
    """Whether the layers that two networks share have weights of the same shapes, but for the classifier."""
    shapes = {layer.name: _shapes(layer) for layer in whole.layers if layer.name != CLASSIFIER}
    return all(_shapes(layer) == shapes.get(layer.name, _shapes(layer)) for layer in model.layers)


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in layer.weights]


def _is_part(model: keras.Model, whole: keras.Model) -> bool:
    """Whether a model is a network up to one of its stages, or all of it, with a head of any kind."""
    theirs, ours = layers_of(model), layers_of(whole)
    body = body_of(theirs)
    if body != body_of(ours, theirs):
        return False
    return all((theirs[name].kind, theirs[name].settings) == (ours[name].kind, ours[name].settings) for name in body)
