"""Signs that labels are written otherwise than expected: several in one, or one with quotes or brackets in it."""

from collections.abc import Collection

# These separate labels, and stand in no name.
SEPARATORS = "|\t\n\r"
# Around the labels of a list, as Python, JSON and others write it.
WRAPPING = " \t\r\n\xa0[](){}\"'“”‘’«»"


def is_wrapped(label: str) -> bool:
    """Whether a label begins with the quotes or the bracket of a cell or list that was not read as one."""
    return label[0] in '["{“«' or (label[0] == label[-1] == "'") or (label[0] == "‘" and label[-1] == "’")


def find_separator(labels: Collection[str], is_settled: bool) -> tuple[str, str] | None:
    """Find (a separator, a label that is several by it); None where there is no sign of one.

    A sign is one that stands in no name; a label of which all parts are labels as well ("haze/road" beside "haze" and "road",
    not "New York" beside "York"); or, where parts never stand alone, that all of them come back in other labels, one at
    another place ("haze/road", "road/river", "haze/river", not "red/car", "blue/car", "red/bus", "blue/bus").

    Args:
        labels: all that were read.
        is_settled: whether the separator that was expected occurs, so that only those that stand in no name are looked for.
    """
    marks = {c for label in labels for c in label if not c.isalnum() and c != "."}  # 1.5 is a number
    for mark in sorted(marks, key=lambda c: (c not in SEPARATORS, c)):
        if mark in SEPARATORS:
            return mark, min(label for label in labels if mark in label)
        if is_settled:
            continue
        parts = {label: _parts(label, mark) for label in labels}
        single = {each[0] for each in parts.values() if len(each) == 1}
        several = {label: each for label, each in sorted(parts.items()) if len(set(each)) > 1}
        made = [label for label, each in several.items() if single.issuperset(each)]
        if made or _come_back(several, single):
            return mark, next(iter(made or several))
    return None


def _parts(label: str, mark: str) -> list[str]:
    """Divide a label, without what may stand around its parts."""
    return [part for piece in label.split(mark) if (part := piece.strip(WRAPPING))]


def _come_back(several: dict[str, list[str]], single: set[str]) -> bool:
    """Whether all parts of labels occur in others as well, one of them at another place; numbers say nothing of the kind."""
    places: dict[str, list[int]] = {}
    for parts in several.values():
        for place, part in enumerate(parts):
            places.setdefault(part, []).append(place)
    words = {part for part in places if not part.isdecimal()}
    return all(len(found) > 1 or part in single for part, found in places.items()) and any(
        len(set(places[part])) > 1 for part in words
    )
