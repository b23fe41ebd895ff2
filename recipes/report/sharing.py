"""What a page says of the machine that it was made on: names of files, and not the folders of whoever made it."""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

# Where the folders of a path were.
ELSEWHERE = "…"
# A part of a path: it ends where a sentence or a command goes on.
PART = r"/[^/\s\"'`<>|;,()\[\]{}]+"


def shortener() -> Callable[[str], str]:
    """Make what shortens the absolute paths in a text to their last part: "/home/ada/cats" becomes "…/cats".

    A path is absolute that begins with a folder at the root of this machine, so that a class such as "/m/0abc" stays as it
    is. `result.json`, which is not meant to be shared, has paths in full.
    """
    own = sorted(_own_folders(), key=len, reverse=True)
    roots = [f"/{name}" for name in sorted(os.listdir("/"), key=len, reverse=True) if name.strip()]
    starts = [(re.escape(folder), "*") for folder in own] + [(re.escape(root), "+") for root in roots]
    paths = re.compile("|".join(rf"(?<![\w.~…-]){start}(?![\w-])(?:{PART}){times}/?" for start, times in starts))
    folders = {*own}

    def shortened(text: str) -> str:
        """Shorten a text; the address of a picture that the page holds is none."""
        return text if "/" not in text or text.startswith("data:") else paths.sub(last_part, text)

    def last_part(found: re.Match) -> str:
        """Write a path without its folders; of a folder that says who works here, nothing."""
        path = found[0].rstrip("/")
        return ELSEWHERE if path in folders else f"{ELSEWHERE}/{path.rpartition('/')[2]}"

    return shortened


def _own_folders() -> set[str]:
    """Find the folders whose names say who works here."""
    found = {os.path.expanduser("~"), tempfile.gettempdir()}
    with contextlib.suppress(FileNotFoundError):
        found.add(os.getcwd())
    found |= {os.path.realpath(folder) for folder in found}
    return {folder for folder in found if len(Path(folder).parts) > 1}
