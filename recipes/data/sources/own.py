"""What this program writes is no class of pictures: how its folders are known, wherever they were copied to.

A run is known by its files, or by what its result.json says; an experiment, a search and a demonstration by a file of their
own, which is there from their first moment on; a cache by the folders in it. What a run writes before it is whole has a name
that begins with a dot, which no listing looks into.
"""

import os
import re
from collections.abc import Collection
from pathlib import Path

from recipes.errors import UserError, shown, some
from recipes.settings.shared import RUNS

MARK = ".zoo"
# Of the system's, which it puts into any folder that is looked at.
IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}
# A file's name, and how it begins if this program wrote it; \Z: or nothing stands in it yet.
MARKS = {
    MARK: rb"",
    "journal.jsonl": rb'\Z|\{"piece": ',
    ".owner": rb"\Z|process \d+ on ",
    ".study.json": rb'\{\s+"id": "\w+",\s+"study": ',
    "result.json": rb'\{\s+"schema": \d+,\s+"recipe": ',
    "trials.db": rb"SQLite format 3\0",
}
RUN_FILES = {
    "model.keras",
    "model.keras.sha256",
    "reference.npz",
    "result.json",
    "report.html",
    "MODEL_CARD.md",
    "recipe.json",
    "files.csv",
    "history.csv",
}
CACHES = {
    "pixels": r"v\d+-\d+-\d+-\d.*",
    "depths": r"v\d+",
    "contents": r"[0-9a-f]{24}\.(json|npy)",
    "appearances": r"v\d+\.\d+-.*",
    "duplicates": r"[0-9a-f]{24}\.npy",
    **dict.fromkeys(("features", "training", "archives", "datasets"), r"[0-9a-f]{24}"),
}
WEIGHTS = (".h5", ".keras", ".npz", ".safetensors", ".pth", ".pt", ".th", ".bin", ".lock", ".json", ".sha256")


def is_own(folder: str, names: Collection[str]) -> bool:
    """Whether this program wrote a folder, by the names of all that it holds; only files that may be marks are opened."""
    visible = {name for name in names if not name.startswith(".")}
    if visible and visible <= RUN_FILES:
        return True
    kind = CACHES.get(os.path.basename(folder))
    if os.path.basename(folder) == "weights" and visible and all(name.endswith(WEIGHTS) for name in visible):
        return True
    if kind and any(re.fullmatch(kind, name) for name in visible):
        return True
    return any(_begins(os.path.join(folder, name), MARKS[name]) for name in MARKS.keys() & set(names))


def _begins(path: str, pattern: bytes) -> bool:
    """Whether a file begins with a pattern, blanks aside."""
    try:
        with open(path, "rb") as file:
            return re.match(pattern, file.read(1000).lstrip()) is not None
    except OSError:
        return False


def cache_places() -> list[str]:
    """List where the cache lies, if the user has said it; the default place is hidden."""
    cache = os.environ.get("ZOO_CACHE")
    return [cache, *(os.path.join(cache, kind) for kind in ("weights", *CACHES))] if cache else []


def refuse_foreign(folder: Path) -> None:
    """Refuse, with a UserError, an --output that holds files of somebody else's.

    They might be replaced, and pictures beside a mark would be taken for this program's, and left out of every training.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # there is none yet, or it is said when it is made
        return
    foreign = sorted(name for name in names if name not in IGNORED)
    if foreign and not is_own(str(folder), names):
        raise UserError(
            f"--output {shown(folder)} holds files that this command did not write ({some(foreign, 2)}): choose a new or an "
            "empty folder."
        )


def mark(folder: Path) -> None:
    """Make a folder that is known as this program's. Raises UserError if it cannot be made, or is somebody else's."""
    refuse_foreign(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise UserError(f"--output {shown(folder)} cannot be written ({error.strerror}): choose another.") from error


def check_output(settings: object) -> None:
    """Refuse an --output inside the folder of images, where its files would lie among the pictures of a class.

    Raises:
        UserError: naming both.
    """
    data, output = getattr(settings, "data", None), getattr(settings, "output", None)
    if data is None or output is None or getattr(settings, "labels", None):  # a table says itself what the pictures are
        return
    place, root = Path(os.path.realpath(output)), Path(os.path.realpath(data))
    if not place.is_relative_to(root):
        return
    inside = place.relative_to(root).parts
    if any(part.startswith(".") for part in inside) or inside[1:] and inside[0] == RUNS.name:
        return  # hidden, or where outputs lie if no place is given: both are known for what they are
    raise UserError(
        f"--output {shown(output)} lies inside the folder of images {shown(data)}, where it would be read as a class: "
        "choose a folder outside."
    )
