"""Keras' HDF5 files: `.weights.h5` and `model.weights.h5` in a `.keras` of Keras 3, and the `.h5` of all its versions."""

import contextlib
import io
import math
import re
import zipfile
from typing import Any

import h5py

from zoo.weights.formats import archives
from zoo.weights.formats.tensors import Tensor, Tensors, WeightsError, require_proportion


def read(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read the names and shapes in an HDF5 file; each array when it is used."""
    file = stack.enter_context(h5py.File(path, "r"))
    groups = set(file)  # `in file` would follow links
    if "layers" in groups and "layer_names" not in file.attrs:
        return _current(_inside(file, "layers"))
    return _legacy(_inside(file, "model_weights") if "model_weights" in groups else file)


def read_keras(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read the HDF5 file in a `.keras` archive."""
    archive = stack.enter_context(archives.opened(path))
    return _current(_inside(stack.enter_context(_weights(archive)), "layers"))


def require_bounded(archive: zipfile.ZipFile) -> None:
    """Refuse a `.keras` archive, before Keras itself reads it, whose arrays would take far more memory than it has bytes.

    Raises:
        WeightsError: what they declare is out of proportion.
    """
    arrays: list[Tensor] = []

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            arrays.append(_tensor(item))

    with _weights(archive) as file:
        file.visititems(visit)
    require_proportion(sum(array.memory for array in arrays), archive.filename)


def _weights(archive: zipfile.ZipFile) -> h5py.File:
    return h5py.File(io.BytesIO(archives.content(archive, "model.weights.h5")), "r")


def _current(group: Any) -> Tensors:
    """Read what Keras 3 writes: `layers/conv2d_1/vars/0`, the layer's own name being an attribute of `vars`."""
    tensors = {}
    for key in group:
        layer = _inside(group, key)
        if "layers" in layer:  # a model within the model
            tensors |= _current(_inside(layer, "layers"))
        variables = _inside(layer, "vars")
        name = variables.attrs.get("name", key)
        tensors |= {f"{name}/{index}": _tensor(_inside(variables, index)) for index in variables}
    return tensors


def _legacy(group: Any) -> Tensors:
    """Read what Keras 1 and 2 and `save_weights("x.h5")` write: a group a layer, with the attribute `weight_names`."""
    if "layer_names" not in group.attrs:
        raise WeightsError("is an HDF5 file without Keras' layer names: it was not written by Keras.")
    tensors = {}
    layers = [_text(name) for name in group.attrs["layer_names"]]
    # Keras 3 forbids the slashes that MobileNetV3 had: keras.applications made `Conv_1/BatchNorm` a `conv_1_bn`.
    slashes = any("/" in layer for layer in layers)
    for layer in layers:
        names = [_text(name) for name in _inside(group, layer).attrs["weight_names"]]
        prefixes = {name.rpartition("/")[0] for name in names}
        for name in names:
            # A nested model keeps several layers in one group; its weights' own names tell them apart.
            owner = layer if len(prefixes) == 1 else name.rpartition("/")[0].rpartition("/")[2]
            if slashes:
                owner = owner.lower().replace("/", "_").replace("batchnorm", "bn")
            tensors[f"{owner}/{_variable(name)}"] = _tensor(_inside(_inside(group, layer), name))
    return tensors


def _inside(group: Any, name: str) -> Any:
    """Get `group[name]` and refuse what leads out of the file: links, external or virtual storage (CVE-2026-1669)."""
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise WeightsError(f"holds {name!r} as a link to elsewhere, or not at all: it is not safe to read.")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise WeightsError(f"keeps {name!r} outside the file: it is not safe to read.")
    return group


def _tensor(dataset: Any) -> Tensor:
    """Describe a dataset; what is stored in blocks takes the memory of a whole block when one is unpacked."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise WeightsError(f"holds no array as {dataset.name!r}: fetch or write it again.")
    block = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize if dataset.chunks else 0
    return Tensor(dataset.shape, dataset.dtype, lambda: dataset[()], block)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _variable(name: str) -> str:
    """Call a variable as Keras 3 does: `conv1/kernel:0`, `block1_conv1_W_1:0`, `dw/depthwise_kernel:0` -> kernel.

    Keras 1 put the layer's name before the variable's, and called a variance a standard deviation.
    """
    name = re.sub(r"(_\d+)?(:\d+)?$", "", name).rpartition("/")[2]
    if old := re.search(r"_(W|b|gamma|beta|running_mean|running_std|depthwise_kernel|pointwise_kernel)$", name):
        name = old[1]
    return {
        "W": "kernel",
        "b": "bias",
        "running_mean": "moving_mean",
        "running_std": "moving_variance",
        "depthwise_kernel": "kernel",
    }.get(name, name)
