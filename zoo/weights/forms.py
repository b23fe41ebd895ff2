"""Which form of a network, and which preprocessing, a file of weights is for: read off it, or asked for; never guessed."""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import keras

from zoo.keras_private import without_values
from zoo.preprocessing import MODES, Mode
from zoo.weights import catalog
from zoo.weights.formats.tensors import Tensors, WeightsError
from zoo.weights.saved import Layer, Saved, described

# Names of layers that help training alone, or that hold the preprocessing, which is read by itself.
ASIDE = re.compile(r"aux.*|preprocessing|flip")
PADDED = ("conv2d", "depthwiseconv2d", "separableconv2d")

Size = tuple[int | None, int | None, int]


@dataclass(frozen=True)
class Network:
    """What is known of an architecture's forms."""

    name: str
    modes: Mapping[str, str | None]  # variant → its usual preprocessing; the first variant is the default
    other_modes: Mapping[str, tuple[str, ...]]  # variant → further ones that files outside the catalog need
    ports: Mapping[str, tuple[str, ...]]  # variant of a PyTorch layout → variants whose graphs files of its names are for
    make: Callable[[str, Size], keras.Model]  # (variant, input shape) → the network without its classifier
    size: Size


def layers_of(model: keras.Model) -> dict[str, Layer]:
    """List a model's layers as `saved.read` lists a file's."""
    return described(keras.saving.serialize_keras_object(model)["config"])


def difference(ours: Mapping[str, Layer], saved: Saved, known: Collection[str] = ()) -> str | None:
    """Say where a file's network differs from one of ours, in what changes its answers; None if nowhere that it tells.

    Args:
        known: the bodies' layers of all forms, which tell them apart where a file does not keep the layers' order.
    """
    if not saved.is_own:
        return _foreign(ours, saved)
    for name in ours.keys() & saved.layers.keys():
        mine, theirs = ours[name], saved.layers[name]
        if theirs.kind and mine.kind != theirs.kind:
            return f"{name} is a {theirs.kind}, not a {mine.kind}"
        for key in sorted(mine.settings.keys() & theirs.settings.keys()):
            if mine.settings[key] != theirs.settings[key]:
                return f"{name} has {key} {theirs.settings[key]}, not {mine.settings[key]}"
    body = body_of(ours, saved.layers)  # a file may be of a body that ends earlier
    theirs = body_of(saved.layers, ours) if saved.has_settings else saved.layers.keys() & (set(known) | body)
    if odd := sorted(body ^ theirs):
        return f"{odd[0]} is in one of the two only"
    return None


def body_of(layers: Mapping[str, Layer], other: Mapping[str, Layer] | None = None) -> set[str]:
    """Name the layers between the first kernel and the last stage, of those in `other`: head and front may be different."""
    names = list(layers)
    stages = [name for name in names if re.fullmatch(r"stage\d+", name) and (other is None or name in other)]
    start = next((i for i, name in enumerate(names) if "kernel_size" in layers[name].settings), 0)
    end = names.index(stages[-1]) if stages else len(names)
    return {name for name in names[start:end] if _counts(name, layers[name])}


def _counts(name: str, layer: Layer) -> bool:
    """Whether a layer must be in both: not if it acts in training only, or if its name counts calls."""
    is_called = re.sub(r"_\d+$", "", name).replace("_", "") == layer.kind and not layer.settings.keys() & {
        "kernel_size",
        "epsilon",
    }
    return not (is_called or ASIDE.fullmatch(name) or layer.kind in ("dropout", "inputlayer"))


def _foreign(ours: Mapping[str, Layer], saved: Saved) -> str | None:
    """Compare layers with kernels and norms, which another program's network may pad in other words."""
    for name in ours.keys() & saved.layers.keys() if saved.has_settings else ():
        mine, theirs = ours[name], saved.layers[name]
        for key in ("epsilon", "strides", "dilation_rate", "groups"):
            if key in mine.settings and key in theirs.settings and mine.settings[key] != theirs.settings[key]:
                return f"{name} has {key} {theirs.settings[key]}, not {mine.settings[key]}"
        one, other = _padding(mine, ours), _padding(theirs, saved.layers)
        if None not in (one, other) and one != other:
            return f"{name} pads {other}, not {one}"
    return None


