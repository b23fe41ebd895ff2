"""Arrays of a weights file, each read when it is used, and what no array of weights may be.

Sizes that a file declares are compared before memory is taken; values are looked at when they are read.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# A file may need so many times its own size when it is read, and this much more: compressed weights shrink by a third at
# most, so what declares more is no weights.
MAX_EXPANSION = 16
FREE_BYTES = 16 << 20

# No weight of any published file is near the first. The others are distances from the rest of the tensor, for values from
# 1,000 up, and from the tensors of its kind (statistics follow the scale of the pixels, and have another).
MAX_WEIGHT = 1e9
MAX_BESIDE_TENSOR = 1e5
MAX_BESIDE_KIND = {"moving_mean": 1e6, "moving_variance": 1e6}
MAX_BESIDE_OTHER_KIND = 1e3


class WeightsError(ValueError):
    """A weights file that cannot be read, fetched or fitted; the message is one sentence for the user."""


@dataclass(frozen=True)
class Tensor:
    """An array of a file: `np.asarray` reads it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    buffer: int = 0  # bytes that the largest block takes when it is unpacked
    name: str = ""  # in the file

    @property
    def memory(self) -> int:
        """Bytes that reading it takes, which no overflow makes small."""
        return max(math.prod(self.shape) * self.dtype.itemsize, self.buffer)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)


Tensors = dict[str, Tensor]
Reader = Callable[[str, contextlib.ExitStack], Tensors]  # what it opens, the stack closes


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn what goes wrong inside the block into a `WeightsError` that names the file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"Weights file {path} {error}") from None
    except Exception as error:  # damaged bytes make h5py, zipfile, NumPy and pickle raise almost anything
        raise WeightsError(f"Weights file {path} is damaged ({error}): fetch or write it again.") from error


def require_proportion(declared: int, path: str) -> None:
    """Refuse a file that declares far more numbers than its bytes can hold.

    Raises:
        WeightsError: it would take the memory before anything could be compared.
    """
    size = os.path.getsize(path)
    if declared > MAX_EXPANSION * size + FREE_BYTES:
        raise WeightsError(
            f"has {size:,} bytes and declares {declared:,}: it was not read; if it is sound, write it again uncompressed."
        )


# How the names of tensors end that PyTorch keeps and nothing trains: counters of batch norms, and what transformers with
# windows compute of their sizes.
BUFFERS = ("num_batches_tracked", "relative_position_index", "attn_mask", "attention_bias_idxs")


def plain_names(tensors: Tensors) -> Tensors:
    """Take off the prefix that `DataParallel` adds, and leave out counters and indices that are no weights."""
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    if len(plain) < len(tensors):
        raise WeightsError("holds tensors that differ in the prefix 'module.' alone: write one of them.")
    return {name: value for name, value in plain.items() if not name.endswith(BUFFERS)}


def checked(tensors: Tensors, path: str) -> Tensors:
    """Have every tensor's values looked at when they are read, and every error name the file and the tensor."""

    def of(name: str, tensor: Tensor) -> Tensor:
        def read() -> np.ndarray:
            with reading(path):
                if tensor.dtype.kind not in "fiub":
                    raise WeightsError(f"holds {tensor.dtype} in {name!r}, which are no weights: write it again as float32.")
                value = tensor.read()
                _check_values(name, value)
                return value

        return Tensor(tensor.shape, tensor.dtype, read, name=name)

    return {name: of(name, tensor) for name, tensor in tensors.items()}


def _check_values(name: str, value: np.ndarray) -> None:
    """Refuse values that are not finite, or absurd beside the rest of their tensor."""
    if value.dtype.kind != "f" or not value.size:
        return
    largest = _largest(value)
    if largest <= MAX_BESIDE_TENSOR * 0.01:
        return
    if not np.isfinite(value).all():
        raise WeightsError(f"holds values that are not finite in {name!r}: it is damaged; fetch or write it again.")
    sizes = np.abs(value[value != 0])
    usual = float(np.median(sizes))
    if largest > MAX_WEIGHT or largest > MAX_BESIDE_TENSOR * usual:
        raise WeightsError(
            f"holds {largest:.3g} in {name!r}, where a usual value is {usual:.2g}: it is damaged; fetch or write it again."
        )


def check_beside_kind(tensors: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Refuse a tensor that is absurd beside those of its kind: (name, kind such as "kernel", values).

    Raises:
        WeightsError: naming the tensor.
    """
    kinds: dict[str, list[tuple[float, str]]] = {}
    for name, kind, value in tensors:
        if kind == "moving_variance" and value.size and value.min() < 0:
            raise WeightsError(f"holds the variance {value.min():.3g} in {name!r}: it is damaged; fetch or write it again.")
        kinds.setdefault(kind, []).append((_largest(value), name))
    for kind, members in kinds.items():
        usual = max(float(np.median([size for size, _ in members])), 0.1)
        size, name = max(members)
        if len(members) > 2 and size > MAX_BESIDE_KIND.get(kind, MAX_BESIDE_OTHER_KIND) * usual:
            raise WeightsError(
                f"holds {size:.3g} in {name!r}, where the largest {kind} of a layer is usually {usual:.2g}: "
                "it is damaged; fetch or write it again."
            )


def _largest(value: np.ndarray) -> float:
    """Find the largest absolute value, infinity if any is not a number; 0 without values."""
    if not value.size:
        return 0.0
    low, high = float(value.min()), float(value.max())
    return math.inf if math.isnan(low) else max(-low, high)
