"""Are the labels that were made wrong the first suspects, and what does leaving the suspects out win back?

    python benchmarks/label_suspects.py ../shared --output runs/label_suspects              # docs/results.md

Of the training part of four folders 5 % of the labels become another class, drawn at random, three times (seeds): hymenoptera's
train/; ImageNet's samples as animals or things, 700 of them; 150 pictures of each class of CIFAR-10 and of MNIST. k is the
number of labels that were made wrong. The judge is the head of `--strategy small` on the same features, tested on pictures
whose labels nobody touched: hymenoptera's val/, the other 299, and 50 of each class. `--seeds 3 6` are others than those on
which the rank was chosen. The same command goes on where it was cut off.
"""

import argparse
import os
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import strategies
from scipy.special import softmax

import zoo
from recipes.compute import runtime
from recipes.console import say
from recipes.data.dataset import Dataset, prepare
from recipes.data.sources.folder import scan_folder
from recipes.data.views import CENTER
from recipes.evaluation.metrics import metrics
from recipes.runs.journal import Experiment
from recipes.transfer import features, logistic
from recipes.transfer.backbone import framing
from recipes.transfer.suspects import suspects

SHARE = 0.05
JUDGED = 50  # test pictures of each class of CIFAR-10 and MNIST
TRAINED = 0.7  # of ImageNet's samples
ANIMALS = 398  # of ImageNet's first classes
FOLDERS = ("hymenoptera", "animals or things", "cifar-150", "mnist-150")


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path
    model: str
    seeds: tuple[int, int]

    @property
    def folder(self) -> Path:
        return self.output


def pictures(settings: Settings, name: str) -> Path:
    """The folder of pictures, made once."""
    made = settings.output / "data" / name.replace(" ", "-")
    if name != "animals or things":
        return strategies.folder(name, settings.shared, 0, False, settings.output / "data")
    for index, path in enumerate(sorted((settings.shared / "data" / "imagenet-samples").iterdir())):
        place = made / ("animals" if index < ANIMALS else "things") / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(path.resolve())
    return made


def divided(data: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The pictures to train on, and those to test on."""
    train, test = data.part("train"), data.part("test")
    if not len(test):
        order = np.random.default_rng(seed).permutation(len(data.labels))
        return np.split(order, [round(TRAINED * len(order))])
    if len(data.classes) > 2:
        test = np.concatenate([test[data.labels[test] == label][:JUDGED] for label in range(len(data.classes))])
    return train, test


@cache
def vectors(settings: Settings, name: str) -> tuple[np.ndarray, Dataset]:
    """The features of a folder, those before the classifier, of the pictures that are used; 0 for others."""
    model = zoo.new_head(zoo.get_model(settings.model, num_classes=0, weights="imagenet"), 2)
    data = prepare(scan_folder(pictures(settings, name)), framing(model), 0.0, 0.0, 0)
    used = np.sort(np.concatenate(divided(data, 0)))
    cut = features.vector_cut(model, "pre_logits")
    rows = features.extract(model, [cut], data, [(int(i), CENTER) for i in used], 32)[cut]
    found = np.zeros((len(data.labels), rows.shape[1]), "float32")
    found[used] = rows[:]
    return found, data


def measured(settings: Settings, name: str, seed: int) -> dict:
    """Precision among the first k, and the accuracy with clean labels, with wrong ones, and without the suspects."""
    rows, data = vectors(settings, name)
    train, test = divided(data, seed)
    generator, classes = np.random.default_rng(1000 + seed), len(data.classes)
    count = round(SHARE * len(train))
    wrong = generator.choice(len(train), count, replace=False)
    clean, noisy = data.labels[train], data.labels[train].copy()
    noisy[wrong] = (noisy[wrong] + generator.integers(1, classes, count)) % classes
    found = suspects(rows[train], noisy)
    first = [suspect.picture for suspect in found[:count]]
    confident = [suspect.picture for suspect in found if suspect.is_confident]
    kept = np.setdiff1d(np.arange(len(train)), first)

    def accuracy(images: np.ndarray, labels: np.ndarray) -> float:
        """Fit a head to some training pictures, and test it."""
        head = logistic.fit(rows[train[images]][None], [False], labels[images], seed)
        guesses = softmax(rows[test] @ head.kernel + head.bias, axis=1)
        return metrics(data.labels[test], guesses, data.classes)["accuracy"]

    everything = np.arange(len(train))
    return {
        "k": count,
        "precision": len({*first} & {*wrong.tolist()}) / count,
        "counted by confident learning": len(confident),
        "of these wrong": len({*confident} & {*wrong.tolist()}),
        "clean": accuracy(everything, clean),
        "wrong": accuracy(everything, noisy),
        "without": accuracy(kept, noisy),
    }


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/label_suspects"))
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 3))
    settings = Settings(**vars(parser.parse_args()))
    runtime.start(0)
    experiment, rows, cost, won = Experiment(settings), [], 0.0, 0.0
    for name in FOLDERS:
        found = [
            experiment.once(f"{name}, seed {seed}", partial(measured, settings, name, seed)) for seed in range(*settings.seeds)
        ]
        mean = {key: float(np.mean([one[key] for one in found])) for key in ("k", "precision", "clean", "wrong", "without")}
        cost, won = cost + mean["clean"] - mean["wrong"], won + mean["without"] - mean["wrong"]
        rows.append({"folder": name} | mean)
        say(f"{rows[-1]}")
    say(f"\nprecision {np.mean([row['precision'] for row in rows]):.3f}; won back {won:.4f} of {cost:.4f}\n")
    experiment.finish(rows)


if __name__ == "__main__":
    main()
