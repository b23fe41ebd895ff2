"""Which level of a tree of folders the classes are: the parts above them, folders around them, and what lies below them.

Names alone do not tell: a class may be called "training". What does is where the pictures lie. Folders that hold no picture
themselves are parts, if they are called so, and else a level above the classes that nobody can name but the user.
"""

import mimetypes
import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping

from PIL import Image

from recipes.data.sources.listing import SPLITS
from recipes.data.sources.walk import Identity, Walk
from recipes.errors import UserError, some

LAYOUT_HINT = "put one folder per class into it, or train/ (and val/, test/) with one folder per class"
# No class that lies beside others is called so: with others that are no parts, such a folder is refused.
CERTAIN = {"train", "val", "valid", "validation", "test"}
# What the only folder in a class folder may be called without being the class itself.
NEUTRAL = {"images", "image", "imgs", "img", "pictures", "photos", "frames", "data", "jpg", "jpeg", "png", "rgb"}


def base(path: str) -> str:
    """Take the last name of a path."""
    return path.rpartition("/")[2]


def part_of(name: str) -> str | None:
    """Find the split that a folder is called after, as in "Testing", "seg_train", "TrainImages" and "val2017"; or None."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    stems = {re.sub(r"(?<=.)(data)?(sets?|data|images?|imgs?|split|folder)$", "", word) for word in words}
    found = {SPLITS[stem] for stem in stems if stem in SPLITS}
    return found.pop() if len(found) == 1 else None


def find_parts(walk: Walk, folders: Mapping[str, Identity], known: Collection[str] = ()) -> dict[str, str]:
    """Find {"train": its folder, ...}, train first; {} where `folders` are classes. Raises UserError for a mixture.

    Args:
        known: the classes, where a finished run has them; then nothing need be there to train on.
    """
    if known and {base(path) for path in folders} <= set(known):
        return {}
    named = {path: split for path in folders if (split := part_of(path))}
    if not _are_parts(walk, folders, named):
        return {}
    found: dict[str, str] = {}
    for path, split in named.items():
        if split in found:
            both = some((found[split], path))
            raise UserError(f"{walk.place('')} has two folders for {split}, {both}: keep one.")
        found[split] = path
    if others := [path for path in folders if path not in named]:
        raise UserError(
            f"{walk.place('')} mixes splits ({some(found.values())}) with others ({some(others)}): move the others away, "
            "or rename a class that is called like a split. Pictures without labels are for `zoo predict RUN FOLDER`."
        )
    if "train" not in found and not known:
        raise UserError(f"{walk.place('')} has {some(found.values())} but no train/: {LAYOUT_HINT}.")
    if len({folders[path] for path in found.values()}) < len(found):
        raise UserError(
            f"In {walk.place('')} two of {some(found.values())} are links to the same folder: "
            "pictures of two splits must be different ones; remove a link."
        )
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _are_parts(walk: Walk, folders: Mapping[str, Identity], named: Mapping[str, str]) -> bool:
    """Whether the folders that are called like parts are parts: surely by name, or because they hold folders only."""
    if any(path.lower() in CERTAIN for path in named):
        return True
    below = {path: set(map(base, inside)) for path in named if (inside := _subfolders(walk, path))}
    shared = Counter(name for names in below.values() for name in names)
    above = [p for p, names in below.items() if any(shared[name] > 1 for name in names) or not _has_picture(walk, p)]
    if any(path.lower() in SPLITS for path in above) and len(folders) > 1:
        return True
    return "train" in {named[path] for path in above} and len(set(named.values())) > 1


def unwrapped(walk: Walk, folder: str, known: Collection[str] = ()) -> str:
    """Go down to the folder that holds the class folders, as long as there is one folder only, such as a zip file's own.

    Args:
        known: names of classes, which are no wrappers.
    """
    while True:
        inside = list(walk.foreign_folders(folder).items())
        if len(inside) != 1 or _has_picture(walk, folder):
            return folder
        ((path, identity),) = inside
        is_seen = walk.places.setdefault(identity, path) != path
        if is_seen or base(path) in known or not _subfolders(walk, path) or _has_picture(walk, path):
            return folder
        folder = path


def check_level(walk: Walk, parent: str, labels: Mapping[str, str]) -> None:
    """See that the folders {class: folder} in `parent` are the classes, and not a level above them.

    Raises:
        UserError: they hold no picture themselves but folders, or hold parts; it names these, and says what to do.
    """
    if len(labels) < 2:
        return
    below = {label: _subfolders(walk, folder) for label, folder in labels.items()}
    if all(any(part_of(base(path)) for path in inside) for inside in below.values()):
        parts = sorted({base(path) for inside in below.values() for path in inside if part_of(base(path))})
        label, first = next((label, inside[0]) for label, inside in below.items())
        raise UserError(
            f"In {walk.place(parent)} each class folder ({some(labels)}) holds parts ({some(parts)}), where the parts must "
            f"hold the classes: move {walk.place(first)} to {walk.place(_joined(parent, base(first), label))}, and so on."
        )
    deep = {label: inside for label, inside in below.items() if inside}
    if not deep or _has_pictures_of_its_own(walk, labels, deep):
        return
    if all(len(inside) == 1 and _is_wrapper(label, base(inside[0])) for label, inside in deep.items()):
        check_level(walk, parent, {label: inside[0] for label, inside in deep.items()})
        return
    label, inside = next(iter(deep.items()))
    what = f"the same folders ({some(map(base, inside))})" if _are_same(deep) else "folders"
    raise UserError(
        f"The folders of {walk.place(parent)} ({some(deep)}) hold {what}, such as {walk.place(inside[0])}, and no pictures "
        "themselves, so the classes seem to lie deeper: put all class folders side by side into one folder, or give a folder "
        f"that holds them, such as {walk.place(labels[label])}; call parts train, val and test; and if {some(deep)} are the "
        "classes, move the pictures up into them."
    )


def _has_pictures_of_its_own(walk: Walk, labels: Mapping[str, str], deep: Mapping[str, list[str]]) -> bool:
    """Whether pictures lie in a class folder itself; of those beside the same folders everywhere, a few do not count."""
    if not _are_same(deep):
        return any(_has_picture(walk, folder) for folder in labels.values())
    few = len(next(iter(deep.values())))
    return any(
        _has_picture(walk, folder) and (label not in deep or len(walk.entries_or_refuse(folder).files) >= few)
        for label, folder in labels.items()
    )


def _are_same(deep: Mapping[str, list[str]]) -> bool:
    """Whether several folders hold folders of the same names, two or more."""
    names = {tuple(map(base, inside)) for inside in deep.values()}
    return len(deep) > 1 and len(names) == 1 and len(names.pop()) > 1


def _joined(*names: str) -> str:
    """Join names to a path."""
    return "/".join(name for name in names if name)


def _is_wrapper(label: str, name: str) -> bool:
    """Whether the only folder in a class folder is no class by its name: it is the same, or says nothing."""
    return name.lower() == label.lower() or name.lower() in NEUTRAL


def _subfolders(walk: Walk, folder: str) -> list[str]:
    """List the folders in a folder in which, or below which, the user's files lie."""
    found = walk.entries_or_refuse(folder).folders.items()
    return [path for path, identity in found if walk.places.get(identity, path) == path and walk.holds_files(path)]


def _has_picture(walk: Walk, folder: str) -> bool:
    """Whether a picture lies in the folder itself; where folders lie beside it, a file whose name does not say so is opened."""
    entries = walk.entries_or_refuse(folder)
    if any((mimetypes.guess_type(path)[0] or "").startswith("image/") for path in entries.files):
        return True
    if entries.folders:
        return any(_is_picture(os.path.join(walk.root, path)) for path in entries.files)
    return any(mimetypes.guess_type(path)[0] is None for path in entries.files)


def _is_picture(path: str) -> bool:
    """Whether a file begins as a picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(path).close()
        return True
    except Exception:  # foreign bytes make Pillow's plugins raise almost anything
        return False
