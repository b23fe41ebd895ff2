"""The card of a folder of exports, and the section that the run's own card gets: what each form was measured to do."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.data.images import Framing
from recipes.errors import shown
from recipes.formats import exporter
from recipes.formats.facts import preparation
from zoo.disk import in_bytes

NAME = "MODEL_CARD.md"
PAGE = "- A page, in a folder that begins with html, needs nothing of this: open it in a browser."
# So many names of classes are written.
MAX_CLASSES = 50
SECTION = "## Exports"
HEAD = ("numbers", "size", "ms a picture", "Keras, ms", "measured")


def written_before(folder: Path, model: str) -> tuple[list[dict], list[str]]:
    """Read what was measured of all exports in a folder; what is none is passed over.

    Args:
        model: digest of the file of the network.

    Returns:
        Those of this network, each with its place, and the folders of those of another one.
    """
    found, others = [], []
    for path in sorted(folder.glob(f"*/{exporter.NAME}")):
        try:
            values = json.loads(path.read_text("utf-8"))
            if values["facts"].get("model_sha256") == model:
                found.append({**values, "place": f"{path.parent.name}/{values['file']}"})
            else:
                others.append(path.parent.name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found, others


def render(name: str, facts: Mapping, exports: Sequence[Mapping], others: Sequence[str]) -> str:
    """Write the card in Markdown; `others` are folders of exports of another network."""
    classes = [_code(each) for each in facts["classes"]]
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
        *[PAGE] * any(one["form"] == "html" for one in exports),
        "",
        facts["unknown_is"],
        "",
        *_table("file", [(each["place"], each) for each in exports]),
    ]
    if others:
        lines += ["", f"Of another network, which had this name before: {', '.join(f'`{each}`' for each in others)}."]
    return "\n".join(lines) + "\n"


def with_section(card: str, exports: Sequence[Mapping]) -> str:
    """Give a run's card a section on its exports, in place of the one that it has, or at the end."""
    text = re.sub(rf"^{SECTION}\n.*?(?=^## |\Z)", "", card, flags=re.M | re.S).rstrip("\n")
    rows = [(Path(each["place"]).parts[0], each) for each in exports]
    return "\n".join([text, "", SECTION, "", *_table("form", rows)]) + "\n"


def _code(name: str) -> str:
    """Write a name as Markdown's code, whatever is in it."""
    text = shown(name)
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _table(first: str, exports: Sequence[tuple[str, Mapping]]) -> list[str]:
    """Write the lines of a table of exports, each behind its name, and what was measured on."""
    head = (first, *HEAD)
    machine = exports[0][1]["machine"]
    return [
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| `{name}` | {' | '.join(_cells(one))} |" for name, one in exports),
        "",
        "Each was run by its own runtime before it was kept. Times are medians of one picture at a time, in turns with Keras, "
        f"on {machine['processor']}, {machine['cores']} cores; networks that take any size resize it as well.",
    ]


def _cells(one: Mapping) -> tuple[str, ...]:
    """Write what was measured of one export."""
    return (
        one["precision"],
        in_bytes(one["bytes"]),
        f"{one['seconds'] * 1e3:.3g}",
        f"{one['keras_seconds'] * 1e3:.3g}",
        one["says"],
    )
