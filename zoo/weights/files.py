"""Weight files of every common kind as one flat dictionary, `{"layer/variable": array}`, with nothing executed.

| file | written by | names |
|---|---|---|
| `.h5` | Keras 1 to 3, `save_weights` or `save` | `conv1/kernel`, normalised from `conv1_W:0`, `conv1/kernel:0`, ... |
| `.weights.h5`, `.keras` | Keras 3 | `conv1/0`: the file numbers a layer's variables and does not name them |
| `.npz`, `.safetensors` | anyone | as stored: `conv1/kernel` or `conv1.weight` |
| `.pth`, `.th`, `.pt` | PyTorch | `conv1.weight`; wrappers such as `state_dict` and `module.` are taken off |

The kind is read off the content's structure, not the extension. Arrays are read when they are used, so that a shape can be
checked before its memory is taken.
"""

import contextlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.weights import digests
from zoo.weights.formats import hdf5, npz, safetensors, torch
from zoo.weights.formats.containers import HDF5, PICKLE, SAFETENSORS, ZIP, container_of
from zoo.weights.formats.tensors import Reader, Tensors, WeightsError, checked, reading, require_proportion


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike) -> Iterator[Tensors]:
    """Open a file as its tensors, which are valid inside the `with` block.

    Raises:
        WeightsError: there is no such file, it is not what its digest says, it is damaged, or it is of no known kind. Reading
            a tensor raises it, too, for values that no weights have.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise WeightsError(f"There is no weights file {path}: check the path, or give a tag such as 'imagenet'.")
    with contextlib.ExitStack() as stack:
        with reading(path):
            digests.check(path)
            tensors = _reader(path)(path, stack)
            require_proportion(sum(tensor.memory for tensor in tensors.values()), path)
        yield checked(tensors, path)


def is_torch(tensors: Mapping[str, Any]) -> bool:
    """Whether the names are PyTorch's (`layer1.0.conv1.weight`) rather than Keras' (`conv1/kernel`)."""
    return any(name.endswith((".weight", ".running_mean")) for name in tensors)


def _reader(path: str) -> Reader:
    """Choose by what the file is, and a zip's by what lies in it."""
    kind = container_of(path)
    if kind == ZIP:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "model.weights.h5" in names:
            return hdf5.read_keras
        return torch.read_zip if any(name.endswith("data.pkl") for name in names) else npz.read
    if kind is None:
        raise WeightsError("is no HDF5, Keras, NumPy, safetensors or PyTorch file: its first bytes are of another kind.")
    return {HDF5: hdf5.read, SAFETENSORS: safetensors.read, PICKLE: torch.read_legacy}[kind]
