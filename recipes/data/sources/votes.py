"""Several annotators: the rows of one picture become one, by votes.

With one label a row, the picture has the label with the most votes, and counts by their share: of cat, cat and dog it is a
cat, with the weight 2/3. Where two labels have as many, the picture is left out. With any number of labels a row, it has each
label that more than half of the rows give, and counts by the mean share that agrees, over the labels that anybody gave. A
row's own weight is that of its vote.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recipes.console import percent
from recipes.data.sources.table import Table
from recipes.errors import UserError, shown, some


@dataclass(frozen=True)
class Row:
    """What a row of a table says of a picture, and the line where it begins."""

    line: int
    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""
    weight: float = 1.0
    annotator: str = ""


@dataclass(frozen=True)
class Votes:
    """The rows, one a picture; the pictures that were left out; and findings in sentences."""

    rows: list[Row]
    left_out: list[tuple[str, str]]
    findings: list[str]


def count_votes(table: Table, rows: Sequence[Row]) -> Votes:
    """Count the votes on each picture.

    Raises:
        UserError: an annotator has two rows on one picture, or the rows differ in its part or group.
    """
    pictures: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        pictures[row.path].append(row)
    one_label = all(len(row.labels) == 1 for row in rows)
    kept, left_out, differing = [], [], 0
    for path, votes in pictures.items():
        _check(table, votes)
        differing += len({vote.labels for vote in votes}) > 1
        shares = _shares(votes)
        if not one_label:
            labels = tuple(sorted(label for label, share in shares.items() if share > 0.5))
            agreed = [max(share, 1 - share) for share in shares.values()]
            kept.append(replace(votes[0], labels=labels, weight=sum(agreed) / len(agreed) if agreed else 1.0))
            continue
        (label, most), *others = sorted(shares.items(), key=lambda one: -one[1])
        if others and others[0][1] > most - 1e-9:
            found = ", ".join(f"{shown(name)} {percent(share, 0)}" for name, share in shares.items())
            left_out.append((path, f"has no label that most annotators give ({found})"))
        else:
            kept.append(replace(votes[0], labels=(label,), weight=most))
    lost = {label for row in rows for label in row.labels} - {label for row in kept for label in row.labels}
    return Votes(kept, left_out, _findings(table, pictures, differing, len(left_out), lost))


def _shares(votes: Sequence[Row]) -> dict[str, float]:
    """Compute the share of the votes that each label has."""
    shares: Counter[str] = Counter()
    total = sum(vote.weight for vote in votes)
    for vote in votes:
        for label in vote.labels:
            shares[label] += vote.weight / total
    return dict(shares)


def _check(table: Table, votes: Sequence[Row]) -> None:
    """Refuse rows on one picture that do not go together, with a UserError."""
    first, seen = votes[0], {}
    for vote in votes:
        where, path = table.line(vote.line), shown(first.path)
        if vote.annotator in seen:
            who = f"the annotator {shown(vote.annotator)}" if vote.annotator else "a row without an annotator"
            raise UserError(
                f"{where}: {path} has a second row of {who}, first in {table.unit} {seen[vote.annotator]}. Keep one."
            )
        seen[vote.annotator] = vote.line
        for name in ("split", "group"):
            one, other = getattr(first, name), getattr(vote, name)
            if one != other:
                raise UserError(
                    f"{where}: the {name} of {path} is {shown(other) or 'empty'!r}, and {shown(one) or 'empty'!r} in "
                    f"{table.unit} {first.line}: give all rows of a picture the same."
                )


def _findings(table: Table, pictures: dict[str, list[Row]], differing: int, ties: int, lost: set[str]) -> list[str]:
    """Say what the votes have given."""
    counts = [len(votes) for votes in pictures.values()]
    findings = [
        f"{shown(table.file)} has {min(counts)} to {max(counts)} annotators a picture; they differ on {differing:,} of "
        f"{len(counts):,} pictures, which have the label of most and count by its share of the votes"
        + (f", but for {ties:,} without one of most, which are left out." if ties else ".")
    ]
    if lost:
        findings.append(f"Labels that no picture has by the votes of most: {some(sorted(lost))}.")
    return findings
