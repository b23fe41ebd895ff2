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


DECIDE = "decide which label is right, and relabel the others"
DIVIDE = "take it out of one of the parts; until then the later part's is left out of what is measured"
LOOK = "look whether what it shows can be seen, and leave it out if not"
KINDS = {
    "unreadable": Kind(ERROR, "Files that are no picture", "replace it, or take it away; until then it is left out"),
    "leak": Kind(ERROR, "Copies of a picture of an earlier part", DIVIDE),
    "conflict": Kind(ERROR, "Copies of a picture under another label", DECIDE),
    "near leak": Kind(WARNING, "Near-duplicates of a picture of an earlier part", DIVIDE),
    "near conflict": Kind(WARNING, "Near-duplicates of a picture under another label", DECIDE),
    "label": Kind(WARNING, "Labels that are probably wrong", "look at it, and relabel it if it is wrong"),
    "blank": Kind(WARNING, "Pictures that show nothing", "leave it out, or fetch it again"),
    "small class": Kind(WARNING, "Classes with few pictures", "add pictures, or join the class with another"),
    "difference": Kind(
        WARNING,
        "What tells classes or parts apart without a look at the pictures",
        "mix cameras and sizes among classes, and draw parts from all pictures; or expect less on new ones",
    ),
    "part": Kind(NOTE, "Parts without some classes", "add pictures of these classes"),
    "copy": Kind(NOTE, "Copies of a picture of the same class", "keep one of them; they are never divided between parts"),
    "near copy": Kind(
        NOTE, "Near-duplicates of a picture of the same class", "nothing: they are one group, never divided between parts"
    ),
    "alike": Kind(NOTE, "Pictures too much alike to find near-duplicates", "nothing, if each is a picture of its own"),
    "dark": Kind(NOTE, "Dark pictures", LOOK),
    "bright": Kind(NOTE, "Bright pictures", LOOK),
    "blurred": Kind(NOTE, "Blurred pictures", LOOK),
    "odd-shaped": Kind(NOTE, "Pictures that are much longer than others", "cut out what shows its class"),
    "small": Kind(NOTE, "Pictures that are much smaller than others", "fetch it in its full size"),
    "large": Kind(NOTE, "Pictures that are much larger than others", "look whether it shows the same as the others"),
    "content": Kind(NOTE, "Pictures that are read in part, or otherwise than stored", "convert it, if the reason says so"),
    "source": Kind(NOTE, "What the source says of itself", "look whether it is meant"),
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

    def as_dict(self) -> dict:
        """Write the finding as values for check.json."""
        return {"level": self.level, **vars(self), "others": list(self.others)}


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
            first = some((f"{f.path} {f.reason}".strip().removesuffix(".") for f in findings if f.kind == name), 2)
            lines.append(f"{kind.title}: {counts[name]:,} ({first}). What to do: {kind.remedy}.")
    return lines
