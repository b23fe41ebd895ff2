"""Every page in Chromium: nothing is logged or cut off, on a screen, a telephone or paper; the keyboard reaches everything."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import browser
import commands
import numpy as np
import pytest
from helpers import few_digits
from test_report import HOSTILE, example, gray

from recipes.evaluation.metrics import label_metrics
from recipes.report.page import page
from recipes.report.run import render
from recipes.search import plots, report
from recipes.search.records import TrialRecord

pytestmark = pytest.mark.slow

NETWORK = ("--model", "lenet5", "--seed", "0")
COMMANDS = {
    "run": ("finetune", "report.html", *NETWORK, "--strategy", "medium", "--epochs", "2", "--augment", "crops"),
    "search": ("tune", "report.html", *NETWORK, "--trials", "3", "--tuner", "random"),
    "check": ("check", "check.html"),
    "evaluation": ("evaluate", "report.html", "--groups", r"/(\d\d)", "--corruptions", "all", "--views", "mirror"),
}
MANY = [f"class number {i}" for i in range(30)]
INVENTED = {
    "two classes": lambda: render(*example(splits=("train", "validation", "test"), right=1.0), gray),
    "thirty classes": lambda: render(*example(MANY, images=3000, right=2.0), gray),
    "hostile names": lambda: render(*example([*HOSTILE, 80 * "W"], right=0.0, reasons=HOSTILE), gray),
    "several labels": lambda: render(*_several_labels(), gray),
    "many trials": lambda: _search(trials=25, hyper_parameters=12),
    "hypermodel": lambda: _hypermodel(),
}
NAMES = [*COMMANDS, *INVENTED]
# At 96 pixels an inch, A4 paper less its margins is so wide.
PAPER = 703


@pytest.fixture(scope="session")
def chromium():
    """A browser for all tests; skipped where there is none."""
    path = browser.program()
    if path is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set ZOO_TEST_CHROMIUM")
    with browser.started(path) as running:
        yield running


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which looks for what keeps people out of a page; skipped where it is not to be had."""
    path = Path(os.environ.get("ZOO_TEST_AXE") or "absent")
    if not path.is_file():
        pytest.skip("no axe-core: set ZOO_TEST_AXE to axe.min.js of the npm package axe-core")
    return path.read_text("utf-8")


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A home folder whose name must not stand on any page."""
    return tmp_path_factory.mktemp("ada lovelace")


@pytest.fixture(scope="session")
def written(home) -> Callable[[str], Path]:
    """Gives a page by its name: as a command writes it, or an invented one with all that makes a page wide or odd."""

    @cache
    def digits() -> Path:
        return few_digits(home / "pictures", images=10, classes=3)

    @cache
    def of_name(name: str) -> Path:
        if name not in COMMANDS:
            path = home / f"{name}.html"
            path.write_text(INVENTED[name](), "utf-8")
            return path
        command, page, *flags = COMMANDS[name]
        given = [of_name("run").parent, digits()] if command == "evaluate" else [digits()]
        done = commands.zoo(command, *given, *flags, "--output", home / command, cwd=home, HOME=str(home))
        assert done.poll() == 0, done.stderr
        return home / command / page

    return of_name


def _several_labels() -> tuple:
    """A run whose pictures have any number of labels."""
    result, history, files = example(("ants", "bees", "wasps"))
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (40, 3))
    guesses = np.clip(labels * 0.4 + random.random((40, 3)) * 0.6, 0, 1)
    measured = label_metrics(labels, guesses, result["classes"])
    more = {
        "measures": ["mean_average_precision", "macro_f1", "micro_f1"],
        "measures_reason": "pictures may have several labels",
    }
    return result | more | {"metrics": {"train": measured, "validation": measured}}, history, files


def _trials(count: int, hyper_parameters: int) -> list[TrialRecord]:
    """Trials with as many hyper-parameters, the last one failed."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        values = {f"hyper_parameter_{i}": float(random.random()) for i in range(hyper_parameters)}
        failed = number == count - 1
        loss = None if failed else float(random.random())
        result = {} if failed else {"accuracy": 0.5, "epoch": 3, "val_loss": loss}
        state, message = ("failed", "OSError: " + 30 * "very_long_") if failed else ("done", "")
        rows.append(TrialRecord(number, state, loss, 0, values, result, [], message, None, 1.0, "host", 1, 1, 0))
    return rows


