"""docs/decisions.md: its list, its headings, and the names in the text that can be looked up."""

import importlib
import re

import house
from helpers import ROOT

PAGE = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_list_and_the_headings_agree():
    headings = re.findall(r"^## (.+)$", PAGE, re.M)
    assert len(headings) > 60
    assert re.findall(r"^- \[(.+)\]\(#(.+)\)$", PAGE, re.M) == [(heading, anchor(heading)) for heading in headings]


def test_every_anchor_is_unique():
    anchors = [anchor(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.M)]
    assert len(set(anchors)) == len(anchors)


def test_links_to_a_decision_lead_to_one():
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.M)}
    files = [path for ending in ("*.md", "*.py") for path in ROOT.rglob(ending)]
    made = {".venv", "build"}  # nothing of the project
    files = [path for path in files if not made & set(path.relative_to(ROOT).parts)]
    links = {link for path in files for link in re.findall(r"decisions\.md#([\w-]+)", path.read_text(encoding="utf-8"))}
    assert links <= anchors


def test_files_and_names_in_the_text_exist():
    files = re.findall(r"`(?:python )?((?:zoo|callbacks|recipes|tests|benchmarks|docs)/[\w/.]+)", PAGE)
    assert len(files) > 10 and not [name for name in files if not ((ROOT / name).exists() or (house.SOURCES / name).exists())]
    known = house.modules()
    for name in re.findall(r"`((?:zoo|callbacks|recipes)\.[\w.]+)`", PAGE):
        module, _, attribute = name.rpartition(".")
        assert name in known or hasattr(importlib.import_module(module), attribute), name
