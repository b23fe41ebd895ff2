"""What large folders cost `zoo finetune`: seconds of each step, and memory and open files of its main process.

    python benchmarks/large_folders.py PLACE 1000 10000 100000 --weights FILE          # docs/scaling.md

Each count has a folder of its own below PLACE, with pictures of 96 px that are drawn once: each class has colours and stripes
of its own, each picture its own blotches and noise, so that none is like another. Each run begins with an empty cache, unless
`--warm` leaves it what an earlier one has kept, in a process of its own, whose open files are counted from outside, and which
notes the most memory of each step (Linux' VmHWM, begun anew). A count that is in PLACE/rows.jsonl is not run again; `--again`
runs it.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import processors
from PIL import Image

from recipes import cli
from recipes.compute import runtime

SIDE = 96
CLASSES = 10
PICTURES_A_TASK = 500
LOOK_SECONDS = 0.2
# The first word of the process in which a run is made.
NOTED = "noted"


def picture(index: int) -> bytes:
    """Draw a picture, which its number alone decides: stripes of its class under blotches and noise of its own."""
    generator, label = np.random.default_rng(index), index % CLASSES
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    angle, phase = np.pi * label / CLASSES + generator.normal(0, 0.1), generator.uniform(0, 2 * np.pi)
    stripes = np.sin(2 * np.pi * 6 * (np.cos(angle) * down + np.sin(angle) * across) + phase)
    blotches = Image.fromarray(generator.integers(0, 256, (8, 8, 3), "uint8")).resize((SIDE, SIDE), Image.BICUBIC)
    color = np.random.default_rng(label).uniform(64, 192, 3)
    noise = generator.normal(0, 8, (SIDE, SIDE, 1))
    pixels = color + 25 * stripes[..., None] + 0.7 * (np.asarray(blotches, "float32") - 128) + noise
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def draw(folder: Path, start: int, count: int) -> None:
    """Draw some of the pictures that are not there."""
    for index in range(start, min(start + PICTURES_A_TASK, count)):
        path = folder / f"class_{index % CLASSES:02}" / f"picture_{index:07}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(index))


def folder_of(place: Path, count: int) -> Path:
    """Give the folder of so many pictures, drawn if it is not whole."""
    folder, done = place / f"pictures-{count}", place / f"pictures-{count}.done"
    if not done.exists():
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(draw, folder, count=count), range(0, count, PICTURES_A_TASK)))
        done.touch()
    return folder


class Peaks:
    """The most memory, in MB, that this process has had in each step of a run, and outside of all."""

    def __init__(self):
        self.most: dict[str, float] = {}
        self._steps = ["other"]

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._note()
        self._steps.append(name)
        yield
        self._note()
        self._steps.pop()

    def _note(self) -> None:
        """Note the most since the last time, for the innermost step, and begin anew."""
        status, name = Path("/proc/self/status").read_text(), self._steps[-1]
        self.most[name] = max(self.most.get(name, 0.0), float(status.partition("VmHWM:")[2].split()[0]) / 1e3)
        Path("/proc/self/clear_refs").write_text("5")


def run_noted(notes: Path, words: list[str]) -> int:
    """Run a command of the zoo in this process, and write the peaks of its steps."""
    peaks, begin = Peaks(), runtime.start

    def start(seed: int) -> None:
        """Start Keras, and only then import what counts a run's steps."""
        begin(seed)
        from recipes.transfer.state import Clock

        step = Clock.step

        @contextlib.contextmanager
        def noted(clock: Clock, name: str) -> Iterator[None]:
            with peaks.step(name), step(clock, name):
                yield

        Clock.step = noted

    runtime.start = start
    status = cli.main(words)
    notes.write_text(json.dumps(peaks.most))
    return status


def watched(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command; gives its processor seconds, and the most open files that its first process had."""
    before = processors.seconds()
    process, most = subprocess.Popen(command, env=environment), 0
    while process.poll() is None:
        with contextlib.suppress(OSError):  # it has just ended
            most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with status {process.returncode}")
    return {"descriptors": most, "processor_seconds": processors.seconds() - before}


def measure(place: Path, count: int, flags: list[str], warm: bool) -> dict:
    """Make a run of so many pictures, and gather what it took."""
    pictures, run, cache = folder_of(place, count), place / f"run-{count}", place / f"cache-{count}"
    notes = place / f"peaks-{count}.json"
    if not warm:
        shutil.rmtree(cache, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, __file__, NOTED, str(notes), "finetune", str(pictures), "--output", str(run), *flags]
    row = watched(command, os.environ | {"ZOO_CACHE": str(cache)}) | {"peaks_mb": json.loads(notes.read_text())}
    sizes = {name: (run / name).stat().st_size for name in ("result.json", "files.csv", "report.html")}
    result = json.loads((run / "result.json").read_text())
    accuracy = result["metrics"]["test"]["accuracy"]
    return {"pictures": count, **row, "seconds": result["seconds"], "bytes": sizes, "accuracy": accuracy}


def show(rows: list[dict]) -> None:
    """Print a table: a line a step, a column a count; the last column is what one more picture takes, of the last two."""
    steps = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = {f"{name}, s": [row["seconds"].get(name, 0.0) for row in rows] for name in steps}
    lines |= {"processor, s": [row["processor_seconds"] for row in rows]}
    lines |= {f"most memory in {name}, MB": [row["peaks_mb"].get(name, 0.0) for row in rows] for name in rows[0]["peaks_mb"]}
    lines |= {"open files": [row["descriptors"] for row in rows]}
    lines |= {f"{name}, MB": [row["bytes"][name] / 1e6 for row in rows] for name in rows[0]["bytes"]}
    counts = [row["pictures"] for row in rows]
    print("| |", " | ".join(f"{count:,}" for count in counts), "| per picture |\n|---|" + "---|" * (len(rows) + 1))
    for name, values in lines.items():
        slope = (values[-1] - values[-2]) / (counts[-1] - counts[-2]) if len(rows) > 1 else float("nan")
        unit = "" if name == "open files" else "ms" if name.endswith(", s") else "kB"
        print(f"| {name} |", " | ".join(f"{value:,.1f}" for value in values), f"| {1e3 * slope:.3g} {unit} |")


def main() -> None:
    """Measure what is not measured, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", type=Path)
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--strategy", default="small")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--warm", action="store_true")
    arguments = parser.parse_args()
    arguments.place.mkdir(parents=True, exist_ok=True)
    kept = arguments.place / "rows.jsonl"
    rows = {row["pictures"]: row for row in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    flags = ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "96", "--weights", arguments.weights]
    for count in arguments.counts:
        if arguments.again or count not in rows:
            rows[count] = measure(arguments.place, count, [*flags, "--strategy", arguments.strategy], arguments.warm)
            with kept.open("a") as file:
                file.write(json.dumps(rows[count]) + "\n")
    show([rows[count] for count in sorted(set(arguments.counts))])


if __name__ == "__main__":
    if sys.argv[1:2] == [NOTED]:
        sys.exit(run_noted(Path(sys.argv[2]), sys.argv[3:]))
    main()