def _counts(trials: list[TrialRecord]) -> dict:
    return {"trials": len(trials), "scored": len(trials) - 1, "failed": 1, "train": 80, "held_out": 20}


def _search(trials: int, hyper_parameters: int) -> str:
    """The page of a search."""
    rows = _trials(trials, hyper_parameters)
    shares, explained = plots.importance(rows)
    best = min(rows[:-1], key=lambda row: row.loss)
    result = {
        "settings": {"scope": "heads", "tuner": "tpe", "seed": 0, "epochs": 4},
        "data": "/home/photos",
        "importance": shares,
        "explained": explained,
        "counts": _counts(rows),
        "model": {"name": "lenet5"},
        "best": best.as_dict() | {"accuracy_interval": [0.3, 0.7]},
        "winner": None,
        **dict(command="zoo tune " + 30 * "--flag value ", repeat="zoo finetune", workers={"host:1": 25}, disk="1 MB", seed=0),
        **dict(versions={}, seconds={}),
    }
    return report.render(result, rows, plots.draw_all(rows, shares, explained), lambda path: None)


def _hypermodel() -> str:
    """The page of a search with a hypermodel of too few trials for importances."""
    rows = _trials(6, 2)
    result = {
        "build": "build",
        "counts": _counts(rows),
        "best": rows[0].as_dict() | {"score": rows[0].loss},
        "objective": {"name": "val_loss", "direction": "min"},
        "importance": {},
        "data": "photos",
        **dict(workers={}, versions={}, seconds={}, tuner="RandomSearch", seed=0, executions_per_trial=1),
    }
    return page(
        "hypermodel.html",
        result=result,
        data="photos",
        scores=["val_loss", "epoch"],
        trials=[row.as_dict() for row in rows[:-1]],
        names=plots.varied(rows),
        counted="5 done, 1 failed",
        charts=plots.as_charts(plots.draw_all(rows, {}, 0.0), rows, {}),
        min_trials=plots.MIN_TRIALS,
        failures=[rows[-1].as_dict() | {"described": "hyper_parameter_0 1"}],
    )


