"""What large folders cost `zoo finetune`: seconds of each step, and memory and open files of its main process.

    python benchmarks/large_folders.py PLACE 1000 10000 100000 --weights FILE          # docs/scaling.md

Each count has a folder of its own below PLACE, with pictures of 96 px that are drawn once: each class has colours and stripes
of its own, each picture its own blotches and noise, so that none is like another. Each run begins with an empty cache, in a
process of its own, which is watched from outside. A count that is in PLACE/rows.jsonl is not run again; `--again` runs it.
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 96
CLASSES = 10
PICTURES_A_TASK = 500
LOOK_SECONDS = 0.2


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


def watched(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command; gives its processor seconds, and the most memory and open files that its first process had."""
    process = subprocess.Popen(command, env=environment)
    most, memory = 0, 0.0
    while process.poll() is None:
        try:
            most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
            status = Path(f"/proc/{process.pid}/status").read_text()
            memory = max(memory, float(status.partition("VmHWM:")[2].split()[0]) / 1e3)
        except (OSError, IndexError):  # it has just ended
            pass
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with status {process.returncode}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"descriptors": most, "peak_mb": memory, "processor_seconds": usage.ru_utime + usage.ru_stime}


def measure(place: Path, count: int, flags: list[str]) -> dict:
    """Make a run of so many pictures from an empty cache, and gather what it took."""
    pictures, run, cache = folder_of(place, count), place / f"run-{count}", place / f"cache-{count}"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "recipes", "finetune", str(pictures), "--output", str(run), *flags]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = watched(command, os.environ | {"ZOO_CACHE": str(cache)})
    row["processor_seconds"] -= before.ru_utime + before.ru_stime
    sizes = {name: (run / name).stat().st_size for name in ("result.json", "files.csv", "report.html")}
    result = json.loads((run / "result.json").read_text())
    accuracy = result["metrics"]["test"]["accuracy"]
    shutil.rmtree(cache)
    return {"pictures": count, **row, "seconds": result["seconds"], "bytes": sizes, "accuracy": accuracy}


def show(rows: list[dict]) -> None:
    """Print a table: a line a step, a column a count; the last column is what one more picture takes, of the last two."""
    steps = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = {f"{name}, s": [row["seconds"].get(name, 0.0) for row in rows] for name in steps}
    lines |= {"processor, s": [row["processor_seconds"] for row in rows], "peak memory, MB": [row["peak_mb"] for row in rows]}
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
    arguments = parser.parse_args()
    arguments.place.mkdir(parents=True, exist_ok=True)
    kept = arguments.place / "rows.jsonl"
    rows = {row["pictures"]: row for row in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    flags = ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "96", "--weights", arguments.weights]
    for count in arguments.counts:
        if arguments.again or count not in rows:
            rows[count] = measure(arguments.place, count, [*flags, "--strategy", arguments.strategy])
            with kept.open("a") as file:
                file.write(json.dumps(rows[count]) + "\n")
    show([rows[count] for count in sorted(set(arguments.counts))])


if __name__ == "__main__":
    main()
