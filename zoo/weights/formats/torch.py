"""PyTorch's checkpoints, `.pth`, `.pt` and `.th`, without PyTorch (2 GB) and with nothing executed.

A checkpoint is a pickle, and unpickling can run anything. This reader knows the handful of names that a dictionary of tensors
consists of, maps them to functions of its own, and refuses every other name. What those functions make are descriptions,
which nothing in a pickle can change: of storages, which come from the pickle's references to them alone, and of views of
storages. No number is read before all of them are known and bounded.
"""

import contextlib
import functools
import io
import mmap
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from zoo.weights.formats import archives
from zoo.weights.formats.tensors import Tensor, Tensors, WeightsError, plain_names

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {
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


class StorageType(str):
    """The name of a storage class; a subclass of str so that no pickle can pass one for the real thing."""


class Storage(NamedTuple):
    """Numbers that lie beside the pickle. A pickle can change no attribute of a tuple."""

    key: str
    dtype: str
    size: int

    @property
    def bytes(self) -> int:
        """How many they take."""
        return self.size * np.dtype(self.dtype).itemsize


class View(NamedTuple):
    """A tensor: a part of a storage, in steps of `strides` numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def end(self) -> int:
        """Count the storage's numbers up to the last that the view reaches."""
        if 0 in self.shape:
            return self.offset
        return self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1


Numbers = Callable[[Storage], np.ndarray]  # reads a storage, flat


def read_zip(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read a checkpoint of PyTorch 1.6 or later: a zip with a pickle and a file for each storage."""
    archive = stack.enter_context(archives.opened(path))
    index = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    folder = index.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archives.content(archive, f"{folder}byteorder") != b"little":
        raise WeightsError("holds numbers in another machine's byte order: write it again on this one.")

    @functools.cache
    def numbers(storage: Storage) -> np.ndarray:
        return np.frombuffer(archives.content(archive, f"{folder}data/{storage.key}"), storage.dtype)

    views = _views(_unpickle(io.BytesIO(archives.content(archive, index))))
    for storage in {view.storage for view in views.values()}:
        there = archive.getinfo(f"{folder}data/{storage.key}").file_size
        if there != storage.bytes:
            raise WeightsError(f"declares {storage.bytes:,} bytes in storage {storage.key} and holds {there:,}: it is damaged.")
    return _tensors(views, numbers)


def read_legacy(path: str, _: contextlib.ExitStack) -> Tensors:
    """Read a file of before PyTorch 1.6: five pickles (magic, version, system, object, keys), then the storages in turn."""
    # Of a mapped file no more is read than is there, whatever length a pickle declares. The last array of it closes it.
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if _unpickle(mapped) != MAGIC:
        raise WeightsError("is a pickle, but not a PyTorch checkpoint.")
    _unpickle(mapped)
    system = _unpickle(mapped)
    if not (isinstance(system, dict) and system.get("little_endian", True)):
        raise WeightsError("holds numbers in another machine's byte order: write it again on this one.")
    references: set[Storage] = set()
    views, keys = _views(_unpickle(mapped, references)), _unpickle(mapped)
    storages = {storage.key: storage for storage in references}
    if len(storages) != len(references) or sorted(storages) != sorted(keys):
        raise WeightsError("lists other storages than it refers to: it is damaged.")
    starts, place = {}, mapped.tell()
    for key in keys:
        size, place = int.from_bytes(mapped[place : place + 8], "little"), place + 8
        if size != storages[key].size or place + storages[key].bytes > len(mapped):
            raise WeightsError("ends before its last tensor: fetch it again.")
        starts[storages[key]], place = place, place + storages[key].bytes

    def numbers(storage: Storage) -> np.ndarray:
        return np.frombuffer(mapped, storage.dtype, storage.size, starts[storage])

    return _tensors(views, numbers)


def _tensors(views: dict[str, View], numbers: Numbers) -> Tensors:
    """Make tensors of views that were bounded."""

    def array(view: View) -> np.ndarray:
        dtype = np.dtype(view.storage.dtype)
        if 0 in view.shape:
            return np.empty(view.shape, dtype)
        steps = [s * dtype.itemsize if n > 1 else 0 for n, s in zip(view.shape, view.strides, strict=True)]
        part = numbers(view.storage)[view.offset : view.end]
        return np.array(np.lib.stride_tricks.as_strided(part, view.shape, steps, writeable=False))  # outlives the file

    return plain_names(
        {name: Tensor(view.shape, np.dtype(view.storage.dtype), functools.partial(array, view)) for name, view in views.items()}
    )


def _views(content: object) -> dict[str, View]:
    """Find the tensors of a checkpoint, which may lie under a key beside the optimizer's state."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError("holds no dictionary of tensors.")
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, View)}


