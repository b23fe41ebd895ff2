"""The README's commands and code, run as they stand; its numbers beside those of docs/results.md; and every page's links."""

import re
import shlex
import sys

import commands
import house
import numpy as np
import pytest
from helpers import ROOT, python
from PIL import Image
from test_decisions import anchor

README = (ROOT / "README.md").read_text(encoding="utf-8")
THREE = re.search(r"## Three commands\n(.*?)\n## ", README, re.S)[1]
(TYPED,) = re.findall(r"```sh\n(.*?)```", THREE, re.S)
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("code", [c for c in re.findall(r"```python\n(.*?)```", README, re.S) if "load_model" not in c])
def test_the_code(code, tmp_path):
    checks = {
        "vgg16": "assert model.output_shape == (None, 10)",
        "efficientnet_lite0": "assert pixels.shape == (224, 224, 3) and name in zoo.decode(model(pixels[None]), model)[0][4]",
        "mobilenet_v2": "assert body.output_shape[1:] == head.input_shape[1:] and not model.get_layer('Conv1').trainable",
    }
    (check,) = [check for name, check in checks.items() if f"{name}(" in code]
    Image.new("RGB", (50, 50), (200, 30, 30)).save(tmp_path / "new.jpg")
    lines = re.findall(r"^(zoo\.stages.*?)\s+# (.*)$", code, re.M)
    shown = "".join(f"\nprint({line})" for line, _ in lines)
    printed = python(f"{code}\n{check}{shown}", cwd=tmp_path, PYTHONPATH=str(ROOT)).splitlines()
    for (_, said), line in zip(lines, printed[len(printed) - len(lines) :], strict=True):
        first, last = said.split(" ..., ")
        assert line.startswith(first) and line.endswith(last)


@pytest.mark.slow
def test_the_commands(tmp_path):
    """On three colours, with the weights that are installed with the project: where a mirror is asked, there is nothing."""
    rng = np.random.default_rng(0)
    (tmp_path / "new").mkdir()
    for label, color in (("healthy", (30, 160, 30)), ("mildew", (230, 230, 230)), ("rust", (200, 90, 30))):
        (tmp_path / "leaves" / label).mkdir(parents=True)
        for place in (*(f"leaves/{label}/{i}.jpg" for i in range(10)), f"new/{label}.jpg"):
            noise = rng.integers(-25, 26, (80, 60, 3))
            Image.fromarray(np.uint8(color + noise)).save(tmp_path / place)
    environment = {"ZOO_MIRROR": str(tmp_path / "nowhere"), "ZOO_CACHE": str(tmp_path / "cache")}
    out = ""
    for line in TYPED.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "zoo"
        done = commands.zoo(*arguments, cwd=tmp_path, **environment)
        assert done.poll() == 0, done.stderr
        out += done.stdout
    assert (tmp_path / "runs" / "finetune" / "leaves" / "report.html").exists()
    assert re.search(r"^test +\d+  \d+\.\d % \(", out, re.M)
    assert len(re.findall(r"^new/(healthy|mildew|rust)\.jpg +\1 +[\d.]+", out, re.M)) == 3


def test_what_is_shown_was_printed_by_the_commands_that_are_shown():
    lines = [line.partition("#")[0].strip() for line in TYPED.splitlines()]
    (printed,) = re.findall(r"<!-- printed by docs/pictures.py readme -->\n```text\n(.+?)```", THREE, re.S)
    assert re.findall(r"^\$ (.+)$", printed, re.M) == lines
    drawing = (ROOT / "docs" / "images" / "terminal.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert all(f"$ {line}" in drawing for line in lines)


def test_the_means_are_those_of_the_table_of_results(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "docs")])
    import diagrams

    found = diagrams.strategies(ROOT)
    rows = re.findall(r"^\| (.+?) \| \**([\d.]+) %\** \| (\d+) s \|$", README, re.M)
    assert len(rows) == 7
    for name, accuracy, seconds in rows:
        name = name.partition(",")[0] if name.startswith("`") else name
        values = found[name.replace("`", "").removeprefix("--strategy ")]
        assert values[:, 0].mean() == pytest.approx(float(accuracy), abs=0.051)
        assert np.exp(np.log(values[:, 1]).mean()) == pytest.approx(float(seconds), abs=0.5)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for place, _, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(#([^)\s]*))?\)", text):
        target = (page.parent / place) if place else page
        if place.startswith("../") and not target.exists():
            continue  # a source, looked for where the sources are: tests/recipes/lecture/test_lecture.py
        assert target.exists(), place
        if heading:
            headings = {anchor(one) for one in re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)}
            assert heading in headings, f"{place}#{heading}"


def test_symptoms_are_words_that_the_program_says():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    files = [path for part in ("recipes", "zoo") for path in (house.SOURCES / part).rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    symptoms = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (.*?) \| \[", page, re.M)))
    assert len(symptoms) > 10 and not [one for one in symptoms if one not in code]


@pytest.mark.parametrize(
    "page", [page for page in PAGES[2:] if page.stem not in ("decisions", "faults")], ids=lambda page: page.stem
)
def test_a_page_opens_with_its_command_and_a_picture(page):
    opening = page.read_text(encoding="utf-8").partition("\n## ")[0].splitlines()
    assert opening[0].startswith("# ") and (opening[2].startswith("    ") or opening[2] == "```sh")
    assert len(re.findall(r"^!\[.{20,}\]\(images/[\w-]+\.(?:png|svg)\)$", "\n".join(opening), re.M)) == 1


def test_pictures_are_small_shown_and_ask_the_network_for_nothing():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size <= 150_000 and f"images/{picture.name})" in shown, picture.name
        if picture.suffix == ".svg":
            drawing = re.sub(
                r"<metadata>.*?</metadata>|<!DOCTYPE.*?>|xmlns(:\w+)?=\S+", "", picture.read_text("utf-8"), flags=re.S
            )
            assert "http" not in drawing, picture.name
