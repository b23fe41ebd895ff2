"""What a form of a network is: what it needs, and who writes it."""

import importlib.util
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.errors import UserError
from recipes.formats.network import Network

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Page:
    """What a page tells of a run beside its facts.

    Args:
        name: of the run.
        one_label: whether each picture has one class.
        sets: for each coverage, as the page offers them, the score up to which each class is in a set; None for a class that
            is in every set, and in place of all where the run knows no sets.
        maps: a tensor of the model's that says where it sees each class; None if there is none.
    """

    name: str
    one_label: bool
    sets: Mapping[str, list[float | None]] | None
    maps: "keras.KerasTensor | None"


@dataclass(frozen=True)
class Job:
    """What a writer is given beside the network.

    Args:
        precision: one of the form's.
        facts: what a program must know to feed the network and to name what it says; values for JSON.
        calibration: framed training pictures `(batch, size, size, channels)`, for int8; empty for others.
        page: what a page tells of the run; None for those who write none.
    """

    precision: str
    facts: Mapping
    calibration: np.ndarray
    page: Page | None = None


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
        beside: names of what is written beside the network's file.
        frames_pictures: whether what is written frames pictures of any size by itself, outside the network.
        fetch: brings what it needs from elsewhere, before anything is written; raises UserError where it is not to be had.
    """

    name: str
    file: str
    modules: Mapping[str, str]
    extra: str | None
    precisions: Mapping[str, bool]
    write: Callable[[Network, Path, Job], object]
    beside: tuple[str, ...] = ()
    frames_pictures: bool = False
    fetch: Callable[[], object] = lambda: None

    def resizes_inside(self, any_size: bool) -> bool:
        """Whether resizing is in the network, where pictures of any size are asked for."""
        return any_size and not self.frames_pictures

    def require(self, precision: str, any_size: bool, having: Sequence[str]) -> None:
        """See that the form can be written here, before anything is.

        Args:
            having: names of the forms that have this precision.

        Raises:
            UserError: a package is not installed, or the form has no such precision.
        """
        if precision not in self.precisions:
            raise UserError(
                f"--to {self.name} has no --precision {precision}: choose {' or '.join(self.precisions)}, or of the forms that "
                f"have it: {', '.join(having)}."
            )
        if any_size and not self.precisions[precision]:
            raise UserError(
                f"--to {self.name} with --precision {precision} takes no --any-size: leave one of them out, or choose onnx."
            )
        if missing := [package for module, package in self.modules.items() if not importlib.util.find_spec(module)]:
            raise UserError(f"--to {self.name} needs {' and '.join(missing)}: pip install {shlex.join(missing)}.")
