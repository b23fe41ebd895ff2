"""Where the time goes: steps of `small`, `medium`, `large`, `auto` and `zoo tune`, here and in another checkout, a picture.

    python benchmarks/seconds.py DATA --against ../older-checkout --output runs/seconds

MobileNet 0.25 at 128 pixels (`--weights FILE`), a process for each run, its cache empty; checkouts take turns. A step is
as long as `result.json` says it took on the clock; `start` is what is left of the process. Run it on an idle machine. The
same command goes on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processors

from zoo.files import write_json

ROOT = Path(__file__).parents[1]
WAYS = ("small", "medium", "large", "auto", "tune")
# Names of steps in `result.json`, of any age, by the colour that they have in the picture; all others train the network.
COLOURS = {
    "start": ("start", "backbone"),
    "reading": ("reading", "preparation"),
    "building": ("building",),
    "features": ("features",),
    "head": ("head", "labels"),
    "trials": ("choice", "rehearsal", "trials", "study", "search", "winner"),
    "training": (),
    "evaluation": ("evaluation", "confidence", "repeats", "measures"),
    "saving, report": ("saving", "report", "check"),
}


def run(checkout: Path, way: str, data: Path, weights: Path | None) -> dict[str, float]:
    """Seconds of the groups of steps of one run, and what the processors took."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "recipes", "tune" if way == "tune" else "finetune", str(data)]
        command += ["--trials", "10"] if way == "tune" else ["--strategy", way]
        command += ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "128", "--output", f"{scratch}/run"]
        command += ["--weights", str(weights)] if weights else []
        environment = {"ZOO_CACHE": f"{scratch}/cache", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(checkout)}
        start, before = time.monotonic(), processors.seconds()
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=os.environ | environment)
        total, used = time.monotonic() - start, processors.seconds() - before
        if done.returncode:
            sys.exit(f"{checkout}, {way}: {done.stderr[-1_000:]}")
        steps = json.loads(Path(scratch, "run", "result.json").read_text())["seconds"]
    found = dict.fromkeys(COLOURS, 0.0)
    for name, taken in steps.items():
        if name not in ("total", "start"):
            found[next((group for group, names in COLOURS.items() if name in names), "training")] += taken
    found["start"] = total - sum(found.values())
    return found | {"total": total, "processor seconds": used}


def draw(rows: dict[str, list[dict[str, float]]], file: Path) -> None:
    """Bars of medians, those of the other checkout above those of this one."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "seconds"  # the same bars, the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(rows) + 1.2))
    colors = pyplot.get_cmap("tab10").colors
    left = [0.0] * len(rows)
    for color, group in zip(colors, COLOURS, strict=False):
        widths = [statistics.median(round[group] for round in rounds) for rounds in rows.values()]
        axes.barh(list(rows), widths, left=left, color=color, label=group)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/seconds"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    weights = given.weights.resolve() if given.weights else None
    checkouts = ({"before": given.against.resolve()} if given.against else {}) | {"now": ROOT}
    rows: dict[str, list[dict[str, float]]] = {f"{way}, {age}": [] for way in given.ways for age in checkouts}
    for number in range(given.rounds):
        for way in given.ways:
            for age, checkout in checkouts.items():
                file = given.output / f"{way}, {age}, {number}.json"
                if not file.exists():
                    write_json(file, run(checkout, way, given.data.resolve(), weights))
                rows[f"{way}, {age}"].append(json.loads(file.read_text()))
                shown = {name: round(taken, 1) for name, taken in rows[f"{way}, {age}"][-1].items()}
                print(f"{way}, {age}: {shown}", flush=True)
    draw(rows, given.output / "seconds.svg")
    for name, rounds in rows.items():
        wall, processors = (statistics.median(one[what] for one in rounds) for what in ("total", "processor seconds"))
        print(f"{name}: {wall:.1f} s, {processors:.1f} processor seconds")


if __name__ == "__main__":
    main()
