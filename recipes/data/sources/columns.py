"""What the columns of a table of labels are: path, labels or classes, the part that a picture belongs to, or an index.

A column that is called like something else that tables hold (a fold, a width) is not taken for a class: it is refused.
"""

import re
from dataclasses import dataclass

from recipes.data.sources.table import Table
from recipes.errors import UserError, shown, some

PATHS = frozenset(
    "path paths file files filename filenames filepath fname image images imagename imagepath imagefile imageid imagefilename "
    "img imgname imgpath imgid picture pictures picturepath photo photos name".split()
)
LABELS = frozenset(
    "label labels labelname tag tags class classes classname category categories categoryname target targets".split()
)
SPLIT = re.compile(
    r"(data|dataset|image|traintest|trainvaltest|official)?(split|set|subset|partition|part|phase|usage)(name|type)?"
)
# 1 is the part, 0 another one.
FLAG = re.compile(r"(?:is|in)(valid|validation|val|dev|test|testing)(?:set|split)?")
INDEX = frozenset("index idx id ids row rows rownumber nr no number unnamed".split())
# What data frames hold beside labels, also as 0 and 1. Not what may be seen in a picture, as in "blurred" or "male".
METADATA = INDEX | frozenset(
    "data dataset split splits partition fold folds kfold train training trainval valid validation val dev test testing eval "
    "evaluation holdout heldout public private flip flipped mirrored rotated augmented augmentation aug resized cropped "
    "duplicate duplicated dup synthetic width height size bytes channels depth count weight score confidence probability prob "
    "quality checked verified reviewed annotated annotator annotation labeled labelled unlabeled unlabelled used ignore "
    "ignored exclude excluded include included skip keep uid uuid guid hash md5 sha1 sha256 digest url license licence time "
    "timestamp user patient batch version".split()
)
FILLERS = frozenset(
    "is in for has was to h v horizontal horizontally vertical vertically image images img picture photo file data dataset set "
    "col column flag mask name type value of cv k n num the a".split()
)


@dataclass(frozen=True)
class Columns:
    """Indices of a table's columns by what they are; either `labels` or `classes` is there."""

    path: int
    labels: int | None
    classes: dict[str, int]
    split: int | None
    flags: dict[str, int]  # of the parts "validation" and "test"
    ignored: list[str]


def identify(table: Table) -> Columns:
    """Say what each column is.

    Raises:
        UserError: one is missing, there twice, or looks like none of these.
    """
    file, names = shown(table.file), table.columns
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file} has two columns of one name in its first line, {shown(twice)}: rename one.")
    path = _only(table, [i for i, name in enumerate(names) if is_path(name)], "path")
    index = [i for i in range(len(names)) if i != path and _is_index(table, i)]
    rest = [i for i in range(len(names)) if i not in (path, *index)]
    labels = _only(table, [i for i in rest if _plain(names[i]) in LABELS], "labels")
    splits = [i for i in rest if SPLIT.fullmatch(_plain(names[i]))]
    flagged = {i: found[1] for i in rest if (found := FLAG.fullmatch(_plain(names[i])))}
    flags = {"test" if word.startswith("test") else "validation": i for i, word in flagged.items()}
    if len(splits) > 1 or splits and flags or len(flags) < len(flagged):
        both = some(names[i] for i in [*splits, *flagged])
        raise UserError(f"{file} has several columns that say which part a picture belongs to, {both}: keep one.")
    nameless = [i for i in rest if not names[i] or _words(names[i]) == ["unnamed"]]
    if nameless:
        raise UserError(
            f"{file}: column {nameless[0] + 1} has no name in the first line, and does not count the rows: name it, or take it "
            "away."
        )
    others = [i for i in rest if i not in (labels, *splits, *flagged)]
    if path is None or (labels is None and not others):
        raise UserError(
            f"{file} needs a first line with path, and labels or the names of classes; found "
            f"{', '.join(map(shown, names)) or 'nothing'}."
        )
    if labels is not None and others:
        raise UserError(
            f"{file} has a column {shown(names[labels])}, and others that are not known: {some(names[i] for i in others)}. "
            "Take one or the other."
        )
    for i in others:
        _check_class(table, i)
    classes = {names[i]: i for i in others}
    return Columns(path, labels, classes, next(iter(splits), None), flags, [names[i] or "without a name" for i in index])


def is_path(name: str) -> bool:
    """Whether a column of that name holds the pictures' paths."""
    return _plain(name) in PATHS


def _only(table: Table, found: list[int], name: str) -> int | None:
    """Choose the column: the one that there is, or that is called so; None if there is none. Raises UserError for several."""
    exact = [i for i in found if table.columns[i].lower() == name]
    chosen = exact or found
    if len(chosen) > 1:
        both = some(table.columns[i] for i in chosen)
        raise UserError(f"{shown(table.file)} has several columns that may be the one called {name}, {both}: keep one.")
    return next(iter(chosen), None)


def _check_class(table: Table, index: int) -> None:
    """Refuse a column that is no class, by its name, with a UserError."""
    name = table.columns[index]
    if _is_called(name, METADATA) or _plain(name).removeprefix("is") in METADATA:
        raise UserError(
            f"{shown(table.file)}: the column {shown(name)} is called like what is no class: take it away (the part that a "
            "picture belongs to stands in a column split, as train, val or test), or call it otherwise if it is a class."
        )


def _is_index(table: Table, index: int) -> bool:
    """Whether a column counts the rows: it has no name, or an index's, and other whole numbers in every row."""
    name, cells = table.columns[index], table.column(index)
    if not cells or (name and not _is_called(name, INDEX)):
        return False
    return all(cell.isdecimal() for cell in cells) and len(set(map(int, cells))) == len(cells)


def _is_called(name: str, words: frozenset[str]) -> bool:
    """Whether a name consists of such words, but for fillers."""
    telling = {*_words(name)} - FILLERS
    return bool(telling) and telling <= words or _plain(name) in words


def _words(name: str) -> list[str]:
    """Divide a name into its words, in small letters, without numbers: isValid, is_valid and "Is valid 2" are the same."""
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _plain(name: str) -> str:
    """Join the words of a name."""
    return "".join(_words(name))