def _padding(layer: Layer, layers: Mapping[str, Layer]) -> str | None:
    """Tell how a strided convolution pads: "both sides" alike, or "the end" first; None where that is all the same."""
    settings = layer.settings
    if layer.kind not in PADDED or max(settings["strides"]) == 1 or max(settings["kernel_size"]) == 1:
        return None
    before = layers.get(layer.inputs[0]) if layer.inputs else None
    explicit = before is not None and before.kind == "zeropadding2d"
    seen = (before if explicit else layer).seen
    if seen and any(size is not None and size % 2 for size in seen[1:3]):
        return None  # at odd sizes both do the same
    if settings["padding"] == "same":
        return "the end"
    if explicit:
        first, last = before.settings["padding"][0]
        return "both sides" if first == last else "the end"
    return "nothing"


class Forms:
    """The forms of a network at the size of a file's input, built without values when they are asked for."""

    def __init__(self, network: Network, saved: Saved | None):
        shape = saved.input_shape if saved else None
        self._network, self._shape = network, tuple(shape) if shape and None not in shape else network.size
        self._models: dict[str, keras.Model] = {}
        self._layers: dict[str, dict[str, Layer]] = {}

    def model(self, variant: str) -> keras.Model:
        """Build a form."""
        if variant not in self._models:
            with without_values():
                self._models[variant] = self._network.make(variant, self._shape)
        return self._models[variant]

    def layers(self, variant: str) -> dict[str, Layer]:
        """List the layers of a form."""
        if variant not in self._layers:
            self._layers[variant] = layers_of(self.model(variant))
        return self._layers[variant]

    def are_same(self, variants: Sequence[str]) -> bool:
        """Whether forms compute the same of the same inputs."""
        first, *others = variants
        return all(_bare(self.layers(first)) == _bare(self.layers(other)) for other in others)


def _bare(layers: Mapping[str, Layer]) -> dict[str, tuple]:
    """Take what changes answers; operations' names count calls."""
    return {name: (layer.kind, layer.settings) for name, layer in layers.items() if _counts(name, layer)}


def told(
    network: Network,
    path: str | os.PathLike,
    saved: Saved | None,
    tensors: Tensors,
    fits: Callable[[keras.Model, Tensors], bool],
) -> list[str]:
    """List the variants that a file of Keras' names can be for, as far as it tells; the first of those that are the same.

    Args:
        fits: whether the tensors fill a model.

    Raises:
        WeightsError: its network is none of them.
    """
    variants, tells = list(network.modes), saved is not None and (saved.is_own or saved.has_settings)
    if not tells and len(variants) == 1:
        return variants
    if not tells and saved and "keras" in variants:  # keras.applications', or as their layers are called
        return ["keras"]
    forms, mode, odd = Forms(network, saved), saved and _inside(saved, tensors), {}
    if saved:
        usual = {variant: MODES.get(network.modes[variant]) for variant in variants}
        variants.sort(key=lambda variant: usual[variant] != mode)  # what is likely first: building a form takes a second
        known = set() if saved.has_settings else set().union(*(body_of(forms.layers(variant)) for variant in variants))
        for variant in list(variants):
            if where := difference(forms.layers(variant), saved, known):
                odd[variant] = where
                variants.remove(variant)
            elif saved.is_own and saved.has_settings:
                return [variant]  # all of it is compared: another that fits is the same
        if not variants:
            variant, where = next(iter(odd.items()))
            raise WeightsError(
                f"Weights file {path} is of another network than {network.name}: beside its variant {variant!r}, {where}: "
                "give the model and the options that it was made with."
            )
    if saved and not saved.is_own and "keras" in variants:
        return ["keras"]
    if len(variants) > 1:
        variants = [variant for variant in variants if fits(forms.model(variant), tensors)] or variants
    found: list[str] = []
    for variant in variants if len(variants) > 1 else ():
        alike = (other for other in found if known_modes(network, [other]).keys() == known_modes(network, [variant]).keys())
        if not any(forms.are_same([other, variant]) for other in alike):
            found.append(variant)
    return found or variants


def known_modes(network: Network, layouts: Sequence[str]) -> dict[str | None, list[str]]:
    """List the preprocessings that files of these variants are known to need, each with the tags of such files."""
    found: dict[str | None, list[str]] = {network.modes[layout]: [] for layout in layouts}
    for entry in catalog.entries(network.name):
        if entry.variant in layouts:
            found.setdefault(entry.preprocessing or network.modes[entry.variant], []).append(entry.tag)
    return found | {mode: found.get(mode, []) for layout in layouts for mode in network.other_modes.get(layout, ())}


def _inside(saved: Saved, tensors: Tensors) -> Mode | None:
    try:
        return saved.preprocessing(tensors)
    except WeightsError:
        return None
