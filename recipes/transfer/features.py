"""One pass through the frozen backbone, kept on disk by content.

What a frozen layer gives for a picture never changes, so it is computed once and shared by every head, phase, run and
process. A row is keyed by the file's bytes and the view of it; its folder by everything else that it depends on:
decoder, framing, graph, weights, cut, backend and engine. So nothing stale can be found there.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes.compute import engines
from recipes.compute.engines import Engine, EngineName
from recipes.compute.pipeline import batched
from recipes.data.dataset import Dataset
from recipes.data.images import DECODER_VERSION, Framing
from recipes.data.key_index import digests_of
from recipes.data.store import KEYS_AT_ONCE, Rows, SideBySide, Store
from recipes.data.views import CENTER, View
from recipes.transfer.combined import parts_of
from recipes.transfer.passes import Passing, Shown, counted, here, keep, passed
from zoo.files import cache_folder
from zoo.progress import Progress
from zoo.weights.forms import layers_of

# Index of a picture, and what is seen of it.
Sample = tuple[int, View]


@dataclass(frozen=True)
class Samples:
    """All of some pictures as one view shows them, and then others, or the same, as another does: an iterable of Sample.

    Args:
        blocks: pairs of a view and the indices of pictures, `(pictures,)`.
    """

    blocks: Sequence[tuple[View, np.ndarray]]

    def __len__(self) -> int:
        return sum(len(images) for _, images in self.blocks)

    def __iter__(self) -> Iterator[Sample]:
        return ((int(index), view) for view, images in self.blocks for index in images)


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
    samples: Sequence[Sample] | Samples,
    batch_size: int,
    rates: list[float] | None = None,
    engine: EngineName = "auto",
    passing: Passing = here,
) -> dict[Cut, Rows]:
    """Compute the features of each sample at each cut, `(samples, ...)`, float32, in one pass.

    Of several backbones at once each has a pass, and a place in the cache, of its own.

    Args:
        rates: gets the images per second of each batch that was computed; nothing of several backbones.
        passing: in this process, or on a cluster.

    Raises:
        UserError: the cache cannot be written or has too little room, or the engine cannot be had.
    """
    if parts := parts_of(model):
        found = [extract(part, cuts, data, samples, batch_size, engine=engine, passing=passing) for part in parts]
        return {cut: SideBySide([rows[cut] for rows in found]) for cut in cuts}
    name = engines.planned(engine, model)
    stores = stores_of(model, cuts, data.framing, name)

    def keys() -> Iterator[str]:  # one at a time: all of them would take more memory than all else that is known of a picture
        return (key_of(data.digests[index], view) for index, view in samples)

    is_lacking = lacking(stores, keys())
    if todo := int(is_lacking.sum()):
        for store in stores:
            store.require_room(todo)
        way = passing(up_to(model, cuts), batch_size, engine)
        if way.name != name:  # it was planned, and cannot compute this network
            return extract(model, cuts, data, samples, batch_size, rates, engines.KERAS, passing)
        pictures = (Shown(data.pixels, *at, key) for at, key in compress(zip(samples, keys(), strict=True), is_lacking))
        with Progress(label(model, cuts), len(samples), "views") as progress:
            progress.skip(len(samples) - todo)
            keep(stores, counted(way.passed(data.framing, pictures), progress.advance, rates))
    return {cut: store.rows(keys()) for cut, store in zip(cuts, stores, strict=True)}


def key_of(digest: str, view: View) -> str:
    """Name a view of a picture among the features."""
    return f"{digest} {view}"


def label(model: keras.Model, cuts: Sequence[Cut]) -> str:
    """Name a pass for its progress."""
    return f"{model.name} up to {', '.join(map(str, cuts))}"


def stores_of(model: keras.Model, cuts: Sequence[Cut], framing: Framing, engine: str) -> list[Store]:
    """Open the place of each cut's features in the cache. Raises UserError where that cannot be written."""
    return [Store(folder(model, cut, framing, engine), tuple(cut.output(model).shape[1:]), "float32") for cut in cuts]


def lacking(stores: Sequence[Store], keys: Iterable[str]) -> np.ndarray:
    """Say of keys whether a store lacks them, `(keys,)`, bool; of one that comes more than once, where it comes first."""
    names, lacks = [], []
    for some in batched(keys, KEYS_AT_ONCE):
        names.append(digests_of(some))
        lacks.append(~np.all([store.has(some) for store in stores], axis=0))
    is_first = np.zeros(sum(map(len, names)), bool)
    is_first[np.unique(np.concatenate(names), return_index=True)[1]] = True
    return np.concatenate(lacks) & is_first


def bytes_to_cache(
    model: keras.Model, cuts: Sequence[Cut], framing: Framing, rows: int, keys: Sequence[str], engine: EngineName
) -> int:
    """Count the bytes that so many rows at each cut will take, but for those of some keys that are kept already.

    Raises:
        UserError: the cache cannot be written.
    """
    stores = stores_of(model, cuts, framing, engines.planned(engine, model))
    return sum(max(0, rows - int(store.lists(keys).sum())) * store.stored_bytes for store in stores)


def up_to(model: keras.Model, cuts: Sequence[Cut]) -> keras.Model:
    """Make a network of the same name that gives the features at the cuts."""
    return keras.Model(model.input, [cut.output(model) for cut in cuts], name=model.name)


def center_features(model: keras.Model, cut: Cut, data: Dataset, batch_size: int, engine: EngineName = "auto") -> Rows:
    """Compute the features of every picture at the cut, as evaluation sees it."""
    samples = Samples([(CENTER, np.arange(len(data.paths)))])
    return extract(model, [cut], data, samples, batch_size, engine=engine)[cut]


def forward(
    engine: Engine, data: Dataset, samples: Sequence[Sample], progress: Progress, rates: list[float] | None = None
) -> list[np.ndarray]:
    """Compute an engine's outputs for each sample, in memory, one array `(samples, ...)` an output."""
    pictures = (Shown(data.pixels, index, view) for index, view in samples)
    batches = [batch.outputs for batch in counted(passed(engine, data.framing, pictures), progress.advance, rates)]
    return [np.concatenate(output) for output in zip(*batches, strict=True)]


def folder(model: keras.Model, cut: Cut, framing: Framing, engine: str) -> Path:
    """Name the folder of a cut's features by everything that they depend on besides the picture."""
    body, origin = zoo.features(model, [cut.stage]), model.origin
    network = (origin.name, origin.variant, model.input_shape, str(cut), graph(body))
    parts = (DECODER_VERSION, framing, *network, keras.backend.backend(), keras.config.floatx(), engine, engines.VERSION)
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
