"""What a form of a network is: what it needs, and who writes it."""

import importlib.util
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.errors import UserError
from recipes.formats.network import Network

# Precisions whose answers are others, so that what they cost in accuracy is measured.
QUANTIZED = ("int8", "dynamic")


@dataclass(frozen=True)
class Job:
    """What a writer is given beside the network.

    Args:
        precision: one of the form's.
        facts: what a program must know to feed the network and to name what it says; values for JSON.
        calibration: framed training pictures `(batch, size, size, channels)`, for int8; empty for others.
    """

    precision: str
    facts: Mapping
    calibration: np.ndarray


@dataclass(frozen=True)
class Form:
    """A form that other programs run.

    Args:
        name: as after --to.
        file: name of the file, or the folder, that is the network.
        modules: what must be importable, with the name of the package that brings it.
        extra: the extra of this project that installs these; None where nothing is needed.
        precisions: those that it has, and for each whether pictures of any size are possible.
        write: writes the network into a folder.
    """

    name: str
    file: str
    modules: Mapping[str, str]
    extra: str | None
    precisions: Mapping[str, bool]
    write: Callable[[Network, Path, Job], object]

    def require(self, precision: str, any_size: bool) -> None:
        """See that the form can be written here, before anything is.

        Raises:
            UserError: a package is not installed, or the form has no such precision.
        """
        if precision not in self.precisions:
            raise UserError(
                f"--to {self.name} has no --precision {precision}: choose {' or '.join(self.precisions)}, or another form."
            )
        if any_size and not self.precisions[precision]:
            raise UserError(
                f"--to {self.name} with --precision {precision} takes no --any-size: leave one of them out, or choose onnx."
            )
        if missing := [package for module, package in self.modules.items() if not importlib.util.find_spec(module)]:
            raise UserError(f"--to {self.name} needs {' and '.join(missing)}: pip install {shlex.join(missing)}.")
