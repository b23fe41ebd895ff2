"""What the columns of a table of labels are: path, labels or classes, part, group, weight, annotator, or an index.

A column that is called like something else that tables hold (a fold, a width) is not taken for a class: it is refused.
`--columns` says what names do not.
"""

import difflib
import re
from collections.abc import Callable, Mapping
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
# Of these names a column has one label in each row, and no row without one.
SINGULAR = frozenset("label labelname class classname category categoryname target".split())
GROUP = re.compile(r"groups?(id|name)?")
WEIGHT = re.compile(r"(sample|image)?weights?")
ANNOTATOR = re.compile(r"(annotator|rater|labell?er|worker)(id|name)?")
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
    group: int | None = None
    weight: int | None = None
    annotator: int | None = None
    index: tuple[str, ...] = ()  # names of those that count the rows
    unused: tuple[str, ...] = ()  # names of those that --columns does not name


def identify(table: Table, named: Mapping[str, str] | None = None) -> Columns:
    """Say what each column is.

    Args:
        named: columns by their role, one of `recipes.settings.sources.ROLES`.

    Raises:
        UserError: one is missing, there twice, or looks like none of these.
    """
    file, names = shown(table.file), table.columns
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file} has two columns of one name in its first line, {shown(twice)}: rename one.")
    given = _given(table, named or {})
    free = [i for i in range(len(names)) if i not in given.values()]

    def chosen(role: str, among: list[int], fits: Callable[[str], object]) -> int | None:
        return given[role] if role in given else _only(table, [i for i in among if fits(_plain(names[i]))], role)

    path = chosen("path", free, PATHS.__contains__)
    index = [i for i in free if i != path and _is_index(table, i)]
    rest = [i for i in free if i not in (path, *index)]
    labels = chosen("label", rest, LABELS.__contains__)
    flagged = {} if "split" in given else {i: found[1] for i in rest if (found := FLAG.fullmatch(_plain(names[i])))}
    flags = {"test" if word.startswith("test") else "validation": i for i, word in flagged.items()}
    splits = [given["split"]] if "split" in given else [i for i in rest if SPLIT.fullmatch(_plain(names[i]))]
    if len(splits) > 1 or splits and flags or len(flags) < len(flagged):
        both = some(names[i] for i in [*splits, *flagged])
        raise UserError(f"{file} has several columns that say which part a picture belongs to, {both}: keep one.")
    kinds = {"group": GROUP, "weight": WEIGHT, "annotator": ANNOTATOR}
    group, weight, annotator = (chosen(role, rest, pattern.fullmatch) for role, pattern in kinds.items())
    known = {labels, *splits, *flagged, group, weight, annotator}
    others = [i for i in rest if i not in known]
    _check_others(table, path, labels, others, is_told="label" in given)
    classes = {} if labels is not None else {names[i]: i for i in others}
    return Columns(
        path,
        labels,
        classes,
        next(iter(splits), None),
        flags,
        group,
        weight,
        annotator,
        tuple(names[i] or "without a name" for i in index),
        tuple(names[i] or "without a name" for i in others if labels is not None),
    )


def _check_others(table: Table, path: int | None, labels: int | None, others: list[int], is_told: bool) -> None:
    """Refuse a table without path or labels, and columns that are nothing that is known, with a UserError.

    Args:
        others: columns without another role: classes, if nothing else is there to say what a picture shows.
        is_told: whether --columns names the labels, so that the others do not matter.
    """
    file, names = shown(table.file), table.columns
    nameless = [i for i in others if not names[i] or _words(names[i]) == ["unnamed"]]
    if nameless and not is_told:
        raise UserError(
            f"{file}: column {nameless[0] + 1} has no name in the first line, and does not count the rows: name it, or take it "
            "away."
        )
    if path is None or (labels is None and not others):
        raise UserError(
            f"{file} needs a first line with path, and labels or the names of classes; found "
            f"{', '.join(map(shown, names)) or 'nothing'}. If they are called otherwise: --columns path=NAME,label=NAME."
        )
    if labels is not None and others and not is_told:
        raise UserError(
            f"{file} has a column {shown(names[labels])}, and others that are not known: {some(names[i] for i in others)}. "
            f"Take one or the other, or give --columns label={shown(names[labels])} to ignore the others."
        )
    for i in others if labels is None else ():
        _check_class(table, i)


def _given(table: Table, named: Mapping[str, str]) -> dict[str, int]:
    """Find the columns that --columns names. Raises UserError for one that is not there, or named twice."""
    found: dict[str, int] = {}
    for role, name in named.items():
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, 1)
            hint = f" Is it {shown(near[0])}?" if near else ""
            raise UserError(
                f"{shown(table.file)} has no column {shown(name)}, which is to be the {role}; found "
                f"{some(table.columns, 20) or 'nothing'}.{hint}"
            )
        found[role] = table.columns.index(name)
    for role, index in found.items():
        if list(found.values()).count(index) > 1:
            raise UserError(
                f"--columns gives the column {shown(table.columns[index])} two roles, one of them {role}: keep one."
            )
    return found


def has_one_label(name: str) -> bool:
    """Whether a column of that name holds one label, no more and no less."""
    return _plain(name) in SINGULAR


def is_path(name: str) -> bool:
    """Whether a column of that name holds the pictures' paths."""
    return _plain(name) in PATHS


def _only(table: Table, found: list[int], name: str) -> int | None:
    """Choose the column: the one that there is, or that is called so; None if there is none. Raises UserError for several."""
    exact = [i for i in found if table.columns[i].lower() in (name, f"{name}s")]
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
            "picture belongs to stands in a column split, as train, val or test), call it otherwise if it is a class, or give "
            f"--groups {shown(name)} if pictures of one {shown(name)} belong together."
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
