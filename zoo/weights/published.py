"""Which published file a user's file is, and what the hub keeps beside it."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.preprocessing import Mode, named
from zoo.weights import catalog
from zoo.weights.formats.tensors import WeightsError

MAX_CARD = 1 << 20  # bytes of a config.json; timm's have a few hundred
TF = "tf_"  # how timm's names of networks with TensorFlow's padding begin


@dataclass(frozen=True)
class Card:
    """What timm's `config.json` says of the file beside it."""

    architecture: str
    preprocessing: Mode
    size: int
    resize: int
    interpolation: str


def entry_of(model: str, path: Path, options: Mapping[str, object]) -> catalog.Entry | None:
    """Find the entry of the catalog that the file is: by its content, or, where no hash was published, by its name."""
    digests: dict[str, str] = {}
    for entry in catalog.entries(model):
        if dict(entry.options) != dict(options):
            continue
        kind, _, published = entry.hash.partition(":")
        if kind == "none":
            if entry.file == path.name:
                return entry
            continue
        algorithm = kind.partition("-")[0]
        if algorithm not in digests:
            with open(path, "rb") as file:
                digests[algorithm] = hashlib.file_digest(file, algorithm).hexdigest()
        if digests[algorithm].startswith(published):
            return entry
    return None


def card_of(path: Path) -> Card | None:
    """Read the card beside a file in a folder like those of timm on the hub; None if there is none.

    Raises:
        WeightsError: it cannot be read.
    """
    beside = path.with_name("config.json")
    if path.suffix not in (".safetensors", ".bin", ".pth", ".pt") or not beside.is_file():
        return None
    try:
        if os.path.getsize(beside) > MAX_CARD:
            return None
        values = json.loads(beside.read_text("utf-8"))
        if not (isinstance(values, dict) and "pretrained_cfg" in values):
            return None  # another program's
        card = values["pretrained_cfg"]
        mean, std = ([float(value) for value in card[name]] for name in ("mean", "std"))
        size = int(card["input_size"][1])
        return Card(
            str(values.get("architecture", "")),
            named([1 / (255 * s) for s in std], [-m / s for m, s in zip(mean, std, strict=True)]),
            size,
            int(size / float(card.get("crop_pct", 0.875))),
            card["interpolation"] if card.get("interpolation") in ("bilinear", "bicubic") else "bicubic",
        )
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(
            f"The card {beside} of weights file {path.name} cannot be read ({error!r}): mend or move it."
        ) from None