# ---------------------------------------------------------------------------------------------- the pickle
def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> View:
    """Describe PyTorch's tensor, and refuse one that is not within its storage."""
    if not isinstance(storage, Storage):
        raise WeightsError("makes a tensor of something that is no storage: it is damaged.")
    numbers = (offset, *size, *stride) if isinstance(size, tuple | list) and isinstance(stride, tuple | list) else (None,)
    if not all(type(number) is int for number in numbers) or len(size) != len(stride):
        raise WeightsError("holds a tensor whose shape is no row of numbers: it is damaged.")
    view = View(storage, offset, tuple(size), tuple(stride))
    if min(numbers) < 0 or view.end > storage.size:
        raise WeightsError("holds a tensor that reaches beyond its storage: it is damaged.")
    return view


def _rebuild_parameter(data: object, *_: object) -> View:
    """Take a parameter for its tensor."""
    if not isinstance(data, View):
        raise WeightsError("makes a parameter of something that is no tensor: it is damaged.")
    return data


def _ordered_dict() -> OrderedDict:
    """Begin a dictionary, which pickles fill item by item."""
    return OrderedDict()


class _TensorUnpickler(pickle.Unpickler):
    _ALLOWED = {
        ("collections", "OrderedDict"): _ordered_dict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    }

    def __init__(self, file: BinaryIO, references: set[Storage]):
        super().__init__(file, encoding="utf-8")
        self._references = references

    def find_class(self, module: str, name: str) -> object:
        """Give this reader's own function or type for a name of PyTorch's, and refuse every other."""
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        if module in ("torch", "torch.storage") and name in DTYPES:
            return StorageType(name)
        raise WeightsError(
            f"asks for {module}.{name}, which a file of weights does not need, and was not opened further: "
            "save the model's state_dict alone, best as .safetensors."
        )

    def persistent_load(self, reference: object) -> Storage:
        """Describe the numbers that the pickle refers to, which lie beside it."""
        if not (isinstance(reference, tuple) and len(reference) in (5, 6)):
            raise WeightsError("refers to something that is no storage: it is damaged.")
        kind, storage_type, key, _, size, *view = reference
        if kind != "storage" or not isinstance(storage_type, StorageType):
            raise WeightsError(f"refers to a {kind} of type {storage_type}, not to numbers.")
        if type(key) is not str or type(size) is not int or size < 0 or view not in ([], [None]):
            raise WeightsError("refers to a storage without a name and a size: it is damaged.")
        storage = Storage(key, DTYPES[storage_type], size)
        self._references.add(storage)
        return storage


def _unpickle(file: BinaryIO, references: set[Storage] | None = None) -> object:
    """Load the next pickle of a file, once it is known that it takes no more memory than it has bytes."""
    start = file.tell()
    for operation, argument, place in pickletools.genops(file):  # which finds objects that are longer than the file
        # The memo is a list, which the unpickler makes as long as the number says.
        if operation.name.endswith("PUT") and argument > place - start:
            raise WeightsError("is a pickle whose numbers are not in order: it is damaged.")
    file.seek(start)
    return _TensorUnpickler(file, set() if references is None else references).load()
