"""Settings of `zoo export`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.errors import UserError
from recipes.settings.shared import FolderCommand
from recipes.settings.sources import resolved

FormatName = Literal["onnx", "litert", "saved_model", "openvino", "html"]
Precision = Literal["float32", "float16", "int8", "dynamic"]
# Those whose answers are others, so that what they cost in accuracy is measured.
QUANTIZED = ("int8", "dynamic")


@dataclass(frozen=True)
class Exporting(FolderCommand):
    """A run's network in the forms that other programs run, each looked at by its own runtime before it is kept."""

    COMMAND = "export"
    EXAMPLES = (
        "zoo export runs/finetune/photos --to onnx litert --any-size",
        "zoo export runs/finetune/photos --to html",
    )

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    to: tuple[FormatName, ...] = field(kw_only=True)
    """Forms to write, one or several: onnx, for ONNX Runtime and most others; litert, for phones (a .tflite file);
    saved_model, for TensorFlow; openvino, for Intel's processors; html, a page that answers in a browser, without a server."""
    any_size: FlagCreatePairsOff[bool] = field(default=False, kw_only=True)
    """Take pictures of any size, uint8: resizing and cropping are in the network, as `zoo predict` does them."""
    precision: Precision = field(default="float32", kw_only=True)
    """What numbers the network computes with: float32; float16, of half the size, in all forms but saved_model; int8, of a
    quarter, with ranges from training pictures, in onnx, litert and html; dynamic, int8 weights alone, in litert. Of int8 and
    dynamic the accuracy on held-out pictures is measured."""
    loss: float = field(default=0.01, kw_only=True)
    """Accuracy that int8 and dynamic may lose on held-out pictures, as a share; what loses more is not kept."""
    images: tuple[str, ...] = field(default=(), kw_only=True)
    """Files, folders and patterns of pictures to compare answers on; those of the run if not given."""
    output: Path | None = field(default=None, kw_only=True)
    """Folder in which each form gets a folder of its own; runs/export/NAME-OF-RUN if not given."""

    def __post_init__(self):
        if not self.to:
            raise UserError("--to needs at least one form: onnx, litert, saved_model, openvino or html.")
        if not 0 <= self.loss <= 1:
            raise UserError(f"--loss must be a share from 0 to 1, found {self.loss}.")
        if self.images and self.precision in QUANTIZED:
            raise UserError(
                f"--images has no labels, by which --precision {self.precision} is judged: leave it out, and held-out pictures "
                "of the run are taken."
            )

    @property
    def subject(self) -> str:
        """The name of the run; of a search's best one, the name of the search."""
        place = resolved(self.run)
        return (place.parent.name if place.name == "best" else place.name) or "root"
