"""Tables as text."""

from collections.abc import Sequence


def align(cells: Sequence[Sequence[str]], alignment: str) -> list[str]:
    """Align rows of cells as lines; `alignment` has a "<" or ">" for each column."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(alignment, widths, strict=True))
    return [form.format(*row).rstrip() for row in cells]
