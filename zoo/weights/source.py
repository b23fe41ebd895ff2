"""From the argument `weights=` to a file, and what it says of the network that it is for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from zoo.preprocessing import Mode
from zoo.weights import catalog, loading, saved, tags
from zoo.weights.fetching import fetch
from zoo.weights.files import open_tensors
from zoo.weights.formats.tensors import Tensors, WeightsError, reading
from zoo.weights.forms import Forms, Network, told
from zoo.weights.names import TorchNames
from zoo.weights.published import TF, Card, card_of, entry_of
from zoo.weights.saved import Saved


@dataclass(frozen=True)
class Source:
    """A file of weights, and what it says of the network that it is for."""

    path: Path
    entry: catalog.Entry | None = None  # what was published; None for a file of the user's
    variants: tuple[str, ...] = ()  # forms of the network that a user's file can be for
    layout: str | None = None  # the variant whose PyTorch names it has; None: Keras' names
    saved: Saved | None = None  # what Keras wrote of the network
    card: Card | None = None  # what timm says of it
    preprocessing: Mode | None = None  # what lies in the network that was saved
    unreadable: str | None = None  # why that cannot be read


def resolve(
    network: Network,
    weights: str | os.PathLike,
    options: Mapping[str, object],
    torch_names: TorchNames,
    variant: str | None = None,
) -> Source:
    """Find the file behind a catalog tag or "default" (fetched now) or a path, and what it says.

    Raises:
        WeightsError: neither a tag of this model nor an existing file, or one with names of no known layout.
    """
    tags.check(network.name, weights)
    entry = tags.published(network.name, os.fspath(weights), options, variant)
    if entry:
        return Source(fetch(entry), entry)
    path = Path(weights).expanduser()
    if not (os.fspath(weights) and path.exists()):
        raise tags.unknown(network.name, weights, options)
    return of_file(network, path, options, torch_names)


def of_file(network: Network, path: Path, options: Mapping[str, object], torch_names: TorchNames) -> Source:
    """Read what a file says.

    Raises:
        WeightsError: it cannot be read, has names of no known layout, or is of another network.
    """
    with open_tensors(path) as tensors:
        layout = loading.torch_variant(
            tensors, torch_names, path, network.name, lambda: Forms(network, None).model(next(iter(network.modes)))
        )
        if entry := entry_of(network.name, path, options):
            return Source(path, entry)
        if layout:
            card = card_of(path)
            return Source(path, None, _ported(network, layout, card), layout, card=card)
        with reading(path):
            known = saved.read(path)
        variants = tuple(told(network, path, known, tensors, _fits))
        preprocessing, unreadable = None, None
        try:
            preprocessing = known and known.preprocessing(tensors)
        except WeightsError as error:
            unreadable = str(error)
        return Source(path, None, variants, saved=known, preprocessing=preprocessing, unreadable=unreadable)


def _ported(network: Network, layout: str, card: Card | None) -> tuple[str, ...]:
    """List the forms that files of these PyTorch names are for: some were ported from TensorFlow, with its padding."""
    variants = network.ports.get(layout, (layout,))
    if card and card.architecture:
        return tuple(v for v in variants if (v == "keras") == card.architecture.startswith(TF)) or variants
    return variants


def _fits(model: keras.Model, tensors: Tensors) -> bool:
    """Whether the tensors fill a network without a classifier."""
    _, missing, differing, _ = loading.match(model, tensors, None, new_classes=True)
    return not (missing or differing)
