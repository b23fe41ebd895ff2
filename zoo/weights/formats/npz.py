"""NumPy's archives of arrays, `.npz`."""

import contextlib
import zipfile

import numpy as np

from zoo.weights.formats import archives
from zoo.weights.formats.tensors import Tensor, Tensors, WeightsError, plain_names


def read(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read the arrays' headers; each array when it is used."""
    archive = stack.enter_context(archives.opened(path))
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    if not members:
        raise WeightsError("is a zip archive without arrays: it holds no weights.")
    return plain_names({name.removesuffix(".npy"): _tensor(archive, name) for name in members})


def _tensor(archive: zipfile.ZipFile, name: str) -> Tensor:
    """Compare what an array's header declares with the bytes that are there."""
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in headers:
            raise WeightsError(f"holds {name!r} in version {version} of NumPy's format, which is no array of numbers.")
        shape, _, dtype = headers[version](file)
        there = archive.getinfo(name).file_size - file.tell()

    def array() -> np.ndarray:
        with archive.open(name) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    tensor = Tensor(shape, dtype, array)
    if tensor.memory != there and not dtype.hasobject:
        raise WeightsError(f"declares {tensor.memory:,} bytes in {name!r} and holds {there:,}: fetch or write it again.")
    return tensor
