"""What a source gives: a list of pictures with their classes."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from recipes.evaluation.tasks import MULTI_CLASS, Task

# What a split may be called, as a folder or in a table.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


# In the order in which a picture of one is a leak in another.
PARTS = ("", "train", "validation", "test")


# Why a file beside the class folders is left out; it has no label, unless corrections give it one.
OUTSIDE = "lies outside the class folders"


@dataclass(frozen=True, slots=True)
class File:
    """A candidate for a picture: a regular, readable file, not opened yet."""

    path: str  # relative to the root, as found (undecodable bytes as surrogates), "/"-separated
    label: str | tuple[str, ...]  # a name; several, where a picture has any number of labels
    split: str  # "train", "validation", "test", or "" where the folder does not say
    group: str = ""  # pictures of one group are never divided; "" for one that belongs to none
    weight: float = 1.0  # how much the picture counts, against the others


@dataclass(frozen=True)
class Listing:
    """What a source has found; the files are sorted."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[File, ...]
    left_out: tuple[tuple[str, str], ...]  # (path, reason)
    findings: tuple[str, ...]
    task: Task = MULTI_CLASS
    corrections: dict | None = None  # what was corrected, as values for result.json
    kept: frozenset[str] = frozenset()  # paths of pictures that a person wants as they are, and no near-duplicates of others


def plain(name: str) -> str:
    """Write a name without what tells apart only case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
