"""What a source gives: a list of pictures with their classes, by name and kind only; no picture is opened."""

from dataclasses import dataclass
from pathlib import Path

from recipes.evaluation.tasks import MULTI_CLASS, Task

SPLITS = {"train": "train", **dict.fromkeys(("val", "valid", "validation"), "validation"), "test": "test"}


@dataclass(frozen=True)
class File:
    """A candidate: any regular, readable file in a class folder."""

    path: str  # relative to the root, as found (undecodable bytes as surrogates), "/"-separated
    label: str | tuple[str, ...]  # name of its class; names, where a picture has any number of labels
    split: str  # "train", "validation", "test", or "" where the folder does not say


@dataclass(frozen=True)
class Listing:
    """What a folder holds; files sorted by split, class and path."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[File, ...]
    left_out: tuple[tuple[str, str], ...]  # path, reason
    findings: tuple[str, ...]  # sentences
    task: Task = MULTI_CLASS
