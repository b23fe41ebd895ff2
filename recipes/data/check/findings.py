"""What may be found about pictures: its kinds with their levels and remedies, and a finding."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from recipes.errors import some

ERROR, WARNING, NOTE, FINE = "error", "warning", "note", "fine"
LEVELS = (ERROR, WARNING, NOTE, FINE)  # the worst first


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how bad it is, what it is called, and what to do about it."""

    level: str
    title: str
    remedy: str


KINDS = {
    "unreadable": Kind(ERROR, "Files that are no picture", "Replace them, or take them away; until then they are left out."),
    "leak": Kind(
        ERROR,
        "Pictures of which an earlier part holds a copy",
        "Take them out of one part; until then the later part's are left out of what is measured.",
    ),
    "conflict": Kind(
        ERROR, "Copies of one picture under different labels", "Decide which label is right, and relabel the others."
    ),
    "near leak": Kind(
        WARNING,
        "Pictures of which an earlier part holds a near-duplicate",
        "Take them out of one part; until then the later part's are left out of what is measured.",
    ),
    "near conflict": Kind(
        WARNING, "Near-duplicates under different labels", "Decide which label is right, and relabel the others."
    ),
    "label": Kind(WARNING, "Labels that are probably wrong", "Look at them, and relabel those that are wrong."),
    "blank": Kind(WARNING, "Pictures that show nothing", "Leave them out, unless a class is one of blank pictures."),
    "small class": Kind(WARNING, "Classes with few pictures", "Add pictures, or join the class with another."),
    "part": Kind(WARNING, "Parts that differ", "Draw the parts anew from all pictures, if they are meant to be alike."),
    "source": Kind(
        WARNING,
        "Classes that can be told apart without looking",
        "Mix cameras and sizes among the classes, or expect less on new pictures.",
    ),
    "copy": Kind(NOTE, "Exact copies in one class", "Keep one of each; they are never divided between parts."),
    "near-duplicate": Kind(
        NOTE, "Near-duplicates in one class", "Keep them; they are one group, which is never divided between parts."
    ),
    "dark": Kind(NOTE, "Dark pictures", "Look whether what they show can be seen."),
    "blurred": Kind(NOTE, "Blurred pictures", "Look whether what they show can be seen."),
    "shape": Kind(
        NOTE, "Pictures of an odd shape", "What lies outside of the middle square is not seen; crop them if it matters."
    ),
    "size": Kind(NOTE, "Pictures of an odd size", "Look whether they are previews, or belong elsewhere."),
    "content": Kind(NOTE, "Pictures that are read in part, or otherwise than stored", "Convert them, if the note says why."),
}


@dataclass(frozen=True)
class Finding:
    """What was found about a picture, or, without a path, about a class or a part."""

    kind: str  # a key of KINDS
    path: str
    reason: str  # words that follow the path, or a sentence
    others: tuple[str, ...] = ()  # the pictures that it is compared with
    action: str = ""  # the correction that is suggested
    to: str = ""

    @property
    def level(self) -> str:
        """How bad it is."""
        return KINDS[self.kind].level


def worst(findings: Iterable[Finding]) -> str:
    """Give the worst level of some findings; FINE for none."""
    return min((finding.level for finding in findings), key=LEVELS.index, default=FINE)


def grouped(findings: Iterable[Finding]) -> list[str]:
    """Say each kind of finding in a line: its level, how many there are, and the first of them; the worst kinds first."""
    findings = list(findings)
    counts = Counter(finding.kind for finding in findings)
    lines = []
    for name, kind in KINDS.items():
        if counts[name]:
            first = some((f"{f.path} {f.reason}".strip() for f in findings if f.kind == name), 2)
            lines.append(f"{kind.level}: {kind.title}: {counts[name]:,} ({first}). {kind.remedy}")
    return lines
