"""Cutting, freezing and regularizing a built model: what is said with stages, of any architecture.

A stage is an `Identity` layer called "stage1", "stage2", … or "pre_logits" (`layers.stage`). Everything a strategy does with a
network is said with stage names: `split` cuts there, `freeze` stops training before it, features are what comes out of it. The
network may lie inside another model, as in Keras' guide to transfer learning: inputs, network, pooling, dense layer.
"""

from collections.abc import Iterable, Sequence

import keras

from zoo.arguments import check_layer_name, check_model, penalty, shown
from zoo.graph import before, inside, ordered, penalized, stage_names, walk
from zoo.keras_private import calls, has_graph, input_of
from zoo.origin import of_part
from zoo.pixels import watch_part


def stages(model: keras.Model) -> list[str]:
    """Names of the model's cuts, from input to output; the last of a network of the zoo is "pre_logits".

    Those of a network inside the model are among them. A user's own `Identity` is none, whatever its name, but for the names
    that make a stage of a user's own network, too: "stage1", "stage2", … and "pre_logits".

    Raises:
        ValueError: it is neither functional nor Sequential, so that nobody can say what comes first.
    """
    check_model(model, "stages")
    return stage_names(model)


def split(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Cut the model behind `at`: (body, head), two models that share its layers.

    `at` is a stage, or any other layer that everything passes through. Training the head on the body's output trains
    `model` itself. Auxiliary outputs are left out.

    Raises:
        ValueError: there is no such layer, or the network cannot be cut there.
    """
    check_model(model, "split")
    check_layer_name(at, "split: at must be the name of a stage or layer, such as 'stage4'")
    cut = _cuts(model, [at])[0]
    body = keras.Model(input_of(model), cut)
    body.origin = of_part(model)
    watch_part(body, model)
    return body, _head(model, at, cut)


def features(model: keras.Model, stages: Sequence[str] | None = None) -> keras.Model:
    """Make a model that shares the layers and has one output for each of `stages` (default: all), in that order.

    The outputs are `(batch, height, width, channels)`, a transformer's `(batch, tokens, channels)`; that of "pre_logits"
    is `(batch, channels)`, except where the classifier is a convolution. They come as a list, or alone if there is one.
    `zoo.facts` knows the stride and the channels of each.

    >>> pyramid = zoo.features(zoo.resnet50(weights="imagenet"), stages=["stage2", "stage3", "stage4"])
    >>> [output.shape for output in pyramid.outputs]
    [(None, 28, 28, 512), (None, 14, 14, 1024), (None, 7, 7, 2048)]

    Raises:
        ValueError: one of them is no stage of the model, or there is none.
    """
    check_model(model, "features")
    if isinstance(stages, str) or not isinstance(stages, Iterable | None):
        raise ValueError(f"features: stages must be a list of names, such as ['stage2', 'stage4'], found {shown(stages)}.")
    names = stage_names(model) if stages is None else list(stages)
    if not names:
        found = f": {model.name} has none" if stages is None else ""
        raise ValueError(f"features needs one stage or more{found}.")
    cuts = _cuts(model, names)
    # In a list, a single output would stay in it where another model calls this one.
    pyramid = keras.Model(input_of(model), cuts if len(cuts) > 1 else cuts[0], name=f"{model.name}_features")
    watch_part(pyramid, model)
    return pyramid


def freeze(model: keras.Model, until: str | None) -> None:
    """Make untrainable every layer that the stage `until` depends on, and trainable all others; None frees all.

    Around a network of the zoo (a Sequential model, Keras' guide, a model in a model) it works on the network inside. Call
    `compile` afterwards: Keras applies `trainable` when it compiles. A frozen `BatchNormalization` uses its
    moving statistics and leaves them alone.

    Raises:
        ValueError: the model has no such stage or layer, has several of that name, or is neither functional nor Sequential;
            the sentence names the network inside it to give instead.
    """
    check_model(model, "freeze")
    if until is not None:
        check_layer_name(until, "freeze: until must be the name of a stage or layer, such as 'stage4', or None")
    frozen = {id(layer) for layer in before(model, until)}
    _set_trainable(model, frozen, until)


def regularize(model: keras.Model, l2: float, l1: float = 0.0) -> None:
    """Put a penalty of l2 · Σ w² + l1 · Σ |w| on every kernel of a built model; biases, norms and embeddings are spared.

    Kernels are those that Keras regularizes by a `*_regularizer`, of recurrent layers and attention as well, and inside
    models and wrappers. Both the layer's and the variable's attribute are set: the variable's acts in training, the layer's
    is what `save` writes. Frozen layers add nothing to the loss.

    Raises:
        ValueError: a layer has no weights yet, or holds a trainable matrix of its own that is no such kernel; a penalty is
            no number, or below 0.
    """
    check_model(model, "regularize")
    l2, l1 = penalty(l2, "regularize: l2"), penalty(l1, "regularize: l1")
    for layer, kernel, attribute in penalized(model):
        kernel.regularizer = keras.regularizers.L1L2(l1, l2) if l1 else keras.regularizers.L2(l2)
        setattr(layer, attribute, kernel.regularizer)


def _set_trainable(model: keras.Model, frozen: set[int], until: str | None) -> None:
    """Freeze the layers of these identities, free all others, and go on inside the model that `until` lies in."""
    model.trainable = True
    holder = None if until is None else inside(model, until)
    # Layer by layer: with TensorFlow, giving a model the value that it has reaches none of its layers.
    for layer in ordered(model) if until is not None else model.layers:
        if layer is holder:
            _set_trainable(layer, frozen, until)
            continue
        for path in [*walk(layer), (layer,)]:
            path[-1].trainable = id(layer) not in frozen


def _cuts(model: keras.Model, names: Sequence[str]) -> list[keras.KerasTensor]:
    """Find the outputs of stages or layers; a model inside this one is called once for all of its own."""
    holders = [inside(model, name) for name in names]
    tensors: dict[str, keras.KerasTensor] = {}
    for holder in {id(one): one for one in holders}.values():
        own = [name for name, other in zip(names, holders, strict=True) if other is holder]
        if holder is None:
            tensors |= {name: _output(model, name) for name in own}
            continue
        call, found = _call(model, holder, own[0]), _cuts(holder, own)
        if len(own) == 1 and found[0] is holder.outputs[0]:  # its end, which is there already
            tensors[own[0]] = call.outputs[0]
        else:
            part = keras.Model(input_of(holder), found, name=f"{holder.name}_until_{own[-1]}")
            outputs = part(*call.arguments.args, **call.arguments.kwargs)
            tensors |= zip(own, keras.tree.flatten(outputs), strict=True)
    return [tensors[name] for name in names]


def _output(model: keras.Model, name: str) -> keras.KerasTensor:
    """Find what a layer of a model's own gives there; what a model inside it calls its output is another tensor."""
    layer = model.get_layer(name)
    return _call(model, layer, name).outputs[0] if has_graph(layer) else layer.output


def _head(model: keras.Model, at: str, cut: keras.KerasTensor) -> keras.Model:
    """Make a model of what lies behind a layer, which has this output."""
    holder = inside(model, at)
    if cut is model.outputs[0]:
        raise ValueError(f"{model.name} cannot be cut at {at!r}: nothing lies behind it.")
    try:
        call = None if holder is None else _call(model, holder, at)
        if call is None or cut is call.outputs[0]:
            return keras.Model(cut, model.outputs[0])
        rest, inputs = _head(holder, at, _cuts(holder, [at])[0]), keras.Input(batch_shape=cut.shape, dtype=cut.dtype)
        x = rest(inputs, **call.arguments.kwargs)
        if call.outputs[0] is not model.outputs[0]:
            x = keras.Model(call.outputs[0], model.outputs[0])(x)
        return keras.Model(inputs, x)
    except ValueError as error:
        raise ValueError(f"{model.name} cannot be cut at {at!r}: other branches run beside it.") from error


def _call(model: keras.Model, holder: keras.Model, name: str) -> object:
    """Find the one call of a model inside another; Keras' node. Raises ValueError for several."""
    found = [call for call in calls(model) if call.operation is holder]
    if len(found) > 1:
        raise ValueError(
            f"{model.name} cannot be cut at {name!r}: it calls {holder.name} {len(found)} times: cut {holder.name} itself."
        )
    return found[0]
