"""One pass through the frozen backbone, kept on disk by content.

What a frozen layer gives for a picture never changes, so it is computed once and shared by every head, phase, run and
process. A row is keyed by the file's bytes and the view of it; its folder by everything else that it depends on:
decoder, framing, graph, weights, cut and backend. So nothing stale can be found there.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes.data.dataset import Dataset
from recipes.data.images import DECODER_VERSION
from recipes.data.store import Rows, Store
from recipes.data.views import crop
from zoo.files import cache_folder
from zoo.progress import Progress

SHARD_BYTES = 64e6


POOLED = " pooled"  # behind the name of a stage: its output averaged over the pixels, of which only vectors are kept


def extract(
    model: keras.Model,
    cuts: Sequence[str],
    data: Dataset,
    views: Sequence[tuple[int, str]],
    batch_size: int,
    rates: list[float] | None = None,
) -> dict[str, Rows]:
    """The outputs of the stages `cuts`, float32, for each `(index of a picture, view)`, in one pass.

    `rates` gets the images per second of each batch that was computed.
    """
    outputs = [_output(model, cut) for cut in cuts]
    shapes = [tuple(output.shape[1:]) for output in outputs]
    stores = [Store(folder(model, cut, data), shape, "float32") for cut, shape in zip(cuts, shapes, strict=True)]
    keys = [f"{data.digests[index]} {view}" for index, view in views]
    todo = {key: view for key, view in zip(keys, views, strict=True) if any(key not in store for store in stores)}
    if not todo:
        return {cut: store.rows(keys) for cut, store in zip(cuts, stores, strict=True)}
    for store in stores:
        store.require_room(len(todo))
    body = keras.Model(model.input, outputs)
    shard = max(batch_size, int(SHARD_BYTES / (4 * max(map(np.prod, shapes)))) // batch_size * batch_size)
    with Progress(f"{model.name} up to {', '.join(cuts)}", len(keys), "views") as progress:
        progress.skip(len(keys) - len(todo))
        names = list(todo)
        for start in range(0, len(names), shard):
            part = names[start : start + shard]
            results = forward(body, data, [todo[key] for key in part], batch_size, progress, rates)
            for store, result in zip(stores, results, strict=True):
                new = [row for row, key in enumerate(part) if key not in store]  # another cut may have been the cause
                if new:
                    store.add([part[row] for row in new], result[new])
    return {cut: store.rows(keys) for cut, store in zip(cuts, stores, strict=True)}


def _output(model: keras.Model, cut: str) -> keras.KerasTensor:
    output = model.get_layer(cut.removesuffix(POOLED)).output
    return keras.ops.mean(output, axis=tuple(range(1, output.ndim - 1))) if cut.endswith(POOLED) else output


def forward(
    body: keras.Model,
    data: Dataset,
    views: Sequence[tuple[int, str]],
    batch_size: int,
    progress: Progress,
    rates: list[float] | None = None,
) -> list[np.ndarray]:
    """The outputs of `body` for each `(index of a picture, view)`, in memory."""
    results = []
    for start in range(0, len(views), batch_size):
        part, began = views[start : start + batch_size], time.monotonic()
        # The last batch is filled up with its own first view: another size would compile the graph again.
        padded = [*part, *[part[0]] * (batch_size - len(part))]
        outputs = body.predict_on_batch(np.stack([crop(data, index, view) for index, view in padded]))
        results.append([np.asarray(output)[: len(part)] for output in keras.tree.flatten(outputs)])
        if rates is not None:
            rates.append(batch_size / (time.monotonic() - began))
        progress.advance(len(part))
    return [np.concatenate(output) for output in zip(*results, strict=True)]


def folder(model: keras.Model, cut: str, data: Dataset) -> Path:
    """Where the features of a cut lie, by everything that they depend on besides the picture."""
    body = zoo.split(model, cut.removesuffix(POOLED))[0]
    kinds = [type(layer).__name__ for layer in body.layers]  # the same weights may be followed by another pooling
    parts = (
        DECODER_VERSION,
        data.framing,
        model.origin.name,
        model.origin.variant,
        model.input_shape,
        cut,
        kinds,
        keras.backend.backend(),
        keras.config.floatx(),
    )
    return cache_folder("features") / fingerprint(body, *parts)


def fingerprint(model: keras.Model, *parts) -> str:
    """Names the model's weights and everything else that a result depends on: values that their `repr` tells apart."""
    digest = hashlib.sha256(repr(parts).encode())
    for variable in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
    return digest.hexdigest()[:24]
