"""The heads side by side, on two folders with little data: accuracy with its 95 % interval over seeds, and seconds.

    python benchmarks/heads.py ../shared --output runs/heads

Hymenoptera: train/ and val/ together, 60 % to train on and 40 % for the test; MNIST: 5 digits of each class to train on and
100 for the test. Each seed divides the pictures anew. MobileNet 0.25 at 128 pixels, frozen. The table is in docs/heads.md.
A head that an earlier run has solved is read from the cache: what solving costs is measured by head_solver.py.
"""

import argparse
import json
import shutil
import tarfile
from pathlib import Path

from recipes import finetune
from recipes.compute import runtime
from recipes.console import say, table
from recipes.settings.finetune import Recipe

WEIGHTS = "weights/mobilenet_0.25_128_imagenet_uint8_dequantized.h5"
FORMS = [(head, "average") for head in ("linear", "dropout", "hidden", "cosine")] + [("linear", "max"), ("linear", "both")]
DIGITS = 105  # of each class


def hymenoptera(shared: Path, folder: Path) -> Path:
    for path in (shared / "data/hymenoptera").glob("*/*/*.jpg"):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder


def mnist(shared: Path, folder: Path) -> Path:
    count = dict.fromkeys("0123456789", 0)
    with tarfile.open(shared / "data/mnist.tar.xz") as archive:
        for member in archive:
            if not (member.isfile() and member.name.startswith("train/")):
                continue
            _, label, name = member.name.split("/")
            if count[label] < DIGITS:
                count[label] += 1
                (folder / label).mkdir(parents=True, exist_ok=True)
                (folder / label / name).write_bytes(archive.extractfile(member).read())
            if min(count.values()) == DIGITS:
                return folder
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/heads"))
    parser.add_argument("--seeds", type=int, default=3)
    settings = parser.parse_args()
    runtime.start(0)
    folders = {
        "hymenoptera": (hymenoptera, dict(test=0.4)),
        "mnist": (mnist, dict(test=100 / DIGITS, mirror="no")),
    }
    rows = []
    for name, (write, options) in folders.items():
        data = settings.output / "data" / name
        if not data.exists():
            write(settings.shared, data)
        for head, pooling in FORMS:
            output = settings.output / f"{name}-{head}-{pooling}"
            recipe = Recipe(
                data=data,
                output=output,
                model="mobilenet",
                alpha=0.25,
                weights=str(settings.shared / WEIGHTS),
                strategy="small",
                augment="crops",
                validation=0.0,
                head=head,
                pooling=pooling,
                seeds=settings.seeds,
                **options,
            )
            if not (output / "result.json").exists():
                finetune.run(recipe)
            result = json.loads((output / "result.json").read_text())
            mean, (low, high) = (result["repeats"][key]["accuracy"] for key in ("mean", "interval"))
            chosen = next(f"{key} {result['head'][key]:g}" for key in ("penalty", "scale", "epochs") if key in result["head"])
            rows.append(
                {
                    "folder": name,
                    "head": head,
                    "pooling": pooling,
                    "accuracy": f"{mean:.1%}",
                    "95 % interval": f"{low:.1%} to {high:.1%}",
                    "chosen (first seed)": chosen,
                    "seconds a head": f"{result['seconds']['head']:.1f}",
                }
            )
            say(table(rows))


if __name__ == "__main__":
    main()
