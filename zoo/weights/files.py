"""Weight files of every common kind as one flat dictionary, `{"layer/variable": array}`, with nothing executed.

| file | written by | names |
|---|---|---|
| `.h5` | Keras 1 to 3, `save_weights` or `save` | `conv1/kernel`, normalised from `conv1_W:0`, `conv1/kernel:0`, ... |
| `.weights.h5`, `.keras` | Keras 3 | `conv1/0`: the file numbers a layer's variables and does not name them |
| `.npz`, `.safetensors` | anyone | as stored: `conv1/kernel` or `conv1.weight` |
| `.pth`, `.th`, `.pt` | PyTorch | `conv1.weight`; wrappers such as `state_dict` and `module.` are taken off |

The kind is read off the content, not the extension. Arrays in HDF5 and PyTorch files are read when they are used, so
that a shape can be checked before its memory is taken.
"""

import contextlib
import io
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

Tensors = dict[str, Any]  # name -> something with `.shape` that `np.asarray` reads
Reader = Callable[[str, contextlib.ExitStack], Tensors]  # what it opens, the stack closes


class WeightsError(ValueError):
    """A weights file that cannot be read, fetched or fitted; the message is one sentence for the user."""


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike) -> Iterator[Tensors]:
    """Open a file as its tensors, which are valid inside the `with` block.

    Raises:
        WeightsError: there is no such file, it is damaged, or it is of no known kind.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise WeightsError(f"There is no weights file {path}: check the path, or give a tag such as 'imagenet'.")
    with contextlib.ExitStack() as stack:
        with reading(path):
            tensors = _reader(path)(path, stack)
        yield tensors


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn what goes wrong inside the block into a `WeightsError` that names the file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"Weights file {path} {error}") from None
    except Exception as error:  # damaged bytes make h5py, zipfile, NumPy and pickle raise almost anything
        raise WeightsError(f"Weights file {path} is damaged ({error}): fetch or write it again.") from error


def is_torch(tensors: Mapping[str, Any]) -> bool:
    """Whether the names are PyTorch's (`layer1.0.conv1.weight`) rather than Keras' (`conv1/kernel`)."""
    return any(name.endswith((".weight", ".running_mean")) for name in tensors)


def _reader(path: str) -> Reader:
    with open(path, "rb") as file:
        head = file.read(16)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5
    if head.startswith(b"PK"):  # not is_zipfile, to which a truncated one is none
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "model.weights.h5" in names:
            return _read_keras
        return _read_torch_zip if any(name.endswith("data.pkl") for name in names) else _read_npz
    if head[:1] == b"\x80":
        return _read_torch_legacy
    if head[8:9] == b"{":
        return _read_safetensors
    raise WeightsError("is no HDF5, Keras, NumPy, safetensors or PyTorch file: its first bytes are of another kind.")


# ---------------------------------------------------------------------------------------------- Keras, NumPy
def _read_hdf5(path: str, stack: contextlib.ExitStack) -> Tensors:
    import h5py

    file = stack.enter_context(h5py.File(path, "r"))
    groups = set(file)  # `in file` would follow links
    if "layers" in groups and "layer_names" not in file.attrs:
        return _current_hdf5(_inside(file, "layers"))
    return _legacy_hdf5(_inside(file, "model_weights") if "model_weights" in groups else file)


def _read_keras(path: str, stack: contextlib.ExitStack) -> Tensors:
    import h5py

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    return _current_hdf5(_inside(stack.enter_context(h5py.File(content, "r")), "layers"))


def _current_hdf5(group: Any) -> Tensors:
    """Read what Keras 3 writes: `layers/conv2d_1/vars/0`, the layer's own name being an attribute of `vars`."""
    tensors = {}
    for key in group:
        layer = _inside(group, key)
        if "layers" in layer:  # a model within the model
            tensors |= _current_hdf5(_inside(layer, "layers"))
        variables = _inside(layer, "vars")
        name = variables.attrs.get("name", key)
        tensors |= {f"{name}/{index}": _inside(variables, index) for index in variables}
    return tensors


def _legacy_hdf5(group: Any) -> Tensors:
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
            tensors[f"{owner}/{_variable(name)}"] = _inside(_inside(group, layer), name)
    return tensors


