"""Which network should `--model` be if nothing is said? Linear probes of those that are near at hand, on the shared folders.

    python benchmarks/default_model.py ../shared --output runs/default_model                 # docs/results.md
    python benchmarks/default_model.py ../shared --output runs/default_auto --auto hymenoptera --budget 30m

A probe is the head of `--strategy small`, a solved logistic regression on the central crop. The one that is chosen is chosen
by its cross-validated accuracy inside the training pictures; the test tells what that was worth. Hymenoptera: all 244 pictures,
once. CIFAR-10 and MNIST: 300 pictures, 30 of a class, drawn three times (seeds 0 to 2) from the same 500, and 500 others as
the test. `--auto` runs `zoo finetune --strategy auto` with seed 0 on folders instead. The same command goes on where it was
cut off.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import strategies
from scipy.special import softmax

import zoo
from recipes import finetune
from recipes.compute import runtime
from recipes.console import say
from recipes.data.dataset import prepare
from recipes.data.sources.folder import scan_folder
from recipes.data.views import CENTER
from recipes.evaluation.intervals import wilson
from recipes.evaluation.metrics import metrics
from recipes.runs.journal import Experiment
from recipes.settings.finetune import Recipe
from recipes.transfer import features, logistic
from recipes.transfer.backbone import backbone, framing

FOLDERS = ("hymenoptera", "cifar-50", "mnist-50")
DRAWS = 3
DRAWN = 30  # training pictures of each class of CIFAR-10 and MNIST
JUDGED = 50  # test pictures of each class there
MOBILENET = "mobilenet_{}_imagenet_uint8_dequantized.h5"
# By name: model, weights of the shared folder (None: those of a package), width, pixels.
BACKBONES = {
    "efficientnet_lite0": ("efficientnet_lite0", None, None, 224),
    "mobilenet_v2": ("mobilenet_v2", "mobilenet_v2_imagenet.h5", None, 224),
    "efficientnet_lite1": ("efficientnet_lite1", None, None, 240),
    "efficientnet_lite2": ("efficientnet_lite2", None, None, 260),
    "mobilenet 0.75": ("mobilenet", MOBILENET.format("0.75_192"), 0.75, 192),
    "mobilenet 0.25": ("mobilenet", MOBILENET.format("0.25_128"), 0.25, 128),
}


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path
    auto: tuple[str, ...]
    budget: str | None

    @property
    def folder(self) -> Path:
        return self.output


def recipe_of(settings: Settings, data: Path, name: str, **more) -> Recipe:
    """What `zoo finetune` would be told."""
    model, file, alpha, size = BACKBONES[name]
    weights = str(settings.shared / "weights" / file) if file else None
    return Recipe(data, model=model, weights=weights, alpha=alpha, image_size=size, validation=0.0, **more)


def probed(settings: Settings, data: Path, name: str) -> dict:
    """Cross-validated accuracy and right answers on the test of each draw."""
    body = backbone(recipe_of(settings, data, name))
    found = prepare(scan_folder(data), framing(body), 0.0, 0.0, 0)
    train, test = found.part("train"), found.part("test")
    is_drawn = len(found.classes) > 2
    if is_drawn:
        test = first(found.labels, test, JUDGED)
    model = zoo.new_head(body, len(found.classes))
    cut = features.vector_cut(model, "pre_logits")
    rates: list[float] = []
    rows = features.extract(model, [cut], found, [(i, CENTER) for i in [*train, *test]], 32, rates)[cut][:]
    x, judged, inside, right = rows[: len(train)], rows[len(train) :], [], []
    for seed in range(DRAWS if is_drawn else 1):
        order = np.random.default_rng(seed).permutation(len(train))
        kept = first(found.labels[train], order, DRAWN) if is_drawn else np.arange(len(train))
        head = logistic.fit(x[kept][None], [False], found.labels[train][kept], seed)
        inside.append(min(head.path, key=lambda row: row["loss"])["accuracy"])
        guesses = softmax(judged @ head.kernel + head.bias, axis=1)
        right.append(round(metrics(found.labels[test], guesses, found.classes)["accuracy"] * len(test)))
    return {"inside": inside, "right": right, "images": len(test), "images/s": float(np.median(rates)) if rates else None}


def first(labels: np.ndarray, order: Sequence[int], count: int) -> np.ndarray:
    """The first so many of each class among the indices `order`."""
    order = np.asarray(order)
    return np.sort(np.concatenate([order[labels[order] == label][:count] for label in np.unique(labels[order])]))


def chosen_by_auto(settings: Settings, data: Path, name: str) -> dict:
    """A run of strategy auto."""
    with tempfile.TemporaryDirectory() as output:
        run = Path(output) / "run"
        finetune.run(recipe_of(settings, data, name, output=run, budget=settings.budget))
        result = json.loads((run / "result.json").read_text())
    measured = result["metrics"]["test"]
    return {
        "right": [round(measured["accuracy"] * measured["images"])],
        "images": measured["images"],
        "strategy": result["strategy"]["name"],
        "run seconds": result["seconds"]["total"],
    }


def row_of(folder: str, name: str, found: dict) -> dict:
    """A line of the table: means over the draws, and Wilson's interval for the test's pictures."""
    mean, images = float(np.mean(found["right"])), found["images"]
    low, high = wilson(round(mean), images)
    row = {"folder": folder, "backbone": name}
    if "inside" in found:
        row["cross-validated"] = float(np.mean(found["inside"]))
    row |= {"test": mean / images, "low": low, "high": high}
    return row | {key: found[key] for key in ("images/s", "strategy", "run seconds") if key in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/default_model"))
    parser.add_argument("--auto", nargs="*", default=(), help="run strategy auto on these of the folders instead")
    parser.add_argument("--budget", help="time for each run of auto, such as 30m")
    given = vars(parser.parse_args())
    settings = Settings(**given | {"auto": tuple(given["auto"])})
    runtime.start(0)
    measure = chosen_by_auto if settings.auto else probed
    experiment, rows = Experiment(settings), []
    with experiment:
        for folder in settings.auto or FOLDERS:
            data = strategies.folder(folder, settings.shared, 0, False, settings.output / "data")
            for name in BACKBONES:
                keras.backend.clear_session()
                found = experiment.once(f"{folder}, {name}", partial(measure, settings, data, name))
                rows.append(row_of(folder, name, found))
                say(str(rows[-1]))
        experiment.finish(rows)


if __name__ == "__main__":
    main()
