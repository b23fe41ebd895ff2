"""Settings of `zoo predict`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Prediction:
    """Class names and probabilities of images, by the model of a finished run."""

    EXAMPLES = (
        "zoo predict runs/finetune/photos new.jpg",
        "zoo predict runs/finetune/photos more/ 'new/*.jpg' --top 1",
    )

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    images: Positional[tuple[str, ...]]
    """Files, folders (with all below them) and patterns, such as 'new/*.jpg'."""
    top: int = 3
    """Classes to print for each image, the likeliest first; a run with --labels prints all those over 0.5 instead."""