# What lies beyond the window, unless a region that says so can be scrolled to it; and letters that a box cuts off, but for
# names that are shortened with dots.
LOST = """
(() => {
  const told = (one) => [one.tagName, one.textContent.slice(0, 60)];
  const lost = [], edge = document.documentElement.clientWidth + 1;
  for (const one of document.querySelectorAll("main *")) {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    if (!box.width || style.clipPath !== "none" || one.closest(".unseen")) continue;
    if (box.right > edge && !one.closest(".scroll, .pan")) lost.push(["beyond the edge", ...told(one)]);
    if (style.overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1 &&
        !one.matches(".scroll, .pan, .clamp, .matrix thead span")) lost.push(["cut off", ...told(one)]);
  }
  if (document.documentElement.scrollWidth > edge) lost.push(["the page is wider than the window"]);
  return lost.slice(0, 5);
})()
"""
# Regions that go on sideways behind their edge: at most the widest tables, and these say so.
UNANNOUNCED = """
[...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1 && !(
  one.nextElementSibling?.matches(".sideways") && getComputedStyle(one.nextElementSibling).display !== "none" ||
  getComputedStyle(one).backgroundImage.includes("gradient"))).map((one) => one.ariaLabel)
"""
FOCUSABLE = 'document.querySelectorAll("a[href], [tabindex=\\"0\\"]").length'
FOCUSED = """
(() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const all = [...document.querySelectorAll("*")], box = one.getBoundingClientRect();
  return [all.indexOf(one), getComputedStyle(one).outlineStyle, box.bottom > 0 && box.top < innerHeight];
})()
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_logged_or_lost_on_a_screen(chromium, written, name, width):
    tab = chromium.open(written(name), width)
    assert tab.complaints == []
    assert tab.evaluate(LOST) == []
    assert tab.evaluate(UNANNOUNCED) == []
    if width == 1280 and name != "many trials":  # with twelve hyper-parameters
        scrolled = '[...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1).length'
        assert tab.evaluate(scrolled) == 0
    tab.close()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_on_paper(chromium, written, name, tmp_path):
    tab = chromium.open(written(name), PAPER)
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.evaluate(LOST) == []
    clipped = """[...document.querySelectorAll(".scroll, .scroll *")].filter((one) =>
        one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"""
    assert tab.evaluate(clipped) == 0
    if name == "two classes" and shutil.which("pdftotext"):
        (tmp_path / "page.pdf").write_bytes(tab.pdf())
        text = subprocess.run(["pdftotext", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
        words = " ".join(text.split())
        result = example(splits=("train", "validation", "test"), right=1.0)[0]
        for split, scores in result["metrics"].items():  # the last row was lost once
            for value in (scores["accuracy"], *scores["accuracy_interval"], scores["calibration_error"]):
                assert f"{100 * value:.1f}" in words, split
    tab.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_keyboard_reaches_every_link_and_region_in_order(chromium, written, name):
    tab = chromium.open(written(name), 1280)
    reached = []
    for _ in range(count := tab.evaluate(FOCUSABLE)):
        tab.press_tab()
        place, outline, is_seen = tab.evaluate(FOCUSED)
        assert outline != "none" and is_seen
        reached.append(place)
    assert count >= 3 and reached == sorted(set(reached))
    hashes = tab.evaluate('[...document.querySelectorAll("a")].map((one) => one.getAttribute("href").slice(1))')
    assert set(hashes) <= set(tab.evaluate('[...document.querySelectorAll("[id]")].map((one) => one.id)'))
    tab.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(chromium, axe, written, name, dark):
    tab = chromium.open(written(name), 1280, dark=dark)
    tab.evaluate(axe + "; 0")
    found = tab.evaluate("axe.run().then((all) => all.violations.map((one) => [one.id, one.impact, one.nodes[0].html]))")
    assert [one for one in found if one[1] in ("serious", "critical")] == []
    assert tab.evaluate('document.querySelectorAll("main").length') == 1
    tab.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_letters_of_charts_can_be_read(chromium, written, dark):
    """axe does not look into pictures: the letters of a chart are painted in this colour."""
    tab = chromium.open(written("two classes"), 1280, dark=dark)
    svg = tab.evaluate('document.querySelector("#calibration img").src')
    colors = tab.evaluate(
        f"""(async () => {{
          const image = new Image(); image.src = {json.dumps(svg)}; await image.decode();
          const canvas = document.createElement("canvas"); canvas.width = 4 * image.width; canvas.height = 4 * image.height;
          const context = canvas.getContext("2d"); context.drawImage(image, 0, 0, canvas.width, canvas.height);
          const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data, seen = {{}};
          for (let i = 0; i < pixels.length; i += 4)
            if (pixels[i + 3] === 255) {{ const key = [...pixels.slice(i, i + 3)].join(); seen[key] = (seen[key] || 0) + 1; }}
          return [seen, getComputedStyle(document.body).backgroundColor];
        }})()"""
    )
    seen, paper = colors
    ink = next(color for color in sorted(seen, key=seen.get, reverse=True) if np.ptp([*map(int, color.split(","))]) < 30)
    assert _contrast(_rgb(ink), _rgb(paper)) >= 4.5
    tab.close()


def _rgb(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def _contrast(one: list[int], other: list[int]) -> float:
    """The contrast of two colours as WCAG 2.1 defines it."""

    def light(color: list[int]) -> float:
        shares = np.array(color) / 255
        linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([light(one), light(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_no_page_names_the_home_folder_or_holds_an_absolute_path(written, home, name):
    text = re.sub(r"data:image/[^\"]*", "", written(name).read_text("utf-8"))
    assert home.name not in text and not re.search(r"\bada\b", text)
    assert re.findall(r"(?<![\w.<>…/])/(?:home|tmp|root|work|var|usr)/\S*", text) == []


def test_every_picture_has_words_and_every_table_a_caption(chromium, written):
    for name in ("run", "search", "check"):
        tab = chromium.open(written(name), 1280)
        alts = tab.evaluate('[...document.querySelectorAll("img[alt]")].map((one) => one.alt)')
        charts = [alt for alt in alts if alt.startswith("Chart")]
        assert all(re.search(r"\d", alt) for alt in charts)  # what is seen, not that there is a chart
        assert tab.evaluate('document.querySelectorAll("table:not(:has(> caption))").length') == 0
        assert tab.evaluate('document.querySelectorAll("th:not([scope])").length') == 0
        tab.close()
