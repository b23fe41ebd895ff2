"""The page of `zoo check`: what was found, the worst first, with the pictures that it is about."""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from recipes.data.decoding import Decoded
from recipes.data.findings import KINDS, Finding
from recipes.data.images import read_bytes, whole
from recipes.data.sources.listing import File, Listing
from recipes.errors import ImageError
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.report.page import page
from recipes.report.thumbnails import thumbnail

# Of each kind; the others stand in files.csv.
MAX_SHOWN = 24
MAX_OTHERS = 3
MAX_CLASSES = 200


def render(found: dict, findings: Sequence[Finding], listing: Listing, decoded: Decoded) -> str:
    """Write the page as HTML text that any UTF-8 file can hold.

    Args:
        found: values of `check.json`.
        findings: all of them; those of a kind in the order in which they are shown.
    """
    files = {file.path: file for file in listing.files}
    sections = []
    for name, kind in KINDS.items():
        those = [finding for finding in findings if finding.kind == name]
        if those:
            on_pictures = [one for one in those if one.path]
            sections.append(
                {
                    "name": name,
                    "kind": kind,
                    "count": len(those),
                    "pictures": [_figure(one, files, listing, decoded) for one in on_pictures[:MAX_SHOWN]],
                    "more": max(0, len(on_pictures) - MAX_SHOWN),
                    "sentences": [one.reason for one in those if not one.path],
                }
            )
    parts = sorted({part for count in found["class_counts"].values() for part in count}, key=_rank)
    return page(
        "check.html",
        result=found,
        data=PurePath(found["data"]).name,
        sections=sections,
        parts=parts,
        classes=list(found["class_counts"].items())[:MAX_CLASSES],
        more_classes=max(0, len(found["class_counts"]) - MAX_CLASSES),
    )


def _rank(part: str) -> int:
    """Order the names of parts as they are used."""
    return ("all", "train", "validation", "test").index(part)


def _figure(finding: Finding, files: dict[str, File], listing: Listing, decoded: Decoded) -> dict:
    """Prepare a picture with what was found about it, and those that it is compared with."""
    return {
        **_shown(finding.path, files, listing, decoded),
        "reason": finding.reason,
        "others": [_shown(path, files, listing, decoded) for path in finding.others[:MAX_OTHERS]],
    }


def _shown(path: str, files: dict[str, File], listing: Listing, decoded: Decoded) -> dict:
    """Prepare a picture with its name, label and part."""
    file = files.get(path)
    label = "" if file is None else file.label if isinstance(file.label, str) else LABEL_SEPARATOR.join(file.label)
    return {
        "path": path,
        "label": label,
        "split": file.split if file else "",
        "thumbnail": thumbnail(_pixels(path, listing, decoded)),
    }


def _pixels(path: str, listing: Listing, decoded: Decoded) -> np.ndarray | None:
    """Read a whole picture `(height, width, channels)`; None for what is none, or no more."""
    try:
        picture, _ = whole(read_bytes(listing.root / path), decoded.framing)
    except ImageError:
        return None
    return np.atleast_3d(np.asarray(picture))
