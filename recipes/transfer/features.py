"""One pass through the frozen backbone, kept on disk by content.

What a frozen layer gives for a picture never changes, so it is computed once and shared by every head, phase, run and
process. A row is keyed by the file's bytes and the view of it; its folder by everything else that it depends on:
decoder, framing, graph, weights, cut and backend. So nothing stale can be found there.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes.data.dataset import Dataset
from recipes.data.images import DECODER_VERSION
from recipes.data.store import Rows, SideBySide, Store
from recipes.data.views import CENTER, View, crop
from recipes.transfer.combined import parts_of
from zoo.files import cache_folder
from zoo.progress import Progress
from zoo.weights.forms import layers_of

SHARD_BYTES = 64e6

# Index of a picture, and what is seen of it.
Sample = tuple[int, View]


@dataclass(frozen=True)
class Cut:
    """Where features are taken: a stage's output, or its average over the pixels; the text is part of the cache's keys."""

    stage: str
    pooled: bool = False

    def __str__(self) -> str:
        return f"{self.stage} pooled" if self.pooled else self.stage

    def output(self, model: keras.Model) -> keras.KerasTensor:
        """Return the model's tensor at this cut, averaged over the pixels if pooled."""
        output = model.get_layer(self.stage).output
        return keras.ops.mean(output, axis=tuple(range(1, output.ndim - 1))) if self.pooled else output


def vector_cut(model: keras.Model, stage: str) -> Cut:
    """Cut behind a stage so that each picture gives a vector: pooled, if the stage gives a map."""
    return Cut(stage, pooled=model.get_layer(stage).output.ndim > 2)


def extract(
    model: keras.Model,
    cuts: Sequence[Cut],
    data: Dataset,
    samples: Sequence[Sample],
    batch_size: int,
    rates: list[float] | None = None,
) -> dict[Cut, Rows]:
    """Compute the features of each sample at each cut, `(samples, ...)`, float32, in one pass.

    Of several backbones at once each has a pass, and a place in the cache, of its own.

    Args:
        rates: gets the images per second of each batch that was computed; nothing of several backbones.

    Raises:
        UserError: the cache cannot be written or has too little room.
    """
    if parts := parts_of(model):
        found = [extract(part, cuts, data, samples, batch_size) for part in parts]
        return {cut: SideBySide([rows[cut] for rows in found]) for cut in cuts}
    outputs = [cut.output(model) for cut in cuts]
    shapes = [tuple(output.shape[1:]) for output in outputs]
    stores = [Store(folder(model, cut, data), shape, "float32") for cut, shape in zip(cuts, shapes, strict=True)]
    keys = [f"{data.digests[index]} {view}" for index, view in samples]
    todo = {key: sample for key, sample in zip(keys, samples, strict=True) if any(key not in store for store in stores)}
    if not todo:
        return {cut: store.rows(keys) for cut, store in zip(cuts, stores, strict=True)}
    for store in stores:
        store.require_room(len(todo))
    body = keras.Model(model.input, outputs)
    shard = max(batch_size, int(SHARD_BYTES / (4 * max(map(np.prod, shapes)))) // batch_size * batch_size)
    with Progress(f"{model.name} up to {', '.join(map(str, cuts))}", len(keys), "views") as progress:
        progress.skip(len(keys) - len(todo))
        names = list(todo)
        for start in range(0, len(names), shard):
            part = names[start : start + shard]
            results = forward(body, data, [todo[key] for key in part], batch_size, progress, rates)
            for store, result in zip(stores, results, strict=True):
                new = [row for row, key in enumerate(part) if key not in store]  # the pass may be for another cut's sake
                if new:
                    store.add([part[row] for row in new], result[new])
    return {cut: store.rows(keys) for cut, store in zip(cuts, stores, strict=True)}


def center_features(model: keras.Model, cut: Cut, data: Dataset, batch_size: int) -> Rows:
    """Compute the features of every picture at the cut, as evaluation sees it."""
    return extract(model, [cut], data, [(i, CENTER) for i in range(len(data.paths))], batch_size)[cut]


def forward(
    body: keras.Model,
    data: Dataset,
    samples: Sequence[Sample],
    batch_size: int,
    progress: Progress,
    rates: list[float] | None = None,
) -> list[np.ndarray]:
    """Compute the outputs of `body` for each sample, in memory, one array `(samples, ...)` an output."""
    results = []
    for start in range(0, len(samples), batch_size):
        part, began = samples[start : start + batch_size], time.monotonic()
        # The last batch is filled up with its own first sample: another size would compile the graph again.
        padded = [*part, *[part[0]] * (batch_size - len(part))]
        outputs = body.predict_on_batch(np.stack([crop(data, index, view) for index, view in padded]))
        results.append([np.asarray(output)[: len(part)] for output in keras.tree.flatten(outputs)])
        if rates is not None:
            rates.append(batch_size / (time.monotonic() - began))
        progress.advance(len(part))
    return [np.concatenate(output) for output in zip(*results, strict=True)]


def folder(model: keras.Model, cut: Cut, data: Dataset) -> Path:
    """Name the folder of a cut's features by everything that they depend on besides the picture."""
    body, origin = zoo.features(model, [cut.stage]), model.origin
    network = (origin.name, origin.variant, model.input_shape, str(cut), graph(body))
    parts = (DECODER_VERSION, data.framing, *network, keras.backend.backend(), keras.config.floatx())
    return cache_folder("features") / fingerprint(body, *parts)


def graph(model: keras.Model) -> list[tuple]:
    """List what the layers compute: the same weights in another form of the network give other features."""
    return [(layer.kind, sorted(layer.settings.items())) for layer in layers_of(model).values()]


def fingerprint(model: keras.Model, *parts: object) -> str:
    """Name the model's weights and everything else that a result depends on: values that their `repr` tells apart."""
    digest = hashlib.sha256(repr(parts).encode())
    for variable in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
    return digest.hexdigest()[:24]
