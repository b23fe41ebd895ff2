"""The card of a folder of exports: what the network is, how it is fed, and what each form was measured to do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.data.images import Framing
from recipes.errors import shown
from recipes.formats.facts import preparation
from zoo.disk import in_bytes

NAME = "MODEL_CARD.md"
# So many names of classes are written.
MAX_CLASSES = 50


def written_before(folder: Path) -> list[dict]:
    """Read what was measured of all exports in a folder, each with its place; what is none is passed over."""
    found = []
    for path in sorted(folder.glob("*/export.json")):
        try:
            values = json.loads(path.read_text("utf-8"))
            found.append({**values, "place": f"{path.parent.name}/{values['file']}"})
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def render(name: str, facts: Mapping, exports: Sequence[Mapping]) -> str:
    """Write the card in Markdown."""
    classes = [f"`{shown(each)}`" for each in facts["classes"]]
    outside, framed, whole = preparation(Framing(**facts["framing"]))
    more = f" and {len(classes) - MAX_CLASSES:,} more" if len(classes) > MAX_CLASSES else ""
    lines = [
        f"# {shown(name)}",
        "",
        f"{facts['model'] or 'A network'}, trained for {facts['task']}: {', '.join(classes[:MAX_CLASSES])}{more}.",
        "",
        f"Licence of the weights that the training began with: {shown(facts['license'] or 'not known')}.",
        *(f"- {shown(each)}" for each in facts["citations"]),
        "",
        outside,
        "",
        f"- Then, for networks in folders that end in any-size: {whole}",
        f"- Then, for all others: {framed}",
        "",
        "| file | numbers | size | ms a picture | Keras, ms | measured |",
        "|---|---|---|---|---|---|",
        *(_row(each) for each in exports),
        "",
        f"Measured on {exports[0]['machine']['processor']}, {exports[0]['machine']['cores']} cores.",
    ]
    return "\n".join(lines) + "\n"


def _row(one: Mapping) -> str:
    """Write the row of one export."""
    cells = (
        f"`{one['place']}`",
        one["precision"],
        in_bytes(one["bytes"]),
        f"{one['seconds'] * 1e3:.3g}",
        f"{one['keras_seconds'] * 1e3:.3g}",
        one["says"],
    )
    return f"| {' | '.join(cells)} |"
