"""Where a built model comes from: what a recipe must know to feed it, and loading to read files for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zoo.weights.names import TorchNames


@dataclass(frozen=True)
class Origin:
    """Where a built model comes from, as its attribute `origin`.

    It is what a recipe must know to feed the model and to report it, and what loading must know to read files for it.
    """

    name: str
    variant: str
    weights: str | None  # path of the file
    size: int  # what its weights were trained on: pictures resized to `resize`, then `size` cut from the centre
    resize: int
    interpolation: str = "bilinear"
    preprocessing: str = field(compare=False, default="none")  # what lies in the model: a mode of zoo.preprocessing, or numbers
    spare: tuple[str, ...] = field(repr=False, compare=False, default=())  # see builder.Family
    torch_names: TorchNames = field(repr=False, compare=False, default_factory=dict)
    bgr: bool = field(repr=False, compare=False, default=False)  # whether the first kernel of the weights sees BGR
    keras_names: Callable[[str], str] | None = field(repr=False, compare=False, default=None)  # see builder.Family
    variants: tuple[str, ...] = field(repr=False, compare=False, default=())  # all that there are of the model
    # Refuses a file that says it is for another form, or for other preprocessing.
    check: Callable[[Path], None] = field(repr=False, compare=False, default=lambda path: None)
