"""How backbones are written in a setting: NAME, NAME:ALPHA or NAME:ALPHA:PIXELS, several of them joined by "+"."""

from dataclasses import dataclass

SEPARATOR = "+"


@dataclass(frozen=True)
class Written:
    """A backbone as it is written: its architecture, and its width and input size where they are given."""

    model: str
    alpha: float | None = None
    image_size: int | None = None

    def __str__(self) -> str:
        numbers = ["" if number is None else f"{number:g}" for number in (self.alpha, self.image_size)]
        return ":".join([self.model, *numbers]).rstrip(":")


def read(text: str) -> Written:
    """Read NAME, NAME:ALPHA, NAME:ALPHA:PIXELS or, of a network without a width, NAME::PIXELS.

    Raises:
        ValueError: it is none of them.
    """
    name, *numbers = text.strip().split(":")
    if not name or len(numbers) > 2:
        raise ValueError(f"{text!r} is no backbone")
    alpha, size = [*numbers, "", ""][:2]
    return Written(name, float(alpha) if alpha else None, int(size) if size else None)


def each(text: str | None, count: int) -> list[str | None]:
    """Divide what is given for so many backbones: one value for all, or one for each, joined by "+"; an empty one is None.

    Raises:
        ValueError: there are more values, or fewer.
    """
    if text is None or count == 1:
        return [text] * count
    values = text.split(SEPARATOR)
    if len(values) not in (1, count):
        raise ValueError(f"{len(values)} values for {count} backbones")
    return [value or None for value in values * (count if len(values) == 1 else 1)]
