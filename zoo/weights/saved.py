"""What a file that Keras wrote tells of its network beside the values: layers, settings, preprocessing and framing.

| file | tells |
|---|---|
| `.keras`, whole models in `.h5` | every layer with its settings and inputs; a run's model also how pictures are framed |
| `.weights.h5`, weights in `.h5` | the names of all layers, those without weights among them |

Others hold names of weights alone. Nothing in a file is executed.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.preprocessing import Mode, named
from zoo.weights.formats.containers import HDF5, ZIP, container_of
from zoo.weights.formats.tensors import Tensors, WeightsError

# Bytes of JSON; that of the largest network here has two million.
MAX_DESCRIPTION = 64 << 20
# Settings that change no answer of a trained network, or that show in the shapes of its weights, where errors tell more.
IGNORED = re.compile(
    r"name|trainable|dtype|momentum|seed|rate|noise_shape|(batch_)?(input_)?shape|batch_input_shape|sparse|ragged|optional|"
    r"synchronized|renorm.*|fused|virtual_batch_size|lora_.*|quantiz.*|.*_(initializer|regularizer|constraint)|"
    r"filters|units|depth_multiplier|target_shape|input_dim|output_dim|output_shape|input_length|mask_zero|beta_.*|gamma_.*"
)
# Layers in front of the first kernel that leave evaluated pixels as they are.
NEUTRAL = ("inputlayer", "zeropadding2d", "identity", "dropout", "resizing", "centercrop", "flip")


@dataclass(frozen=True)
class Layer:
    """One layer, or one operation of `keras.ops`."""

    kind: str  # the class' name, as `plain` writes it
    settings: Mapping[str, Any] = field(default_factory=dict)  # those that can change an answer
    inputs: tuple[str, ...] = ()  # names of the layers whose outputs it sees
    shape: tuple[int | None, ...] | None = None  # of the network's input, where this is one
    seen: tuple[int | None, ...] | None = None  # shape of what the layer sees, batch first, where the file tells


@dataclass(frozen=True)
class Framing:
    """How pictures become inputs: the short side resized to `resize`, then `size` cut from the centre."""

    size: int
    resize: int
    interpolation: str


@dataclass(frozen=True)
class Terms:
    """Under what licence the weights were published that a run began with, and what to cite."""

    license: str | None
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Saved:
    """What the file tells; `layers` are in the network's order if their settings are known, else in none."""

    layers: Mapping[str, Layer]
    has_settings: bool
    framing: Framing | None = None
    classes: tuple[str, ...] = ()  # names of a run's classes, in the order of the outputs
    terms: Terms | None = None  # of the weights that a run began with

    @property
    def is_own(self) -> bool:
        """Whether a builder of this zoo made the network: they alone name their stages so."""
        return "stage1" in self.layers

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Shape of what the network sees, without the batch: of the innermost, where models are nested."""
        shapes = [layer.shape for _, layer in self._front() if layer.shape]
        return shapes[-1] if shapes and len(shapes[-1]) == 3 else None

    @property
    def head(self) -> frozenset[str]:
        """Names of the layers behind "pre_logits"."""
        names = list(self.layers)
        return frozenset(names[names.index("pre_logits") + 1 :] if self.has_settings and "pre_logits" in names else ())

    def preprocessing(self, tensors: Tensors) -> Mode | None:
        """Read the preprocessing inside the network; None if there is none, and pixels were prepared elsewhere.

        Raises:
            WeightsError: a layer in front of the first kernel is none that can be read.
        """
        if not self.has_settings:
            return None
        channels = (self.input_shape or (None, None, 3))[2] or 3
        scale, offset, flips, found = np.ones(channels), np.zeros(channels), 0, self.is_own
        for name, layer in self._front():
            if layer.kind == "flip":
                flips += 1
            if layer.kind in NEUTRAL or layer.kind.startswith("random"):
                continue
            by, plus = _affine(name, layer, tensors)
            order = slice(None, None, -1 if flips % 2 else 1)
            by, plus, found = np.broadcast_to(by, channels)[order], np.broadcast_to(plus, channels)[order], True
            scale, offset = scale * by, offset * by + plus
        return named(scale.tolist(), offset.tolist(), bool(flips % 2)) if found or flips else None

    def _front(self) -> list[tuple[str, Layer]]:
        """List the layers in front of the first kernel."""
        front = []
        for name, layer in self.layers.items() if self.has_settings else ():
            if "kernel_size" in layer.settings or layer.kind == "dense":
                break
            front.append((name, layer))
        return front


def read(path: str | os.PathLike) -> Saved | None:
    """Read what the file tells of its network; None if it is of another kind, or tells nothing.

    Raises:
        WeightsError: its description is damaged, or too large.
    """
    kind = container_of(path)
    if kind == ZIP:
        with zipfile.ZipFile(path) as archive:
            return _of_keras(archive)
    return _of_hdf5(path) if kind == HDF5 else None


def described(config: Mapping) -> dict[str, Layer]:
    """List the layers of a functional or sequential model's configuration, those of nested models in their place."""
    return dict(_flat(config))


def _of_keras(archive: zipfile.ZipFile) -> Saved | None:
    if "config.json" not in archive.namelist():
        return None
    layers = described(_json(archive, "config.json").get("config", {}))
    if not layers:
        return None
    members = archive.namelist()
    framing = _framing(archive) if "framing.json" in members else None
    classes = _classes(archive) if "classes.json" in members else ()
    return Saved(layers, True, framing, classes, _terms(archive) if "origin.json" in members else None)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > MAX_DESCRIPTION:
        raise WeightsError(f"has a {name} of more than {MAX_DESCRIPTION >> 20} MB: it describes no network.")
    return json.loads(archive.read(name))


