"""Safetensors: eight bytes with the header's length, a header in JSON, and the numbers."""

import contextlib
import functools

import numpy as np
from safetensors import SafetensorError, safe_open

from zoo.weights.formats.tensors import Tensor, Tensors, WeightsError, plain_names

# Others, such as bfloat16 and those of 8 bits, NumPy does not have.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read(path: str, stack: contextlib.ExitStack) -> Tensors:
    """Read the header, which the library compares with the file's size; each tensor when it is used."""
    try:
        file = stack.enter_context(safe_open(path, framework="numpy"))
    except SafetensorError as error:
        raise ValueError(error) from None
    tensors = {}
    for name in file.keys():  # noqa: SIM118
        described = file.get_slice(name)
        if (kind := described.get_dtype()) not in DTYPES:
            raise WeightsError(f"holds {kind} in {name!r}, which NumPy does not have: write it again as float32.")
        array = functools.partial(file.get_tensor, name)
        tensors[name] = Tensor(tuple(described.get_shape()), np.dtype(DTYPES[kind]), array)
    return plain_names(tensors)
