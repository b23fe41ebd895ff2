"""The documentation's pictures, and what its commands print, each made by the command that it shows.

    python docs/pictures.py                # all of them, into docs/images/
    python docs/pictures.py report check   # these alone; --help lists the names

Commands run as a user would, in `build/pictures`, on drawn leaves (docs/leaves.py) and with the weights that are installed
with the project; what they compute stays there, so that making a picture again is quick. Pages are photographed by headless
Chromium, screens drawn by rich, plots and diagrams by docs/diagrams.py. `readme` writes what the README's three commands
print into the README. A picture is small: at most 150 kB.
"""

import argparse
import functools
import html
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import diagrams
import leaves
import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PLACE = ROOT / "build" / "pictures"
MAX_BYTES = 150_000
COLUMNS = 100
# The README's commands, and how many of their last lines it shows.
CHECK, FINETUNE, PREDICT = "zoo check leaves", "zoo finetune leaves --strategy small", "zoo predict runs/finetune/leaves new/"
QUICKSTART = {CHECK: 7, FINETUNE: 14, PREDICT: 14}
# Pages: commands, the last of which names the page, and how many pixels of it are shown.
OTHER = "zoo finetune leaves --strategy small --model efficientnet_lite1 --output runs/lite1"
PAGES = {
    "report": ([FINETUNE], 1250),
    "check": ([CHECK], 1420),
    "tune": (["zoo tune leaves --trials 15 --epochs 10"], 1500),
    "evaluate": ([FINETUNE, "zoo evaluate runs/finetune/leaves later"], 1250),
    "compare": ([FINETUNE, OTHER, "zoo compare runs/finetune/leaves runs/lite1 --output runs/compared"], 1250),
    "explain": ([FINETUNE, "zoo explain runs/finetune/leaves new/rust_1.jpg new/mildew_1.jpg"], 1250),
}
MARK = "<!-- printed by docs/pictures.py readme -->"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@functools.cache
def said(line: str) -> str:
    """Run a command as a user would, beside the leaves; what it printed, errors included, as it stands at the end."""
    drawn()
    program, *arguments = shlex.split(line)
    assert program == "zoo"
    environment = {
        "PYTHONPATH": str(ROOT),
        "ZOO_CACHE": str(PLACE / "cache"),
        "COLUMNS": str(COLUMNS),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    print(f"$ {line}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "recipes", *arguments],
        cwd=PLACE,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return _without_this_machine(done.stdout)


@functools.cache
def drawn() -> Path:
    """Draw the leaves, and others that the run has not seen: two of each class without labels, eight with."""
    if not (PLACE / "later").exists():
        shutil.rmtree(PLACE / "leaves", ignore_errors=True)
        shutil.rmtree(PLACE / "new", ignore_errors=True)
        leaves.write_leaves(PLACE / "leaves")
        leaves.write_new(PLACE / "new")
        leaves.write_leaves(PLACE / "later", 8, seed=3)
    return PLACE / "leaves"


def _without_this_machine(text: str) -> str:
    """Write paths below the folder in which the commands ran as a user there sees them."""
    return text.replace(f"{PLACE}/", "").replace(str(PLACE), ".").replace(str(Path.home()), "~")


def lasting(text: str) -> str:
    """Leave out the lines that only show how far a step has come, with its rate."""
    return "\n".join(line for line in text.splitlines() if not re.search(r"\d/s  \d+:\d\d|\d/s .*left", line)).strip()


# ------------------------------------------------------------------------------------------------- pages and screens
def page(name: str) -> None:
    """Photograph the page that the last of the picture's commands names, from its top."""
    (*before, line), height = PAGES[name]
    for one in before:
        said(one)
    pages = [path for path in re.findall(r"\S+\.html", said(line)) if (PLACE / path).exists()]
    if not pages:
        raise SystemExit(f"{line!r} names no page to photograph:\n{said(line)}")
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if not browser:
        raise SystemExit(f"Pages are photographed by Chromium, which is not installed: none of {', '.join(BROWSERS)}.")
    raw, profile = PLACE / f"{name}.png", PLACE / "browser"
    flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
    flags += [f"--window-size=1280,{height}", f"--screenshot={raw}"]
    place = (PLACE / pages[-1]).as_uri()
    subprocess.run([browser, *flags, place], check=True, capture_output=True, timeout=120)
    with Image.open(raw) as image:
        small(image.convert("RGB"), name)


def serve() -> None:
    """Photograph the page of `zoo serve` after two pictures were dropped onto it, one of them explained."""
    sys.path.append(str(ROOT / "tests"))
    import browser
    import commands
    from pages_served import answered

    said(FINETUNE)
    server = commands.start("serve", "runs/finetune/leaves", "--port", "0", cwd=PLACE, is_fresh=True)
    server.wait_until(lambda command: "Ctrl-C" in command.stdout)
    address = re.search(r"Open (\S+)", server.stdout)[1]
    with browser.started(browser.program()) as chromium:
        tab = chromium.open(address, 1280, 1000)
        answered(tab, [PLACE / "new/mildew_1.jpg", PLACE / "new/rust_1.jpg"])
        with Image.open(io.BytesIO(tab.screenshot())) as image:
            small(image.convert("RGB"), "serve")
    server.signal(signal.SIGTERM)
    server.wait()


def export_page() -> None:
    """Photograph an exported page after two pictures were dropped onto it."""
    sys.path += [str(ROOT), str(ROOT / "tests")]
    import browser
    from pages_exported import dropped, ready

    said(FINETUNE)
    said("zoo export runs/finetune/leaves --to html")
    with browser.started(browser.program()) as chromium:
        tab = ready(chromium, PLACE / "runs/export/leaves/html/index.html")
        dropped(tab, [PLACE / "new/mildew_1.jpg", PLACE / "new/rust_1.jpg"])
        with Image.open(io.BytesIO(tab.screenshot())) as image:
            small(image.convert("RGB"), "export-page")


def label() -> None:
    """Photograph the page of `zoo label` after a few leaves were labelled by their keys."""
    sys.path.append(str(ROOT / "tests"))
    import browser
    from pages_served import until
    from server import Server

    said(FINETUNE)
    for name in ("runs/label", "unlabelled"):
        shutil.rmtree(PLACE / name, ignore_errors=True)
    (PLACE / "unlabelled").mkdir()
    for path in sorted((PLACE / "later").rglob("*.jpg")):
        shutil.copy(path, PLACE / "unlabelled" / f"IMG_{len(list((PLACE / 'unlabelled').iterdir())):04}.jpg")
    server = Server("label", "unlabelled", "runs/finetune/leaves", cwd=PLACE, is_fresh=True)
    with browser.started(browser.program()) as chromium:
        tab = chromium.open(server.address, 1280, 760)
        for done in range(3):
            until(tab, f'byId("image").naturalWidth > 0 && !isBusy && trail.length === {done + 1}')
            tab.press("Enter")
        until(tab, 'byId("image").complete && !isBusy && trail.length === 4')
        with Image.open(io.BytesIO(tab.screenshot())) as image:
            small(image.convert("RGB"), "label")
    server.command.signal(signal.SIGTERM)
    server.command.wait()


def small(image: Image.Image, name: str) -> None:
    """Write a picture as PNG, no larger than pages show it, with as many colours as its size allows."""
    path = IMAGES / f"{name}.png"
    for width, colors in ((1280, 256), (1280, 128), (1280, 64), (1000, 128), (1000, 64), (800, 64)):
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
        image.quantize(colors, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            return


def screen(name: str, *lines: str, shown: Callable[[str], str] = lasting, most: int = 60) -> None:
    """Draw a terminal in which commands were typed, with what they printed."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        for line in lines:
            console.print(Text(f"$ {line}", style="bold cyan"))
            console.print(Text.from_ansi("\n".join(shown(said(line)).splitlines()[:most])), highlight=False, soft_wrap=False)
            console.print()
        drawing = console.export_svg(title="zoo", theme=DIMMED_MONOKAI, unique_id=name)
    drawing = re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", drawing, flags=re.S)  # asks the network for a font
    (IMAGES / f"{name}.svg").write_text(drawing.replace("Fira Code", "DejaVu Sans Mono").rstrip() + "\n")


def rank() -> None:
    """Copy what `zoo rank` draws."""
    said("zoo rank leaves")
    with Image.open(PLACE / "runs/rank/leaves/accuracy_and_speed.png") as image:
        small(image.convert("RGB"), "rank")


def receptive_fields() -> None:
    """Copy what stacked kernels see and cost, as `zoo receptive_fields` draws it."""
    said("zoo receptive_fields lenet5")
    with Image.open(PLACE / "runs/receptive_fields/lenet5/stacks.png") as image:
        small(image.convert("RGB"), "receptive-fields")


def feature_maps() -> None:
    """Copy the feature maps through the stages, as `zoo inspect_kernels` draws them."""
    said("zoo inspect_kernels efficientnet_lite0 new/rust_1.jpg")
    folder = PLACE / "runs/inspect_kernels/efficientnet_lite0-rust_1"
    with Image.open(folder / "features.png") as image:
        small(image.convert("RGB"), "feature-maps")


def augmentation() -> None:
    """Draw a leaf as the network sees it, six times: as it is, with crops, with modern."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from recipes.data import augment

    with Image.open(drawn() / "rust" / "rust_003.jpg") as image:
        square = image.convert("RGB").resize((213, 160)).crop((26, 0, 186, 160))
    pixels, generator, size = np.array([square] * 6), np.random.default_rng(3), 140
    middle = (square.width - size) // 2
    center = pixels[:, middle : middle + size, middle : middle + size]
    crops = augment.random_mirror(augment.random_crop(pixels, generator, size), generator)
    modern = augment.random_mirror(augment.random_resized_crop(pixels, generator, size), generator)
    rows = {"none": center, "crops": crops, "modern": augment.trivial_augment(modern, generator)}
    sheet = Image.new("RGB", (90 + 6 * 150, 3 * 150), "white")
    draw = ImageDraw.Draw(sheet)
    for j, (name, batch) in enumerate(rows.items()):
        draw.text((8, 150 * j + 62), name, fill="black", font_size=18)
        for i, one in enumerate(np.asarray(batch).clip(0, 255).astype("uint8")):
            sheet.paste(Image.fromarray(one), (90 + 150 * i, 150 * j + 5))
    small(sheet, "augmentation")


def table() -> None:
    """Draw a table, and the pictures that its rows name."""
    head = ("path", "label", "split", "group", "weight")
    rows = [
        ("healthy/healthy_002.jpg", "healthy", "train", "plant 1", "1"),
        ("mildew/mildew_003.jpg", "mildew", "train", "plant 1", "0.5"),
        ("rust/rust_003.jpg", "rust", "val", "plant 2", "1"),
    ]
    sheet = Image.new("RGB", (900, 60 + 110 * len(rows)), "white")
    draw, places = ImageDraw.Draw(sheet), (160, 450, 570, 680, 800)
    for j, row in enumerate((head, *rows)):
        y = 110 * j - 62 if j else 8
        for x, cell in zip(places, row, strict=True):
            draw.text((x, y + (42 if j else 8)), cell, fill="black" if j else "#2f6fb5", font_size=20)
        draw.line((0, 110 * j + 48, 900, 110 * j + 48), fill="#d1d5db", width=2)
        if j:
            with Image.open(drawn() / row[0]) as image:
                sheet.paste(image.resize((136, 102)), (8, y + 4))
    small(sheet, "table")


def readme() -> None:
    """Write what the three commands print at the end into the README, behind its mark."""
    printed = []
    for line, most in QUICKSTART.items():
        lines = lasting(said(line)).splitlines()
        kept = [one for one in lines if "What to do:" not in one][-most:]  # what was found is a screen of its own
        # A command that follows is to be copied in one piece.
        rows = [row for long in kept for row in ([long] if long.startswith("  ") else textwrap.wrap(long, COLUMNS)) or [""]]
        printed += [f"$ {line}", *(["..."] if len(kept) < len(lines) else []), *rows, ""]
    path = ROOT / "README.md"
    text, block = path.read_text(encoding="utf-8"), "\n".join(printed).rstrip()
    text, count = re.subn(rf"{MARK}\n```text\n.*?```", lambda _: f"{MARK}\n```text\n{block}\n```", text, flags=re.S)
    assert count == 1, f"README.md has no place for what the commands print: {MARK}"
    path.write_text(text, encoding="utf-8")


def terminal() -> None:
    """Draw the three commands of the README, typed one after the other."""
    screen("terminal", *QUICKSTART)


def predict() -> None:
    """Draw what a run says of new pictures, on a terminal and as JSON."""
    said(FINETUNE)
    screen("predict", PREDICT, "zoo predict runs/finetune/leaves new/rust_1.jpg --json - --all-classes")


def confidence() -> None:
    """Draw sets of classes, and what is said of a picture that is no leaf."""
    said(FINETUNE)
    if not (PLACE / "else").exists():
        (PLACE / "else").mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((320, 240), Image.Resampling.NEAREST).save(PLACE / "else" / "tiles.png")
    screen("confidence", "zoo predict runs/finetune/leaves new/ else/ --coverage 0.9")


def tracking() -> None:
    """Draw how a run is watched."""
    screen("tracking", "zoo finetune leaves --strategy small --tensorboard --output runs/watched")


def hub() -> None:
    """Draw what would go to a model hub, and the head of the card that goes with it."""
    said(FINETUNE)
    screen("hub", "zoo push runs/finetune/leaves ada/leaves --dry-run")


def errors() -> None:
    """Draw what a user reads who makes a mistake."""
    screen(
        "errors", "zoo finetune leave", "zoo finetune leaves/rust", "zoo finetune leaves --model resnet", "zoo predict leaves x"
    )


PICTURES: dict[str, Callable[[], None]] = {
    **{name: functools.partial(page, name) for name in PAGES},
    **{
        function.__name__.replace("_", "-"): function
        for function in (
            *(rank, serve, label, export_page, receptive_fields, feature_maps, augmentation, table),
            *(terminal, predict, confidence, tracking, hub, errors, readme),
        )
    },
}


def _commands(name: str) -> set[str]:
    """List the commands that a page is made by: not every version has each of them."""
    return {line.split()[1] for line in PAGES[name][0]} if name in PAGES else set()


def main() -> None:
    """Make the pictures that are named; all without a name."""
    sys.path.insert(0, str(ROOT))
    from recipes.cli import COMMANDS

    every = PICTURES | {name: functools.partial(diagrams.write, name, IMAGES, ROOT) for name in diagrams.DIAGRAMS}
    parser = argparse.ArgumentParser(description=html.unescape(__doc__.splitlines()[0]))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(every)}")
    names = parser.parse_args().names or [name for name in every if _commands(name) <= COMMANDS.keys()]
    if unknown := [name for name in names if name not in every]:
        parser.error(f"there is no picture {unknown[0]!r}: choose of {', '.join(every)}")
    IMAGES.mkdir(exist_ok=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    if {"readme", "terminal"} & set(names):
        for name in ("cache", "runs"):  # what is said, and how long it takes, is that of a first run
            shutil.rmtree(PLACE / name, ignore_errors=True)
    for name in names:
        every[name]()
    large = [path.name for path in IMAGES.iterdir() if path.stat().st_size > MAX_BYTES]
    assert not large, f"larger than {MAX_BYTES:,} bytes: {large}"


if __name__ == "__main__":
    main()
