"""What a model is made of, also where models and layers hold others: its layers, kernels, stages, and what lies before one.

A stage is an `Identity` layer called "stage1", "stage2", … or "pre_logits" (`layers.stage`); an `Identity` of any other name is
a user's own. Only a functional or `Sequential` model has an order in which its
layers follow each other; what needs one refuses every other model, by name.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

import keras
from keras import layers

from zoo.keras_private import calls, has_graph, saved_at, sublayers

# A layer's kernels, and where Keras saves their regularizers: the first of these that the layer has.
KERNELS = {
    "kernel": ("kernel_regularizer", "depthwise_regularizer"),
    "depthwise_kernel": ("depthwise_regularizer",),
    "pointwise_kernel": ("pointwise_regularizer",),
    "recurrent_kernel": ("recurrent_regularizer",),
    "lora_kernel_a": ("kernel_regularizer",),
    "lora_kernel_b": ("kernel_regularizer",),
}
# How the name of a matrix ends that is no kernel.
SPARED = ("bias", "gamma", "beta", "alpha", "scale", "embedding", "embeddings", "token", "tokens")

# A layer, after those that it lies in.
Path = tuple[layers.Layer, ...]


def walk(layer: layers.Layer, within: Path = (), seen: set[int] | None = None) -> Iterator[Path]:
    """Visit every layer inside a model or layer once, each after those inside it."""
    seen = set() if seen is None else seen
    for inner in sublayers(layer):
        if id(inner) not in seen:
            seen.add(id(inner))
            yield from walk(inner, (*within, inner), seen)
            yield (*within, inner)


def is_named(path: Path, pattern: str) -> bool:
    """Whether a layer, or one that it lies in, has a name of this pattern."""
    return any(fnmatchcase(layer.name, pattern) for layer in path)


def kernels(model: keras.Model, pattern: str = "*") -> Iterator[tuple[layers.Layer, keras.Variable, str]]:
    """Find what a penalty on weights is for: (layer, kernel, name of its regularizer), without biases, norms, embeddings.

    The layer is the one with which Keras saves the regularizer: where attention has the kernel inside it, the attention.

    Args:
        pattern: of the names of the layers, or of those that they lie in.
    """
    for path, own in _own_weights(model):
        if is_named(path, pattern):
            for kernel, regularizer in _kernels_of(path[-1], own):
                layer, attribute = saved_at(path, regularizer)
                yield layer, kernel, attribute


def penalized(model: keras.Model, pattern: str = "*") -> list[tuple[layers.Layer, keras.Variable, str]]:
    """List `kernels`, where these are all that a penalty must reach.

    Raises:
        ValueError: a layer is not built, or holds a trainable matrix that is no known kernel, and has no penalty either.
    """
    found = list(kernels(model, pattern))
    known = {id(kernel) for _, kernel, _ in found}
    unbuilt = [path[-1].name for path in walk(model) if not path[-1].built and is_named(path, pattern)]
    if unbuilt or not model.built:
        raise ValueError(
            f"{model.name} has no weights yet in {_some(unbuilt) or 'any layer'}: begin a Sequential model with keras.Input, "
            "or call the model on a batch first; what is never called, take out."
        )
    for path, own in _own_weights(model):
        strange = [v.name for v in own if id(v) not in known and _is_strange(v)]
        if strange and is_named(path, pattern):
            raise ValueError(
                f"Layer {path[-1].name!r} ({type(path[-1]).__name__}) of {model.name} holds a trainable matrix that is none of "
                f"Keras' kernels: {_some(strange)}. Give it a `regularizer` of its own, or make the layer untrainable, first."
            )
    return found


def is_stage(layer: layers.Layer) -> bool:
    """Whether the network may be cut at this layer, by design: told by class and name, which survive saving and cloning."""
    return isinstance(layer, layers.Identity) and re.fullmatch(r"stage\d+|pre_logits", layer.name) is not None


def stage_names(model: keras.Model) -> list[str]:
    """Names of the stages of a model and of those inside it, in order. Raises ValueError for a model without a graph."""
    names = []
    for layer in ordered(model):
        if is_stage(layer):
            names.append(layer.name)
        elif has_graph(layer):
            names += stage_names(layer)
    return names


def ordered(model: keras.Model) -> list[layers.Layer]:
    """List the layers of a model's graph, parents first.

    Raises:
        ValueError: it has none.
    """
    if has_graph(model):
        return model.layers
    if isinstance(model, keras.Sequential):
        raise ValueError(f"{model.name} is a Sequential model without a size of input: begin it with keras.Input(shape).")
    raise ValueError(
        f"{model.name} is of the class {type(model).__name__}, whose code alone tells the order of its layers: give "
        f"{_networks_named(model) or 'a functional or Sequential model'}."
    )


def inside(model: keras.Model, name: str) -> keras.Model | None:
    """Find the model inside a model in which the layer of that name lies; None for the model's own.

    Raises:
        ValueError: there is no such layer, there are several, or it lies in a layer whose calls cannot be followed.
    """
    own = next((layer for layer in ordered(model) if layer.name == name), None)
    if own is not None and not is_stage(own):
        return None
    holders = [layer for layer in model.layers if any(_holds(network, name) for network in _networks(layer))]
    places = [model.name] * (own is not None) + [layer.name for layer in holders]
    if len(places) > 1:
        raise ValueError(
            f"{model.name} has several layers {name!r}: in {' and in '.join(places)}: give the one that is meant, such as "
            f"model.get_layer({places[-1]!r})."
        )
    if own is not None:
        return None
    if not holders:
        names = stage_names(model)
        there = (
            f"its stages are {', '.join(names)}" if names else f"it has no stages, such as keras.layers.Identity(name={name!r})"
        )
        raise ValueError(f"{model.name} has no stage {name!r}: {there}.")
    if not has_graph(holders[0]):
        raise ValueError(
            f"{model.name} has {name!r} inside the layer {holders[0].name!r} ({type(holders[0]).__name__}), whose calls "
            f"cannot be followed: give {_networks_named(holders[0])}."
        )
    return holders[0]


def _networks(layer: layers.Layer) -> list[keras.Model]:
    """List the outermost models with a graph in a layer, or the layer itself if it is one."""
    return [layer] if has_graph(layer) else [network for inner in sublayers(layer) for network in _networks(inner)]


def _networks_named(layer: layers.Layer) -> str:
    """Name the models with a graph inside a layer, as what to give; empty without any."""
    names = [repr(network.name) for network in _networks(layer)]
    return f"the functional model inside it, {' or '.join(names)}" if names else ""


def _holds(model: keras.Model, name: str) -> bool:
    return any(path[-1].name == name for path in walk(model))


def before(model: keras.Model, name: str | None) -> list[layers.Layer]:
    """List the layers that a stage or layer depends on, itself among them; a model wholly before it is one of them.

    None has nothing before it.

    Raises:
        ValueError: there is no such layer, or the model has no graph.
    """
    if name is None:
        return []
    holder = inside(model, name)
    if holder is None:
        return _ancestors(model, [model.get_layer(name)])
    return [layer for layer in _ancestors(model, [holder]) if layer is not holder] + before(holder, name)


def _ancestors(model: keras.Model, ends: Iterable[layers.Layer]) -> list[layers.Layer]:
    """List the layers of a graph that lead to one of the ends, and these."""
    wanted = {id(layer) for layer in ends}
    for call in reversed(calls(model)):  # children first
        if id(call.operation) in wanted:
            wanted |= {id(tensor) for tensor in call.input_tensors}
        elif any(id(tensor) in wanted for tensor in call.outputs):
            wanted |= {id(call.operation), *(id(tensor) for tensor in call.input_tensors)}
    return [layer for layer in model.layers if id(layer) in wanted]


def _own_weights(model: keras.Model) -> Iterator[tuple[Path, list[keras.Variable]]]:
    """Go through the layers with the weights that none of the layers inside them has."""
    seen = set()
    for path in [*walk(model), (model,)]:
        own = [variable for variable in path[-1].weights if id(variable) not in seen]
        seen |= {id(variable) for variable in own}
        yield path, own


def _kernels_of(layer: layers.Layer, own: list[keras.Variable]) -> Iterator[tuple[keras.Variable, str]]:
    """Find the kernels among a layer's own weights, and the names of their regularizers."""
    for name, regularizers in KERNELS.items():
        variable = getattr(layer, name, None)
        if any(variable is weight for weight in own) and len(variable.shape) > 1:  # a vector scales channels: it is no kernel
            yield variable, next((r for r in regularizers if hasattr(layer, r)), regularizers[0])


def _is_strange(variable: keras.Variable) -> bool:
    """Whether a weight could be a kernel without being called one."""
    is_matrix = variable.trainable and len(variable.shape) > 1 and variable.regularizer is None
    return is_matrix and not variable.name.endswith(SPARED)


def _some(names: list[str]) -> str:
    """Write the first three of some names."""
    return f"{', '.join(names[:3])}{', ...' if names[3:] else ''}"
