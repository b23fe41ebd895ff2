"""What `--strategy auto` costs beside the strategy that it takes, and what it reaches: processor seconds and test accuracy.

    python benchmarks/auto.py ../shared --output runs/auto                                   # all folders: an hour or two
    python benchmarks/auto.py ../shared --folders hymenoptera mnist-5 --against ../older-checkout

Folders and backbones are those of benchmarks/strategies.py. Every run is a process of its own with an empty cache, from the
start of Python to the report; processor seconds are those of it and of the processes that it starts. First comes `auto`, then
the strategy that it took, by name. `--against` runs `auto` of another checkout as well, beside each of this one. The same
command goes on where one was cut off; other flags add to the same folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import processors
import strategies

from recipes.console import say
from recipes.runs.journal import Experiment

HERE = Path(__file__).resolve().parents[1]


def measure(code: Path, data: Path, backbone: str, strategy: str, seed: int, shared: Path) -> dict:
    """Run `zoo finetune` of a checkout; what it took, reached and tried."""
    model, alpha, size, weights = strategies.BACKBONES[backbone]
    flags = ["--model", model, "--image-size", str(size), "--weights", str((shared / "weights" / weights).resolve())]
    flags += ["--alpha", str(alpha)] if alpha else []
    flags += ["--strategy", strategy, "--seed", str(seed), "--validation", "0"]
    with tempfile.TemporaryDirectory() as folder:
        output, began = Path(folder) / "run", processors.seconds()
        words = [sys.executable, "-m", "recipes", "finetune", str(data.resolve()), *flags, "--output", str(output)]
        places = {"ZOO_CACHE": f"{folder}/cache", "PYTHONPATH": str(code)}
        subprocess.run(words, check=True, cwd=code, env=os.environ | places, stdout=subprocess.DEVNULL)
        result = json.loads((output / "result.json").read_text())
    return {
        "processor seconds": processors.seconds() - began,
        "accuracy": result["metrics"]["test"]["accuracy"],
        "took": result["strategy"]["name"],
        "phases": result["strategy"]["phases"],
        "trials": result["strategy"]["facts"]["rehearsals"],
        "seconds": result["seconds"],
    }


def row(name: str, backbone: str, auto: dict, taken: dict, before: dict | None) -> dict:
    """Compare a run of `auto` with one of the strategy that it took, and with one of the other checkout."""
    found = {
        "folder": name,
        "backbone": backbone,
        "took": auto["took"],
        "accuracy %": round(100 * auto["accuracy"], 1),
        "processor s": round(auto["processor seconds"], 1),
        "strategy alone, accuracy %": round(100 * taken["accuracy"], 1),
        "alone, processor s": round(taken["processor seconds"], 1),
        "ratio": round(auto["processor seconds"] / taken["processor seconds"], 2),
    }
    if before:
        found |= {
            "before, took": before["took"],
            "before, accuracy %": round(100 * before["accuracy"], 1),
            "before, processor s": round(before["processor seconds"], 1),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--output", type=Path, default=Path("runs/auto"))
    parser.add_argument("--folders", nargs="+", default=strategies.FOLDERS, choices=strategies.FOLDERS)
    parser.add_argument("--backbones", nargs="+", default=["mobilenet_0.25"], choices=strategies.BACKBONES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--against", type=Path, help="another checkout")
    settings = parser.parse_args()
    experiment, rows = Experiment(strategies.Settings(settings.output, inner=False)), []
    for name in settings.folders:
        data = strategies.folder(name, settings.shared, settings.seed, False, settings.output / "data")
        for backbone in settings.backbones:

            def run(code: Path, strategy: str, what: str, data: Path = data, place: tuple = (name, backbone)) -> dict:
                return experiment.once(
                    f"{', '.join(place)}, {what}, seed {settings.seed}",
                    lambda: measure(code.resolve(), data, place[1], strategy, settings.seed, settings.shared),
                )

            auto = run(HERE, "auto", "auto")
            before = run(settings.against, "auto", f"auto of {settings.against.name}") if settings.against else None
            rows.append(row(name, backbone, auto, run(HERE, auto["took"], auto["took"]), before))
            say(str(rows[-1]))
    experiment.finish(rows)


if __name__ == "__main__":
    main()