def _inside(group: Any, name: str) -> Any:
    """Get `group[name]` and refuse what leads out of the file: links, external or virtual storage (CVE-2026-1669)."""
    import h5py

    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise WeightsError(f"holds {name!r} as a link to elsewhere, or not at all: it is not safe to read.")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise WeightsError(f"keeps {name!r} outside the file: it is not safe to read.")
    return group


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


def _read_npz(path: str, stack: contextlib.ExitStack) -> Tensors:
    archive = stack.enter_context(np.load(path, allow_pickle=False))
    return _plain_names({name: archive[name] for name in archive.files})


# ---------------------------------------------------------------------------------------------- safetensors
def _read_safetensors(path: str, stack: contextlib.ExitStack) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return _plain_names(load_file(path))
    except SafetensorError as error:
        raise ValueError(error) from None


# ---------------------------------------------------------------------------------------------- PyTorch
# A checkpoint is a pickle, and unpickling can run anything. This reader knows the handful of names that a dictionary
# of tensors consists of, maps them to functions of its own, and refuses every other name, so that nothing in the file
# is executed and PyTorch (2 GB) is not needed.
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _StorageType(str):
    """The name of a storage class; a subclass of str so that no pickle can pass one for the real thing."""


def _rebuild_tensor(storage: np.ndarray, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> np.ndarray:
    """Make PyTorch's tensor, a view of a flat storage, of a NumPy array."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise WeightsError("holds a tensor that reaches beyond its storage: it is damaged.")
    return np.lib.stride_tricks.as_strided(storage[offset:], size, [s * storage.itemsize for s in stride])


def _rebuild_parameter(data: np.ndarray, *_: object) -> np.ndarray:
    return data


Storage = Callable[[str, np.dtype, int], np.ndarray]  # (key, type, how many) -> the numbers


class _TensorUnpickler(pickle.Unpickler):
    _ALLOWED = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    }

    def __init__(self, file: BinaryIO, storage: Storage):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> object:
        """Give this reader's own function or type for a name of PyTorch's, and refuse every other."""
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _StorageType(name)
        raise WeightsError(
            f"asks for {module}.{name}, which a file of weights does not need, and was not opened further: "
            "save the model's state_dict alone, best as .safetensors."
        )

    def persistent_load(self, reference: tuple) -> np.ndarray:
        """Give the numbers that the pickle refers to, which lie beside it."""
        kind, storage_type, key, _, size = reference[:5]
        if kind != "storage" or storage_type not in _DTYPES:
            raise WeightsError(f"refers to a {kind} of type {storage_type}, not to numbers.")
        return self._storage(str(key), np.dtype(_DTYPES[storage_type]), int(size))


def _read_torch_zip(path: str, stack: contextlib.ExitStack) -> Tensors:
    archive = stack.enter_context(zipfile.ZipFile(path))
    index = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    cache = {}

    def storage(key: str, dtype: np.dtype, size: int) -> np.ndarray:
        if key not in cache:
            cache[key] = np.frombuffer(archive.read(f"{index.removesuffix('data.pkl')}data/{key}"), dtype, size)
        return cache[key]

    with archive.open(index) as file:
        return _state_dict(_TensorUnpickler(file, storage).load())


def _read_torch_legacy(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read a file of before PyTorch 1.6: five pickles (magic, version, system, object, keys), then the storages in turn."""
    file = stack.enter_context(open(path, "rb"))
    cache = {}

    def storage(key: str, dtype: np.dtype, size: int) -> np.ndarray:
        return cache.setdefault(key, np.empty(size, dtype))

    def load() -> object:
        return _TensorUnpickler(file, storage).load()

    if load() != 0x1950A86A20F9469CFC6C:
        raise WeightsError("is a pickle, but not a PyTorch checkpoint.")
    load(), load()
    content, keys = load(), load()
    for key in keys:
        array = cache[key]
        if int.from_bytes(file.read(8), "little") != len(array) or file.readinto(array) != array.nbytes:
            raise WeightsError("ends before its last tensor: fetch it again.")
    return _state_dict(content)


def _state_dict(content: object) -> Tensors:
    """Find the tensors of a checkpoint, which may lie under a key beside the optimizer's state."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError("holds no dictionary of tensors.")
    return _plain_names({name: value for name, value in content.items() if isinstance(value, np.ndarray)})


def _plain_names(tensors: Tensors) -> Tensors:
    """Take off the prefix that `DataParallel` adds, and leave out counters that are no weights."""
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name: value for name, value in plain.items() if not name.endswith("num_batches_tracked")}