def _framing(archive: zipfile.ZipFile) -> Framing:
    values = _json(archive, "framing.json")
    try:
        size, resize, interpolation = (values[name] for name in ("size", "resize", "interpolation"))
        if not (0 < size <= resize and isinstance(interpolation, str)):
            raise ValueError
        return Framing(int(size), int(resize), interpolation)
    except (KeyError, TypeError, ValueError):
        raise WeightsError("has a framing.json that does not say how pictures are framed: it is damaged.") from None


def _classes(archive: zipfile.ZipFile) -> tuple[str, ...]:
    names = _json(archive, "classes.json")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WeightsError("has a classes.json that is no list of names: it is damaged.")
    return tuple(names)


def _terms(archive: zipfile.ZipFile) -> Terms:
    values = _json(archive, "origin.json")
    license, citations = (values.get(name) for name in ("license", "citations")) if isinstance(values, dict) else (0, 0)
    is_list = isinstance(citations, list) and all(isinstance(citation, str) for citation in citations)
    if not (is_list and (license is None or isinstance(license, str))):
        raise WeightsError("has an origin.json that does not say licence and citations: it is damaged.")
    return Terms(license, tuple(citations))


def _of_hdf5(path: str | os.PathLike) -> Saved | None:
    import h5py

    with h5py.File(path, "r") as file:
        if "model_config" in file.attrs:
            if file.attrs.get_id("model_config").get_storage_size() > MAX_DESCRIPTION:
                raise WeightsError(f"has a model_config of more than {MAX_DESCRIPTION >> 20} MB: it describes no network.")
            layers = described(json.loads(file.attrs["model_config"]).get("config", {}))
            if layers:
                return Saved(layers, True)
        if "layer_names" in file.attrs:
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in file.attrs["layer_names"]]
            groups = (_own_group(file, name) for name in names)
            is_full = any(group is not None and not len(group.attrs.get("weight_names", ())) for group in groups)
            return Saved({name: Layer("") for name in names}, False) if is_full else None
        if groups := _own_group(file, "layers"):
            layers = dict(_grouped(groups))
            is_full = any(not re.search(r"conv|dense|normalization|embedding", layer.kind) for layer in layers.values())
            return Saved(layers, False) if is_full else None
    return None


def _grouped(group: Any) -> Iterator[tuple[str, Layer]]:
    """List the layers of a `.weights.h5`: a group's name is its layer's class, with a number."""
    for key in group:
        if layers := _own_group(group, f"{key}/layers"):  # a model within the model
            yield from _grouped(layers)
        elif variables := _own_group(group, f"{key}/vars"):
            yield variables.attrs.get("name", key), Layer(plain(re.sub(r"_\d+$", "", key)))


def _own_group(group: Any, name: str) -> Any:
    """Get a group of that name; None if there is none, or a link that may lead out of the file."""
    import h5py

    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            return None
        group = group[part]
    return group


def _flat(config: Mapping) -> Iterator[tuple[str, Layer]]:
    previous = ()
    for layer in config.get("layers", ()):
        inner = layer.get("config", {})
        name = inner.get("name", layer.get("name", ""))
        if isinstance(inner.get("layers"), list):
            yield from _flat(inner)
        else:
            settings = {key: _value(value) for key, value in inner.items() if not IGNORED.fullmatch(key)}
            inputs = tuple(_inputs(layer["inbound_nodes"])) if layer.get("inbound_nodes") else previous
            shape = inner.get("batch_shape") or inner.get("batch_input_shape")
            seen = (layer.get("build_config") or {}).get("input_shape")
            kind = plain(layer["class_name"])
            yield (
                name,
                Layer(
                    kind, settings, inputs, tuple(shape[1:]) if shape and kind == "inputlayer" else None, seen and tuple(seen)
                ),
            )
        previous = (name,)


def plain(kind: str) -> str:
    """Write a class' name as it and the groups of a `.weights.h5` spell it: `ZeroPadding2D`, `zero_padding2d`."""
    return kind.replace("_", "").lower()


def _value(value: Any) -> Any:
    """Take a setting out of the wrapping that functions and their like have; numbers are compared as numbers."""
    if isinstance(value, dict) and isinstance(value.get("config"), str):
        return value["config"]
    return [_value(item) for item in value] if isinstance(value, list | tuple) else value


def _inputs(nodes: Any) -> Iterable[str]:
    """Find the layers that a call sees, in Keras 3's form and in that of before."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        else:
            for value in nodes.values():
                yield from _inputs(value)
    elif isinstance(nodes, list | tuple):  # a tuple before it is written, a list in a file
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int) and isinstance(nodes[2], int):
            yield nodes[0]
        else:
            for value in nodes:
                yield from _inputs(value)


def _affine(name: str, layer: Layer, tensors: Tensors) -> tuple[Any, Any]:
    """Read (factor, summand) of a layer that scales pixels."""
    settings = layer.settings
    if layer.kind == "rescaling":
        return np.array(settings["scale"], float), np.array(settings["offset"], float)
    if layer.kind == "normalization" and not settings.get("invert"):
        mean, variance = settings.get("mean"), settings.get("variance")
        if mean is None or variance is None:  # fitted to pictures: values of the file
            keys = [(f"{name}/{index}", f"{name}/{word}") for index, word in enumerate(("mean", "variance"))]
            mean, variance = (np.asarray(tensors[key if key in tensors else other]) for key, other in keys)
        mean, variance = np.ravel(np.array(mean, float)), np.ravel(np.array(variance, float))
        scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
        return scale, -mean * scale
    raise WeightsError(f"prepares pixels by {name!r}, a {layer.kind} that cannot be read as numbers")
