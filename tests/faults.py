"""docs/faults.md, made of the tests that carry a fault's mark.

    python tests/faults.py    # writes the page anew

A test says of the fault that it stages what a user of this project sees, and why it is so:

    @pytest.mark.fault("Folders", "the fault", "what happens", "why")
"""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "faults.md"
KINDS = (
    "Folders",
    "Tables",
    "Archives",
    "Data",  # what zoo check finds
    "Data sets",
    "Divisions",
    "Pictures",
    "Weights",
    "Models",
    "Callbacks",
    "Runs",
    "Prediction",
    "Export",
    "Flags",
    "User configuration",
    "Search",
)
HEAD = """# Faults: what is refused, what is mended, and what is said

Each line is a test that stages the fault and looks at what happens. This page is made of their marks by
`python tests/faults.py`.
"""


def marks() -> dict[str, list[tuple[str, str, str, str]]]:
    """Collect {kind: [(fault, what happens, why, test)]}, in the order of the files."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), path)):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    kind, *texts = map(ast.literal_eval, mark.args)
                    assert kind in KINDS and len(texts) == 3, f"{path}: {node.name}"
                    found[kind].append((*texts, f"{path.relative_to(ROOT)}::{node.name}"))
    return found


def page() -> str:
    """Write the page."""
    found, lines = marks(), [HEAD]
    for kind in KINDS:
        if kind in found:
            lines += [f"## {kind}", "", "| fault | what happens | why | test |", "|---|---|---|---|"]
            for fault, happens, why, test in found[kind]:
                name = test.rpartition("::")[2]
                cells = [text.replace("|", "\\|") for text in (fault, happens, why)]
                lines.append(f"| {' | '.join(cells)} | [{name}](../{test.partition('::')[0]}) |")
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
