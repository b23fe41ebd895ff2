"""Several frozen backbones at once, beside each alone: is what `zoo rank` puts first the best on pictures it never saw?

    python benchmarks/several_backbones.py ../shared --output runs/several_backbones     # the table of docs/results.md

Five folds of each folder, so that every picture judges once. In each fold the other four give the probes of `zoo rank`, which
order the networks, grow the pair and the triple, and say which of all is taken; to them a head is fitted, too, on the central
crop: the probe's ridge regression, by scikit-learn, for logistic regression takes a hundred times as long. Hymenoptera: all of
its 397 pictures. Kinds: 60 of ImageNet's sample pictures of dogs, other mammals, birds, other animals and things, each.
CIFAR-10 and MNIST: 30 pictures of each class. The same command goes on where it was cut off.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import strategies
from default_model import BACKBONES, recipe_of
from sklearn.linear_model import RidgeClassifierCV

from recipes.compute import runtime
from recipes.console import say, table
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.listing import Listing
from recipes.evaluation.intervals import wilson
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.runs.journal import Experiment
from recipes.transfer.contenders import Team, features_of, grown, quality
from recipes.transfer.probes import probe
from recipes.transfer.transferability import PENALTIES, logme, principal
from recipes.transfer.view_features import standardization

FOLDERS = {"hymenoptera": "hymenoptera", "kinds": "kinds-60", "CIFAR-10": "cifar-30", "MNIST": "mnist-30"}
FOLDS = 5
# What the probes of a fold find best, of one, two and three, and of all; another fold may find others.
ALONE, PAIR, TRIPLE, TAKEN = "best alone", "best pair", "best triple", "taken"
# A triple that nobody has chosen by any picture.
GIVEN = ("mobilenet_v2", "efficientnet_lite0", "efficientnet_lite2")


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path

    @property
    def folder(self) -> Path:
        return self.output


def listed(folder: str, data: Path) -> Listing:
    """All pictures that are used, as ones to train on."""
    found = scan_folder(data)
    files = [replace(file, split="train") for file in found.files if folder == "hymenoptera" or file.split == "train"]
    return replace(found, files=tuple(files))


def rank(team: Team) -> tuple[float, float]:
    """What `zoo rank` orders by."""
    return quality({"accuracy": team.probe.accuracy, "logme": team.transferability})


def judged(features: Sequence[np.ndarray], labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict:
    """Right answers on the pictures `test` of each backbone, of teams, and of what the pictures `train` say is best."""
    x, y = [rows[train] for rows in features], labels[train]
    alone = [Team((i,), probe(rows, y), logme(rows, y)) for i, rows in enumerate(x)]
    order = [team.members[0] for team in sorted(alone, key=rank, reverse=True)]
    teams = [replace(team, members=tuple(order[i] for i in team.members)) for team in grown([x[i] for i in order], y)]
    taken = max([*alone, *teams], key=rank).members
    names = list(BACKBONES)
    members = {name: (i,) for i, name in enumerate(names)} | {" + ".join(GIVEN): tuple(map(names.index, GIVEN))}
    members |= {ALONE: order[:1], PAIR: teams[0].members, TRIPLE: teams[1].members, TAKEN: taken}

    def right(chosen: Sequence[int]) -> int:
        rows, widths = np.concatenate([features[i] for i in chosen], axis=1), [features[i].shape[1] for i in chosen]
        rows = rows / standardization(rows[train], widths)[1]
        alphas = PENALTIES * principal(rows[train] - rows[train].mean(axis=0))[1][0]
        head = RidgeClassifierCV(alphas).fit(rows[train], y)
        return int((head.predict(rows[test]) == labels[test]).sum())

    return {
        "right": {name: right(chosen) for name, chosen in members.items()},
        "members": {name: " + ".join(names[i] for i in members[name]) for name in (ALONE, PAIR, TRIPLE, TAKEN)},
    }


def measured(settings: Settings, folder: str, fold: int) -> dict:
    """A fold of a folder."""
    features, labels = features_of_all(settings, folder)
    return judged(features, labels, *MULTI_CLASS.folds(labels, FOLDS, 0)[fold]) | {"images": len(labels)}


@cache
def features_of_all(settings: Settings, folder: str) -> tuple[list[np.ndarray], np.ndarray]:
    """What each backbone gives for the pictures of a folder, `(images, features)`, and their class numbers."""
    data = strategies.folder(folder, settings.shared, 0, False, settings.output / "data")
    found = [features_of(recipe_of(settings, data, name), listed(folder, data))[:2] for name in BACKBONES]
    return [rows for rows, _ in found], found[0][1]


def rows_of(folder: str, folds: Sequence[dict]) -> list[dict]:
    """Lines of the table: all folds together, with Wilson's interval; what was taken in how many folds."""
    images, rows = folds[0]["images"], []
    for name in folds[0]["right"]:
        right = sum(fold["right"][name] for fold in folds)
        low, high = wilson(right, images)
        members = Counter(fold["members"][name] for fold in folds if name in fold["members"])
        found = ", ".join(f"{count} x {team}" for team, count in members.most_common())
        rows.append({"folder": folder, "backbones": name, "accuracy": right / images, "low": low, "high": high, "found": found})
    return rows


def summary(rows: Sequence[dict]) -> list[dict]:
    """Over the folders: the mean accuracy, and how far in front of the best one alone, whichever the folds say that is."""
    alone = dict.fromkeys(FOLDERS, 0.0)
    for row in rows:
        if row["backbones"] in BACKBONES:
            alone[row["folder"]] = max(alone[row["folder"]], row["accuracy"])
    found = []
    for name in dict.fromkeys(row["backbones"] for row in rows):
        accuracies = [row["accuracy"] for row in rows if row["backbones"] == name]
        ahead = np.subtract(accuracies, list(alone.values()))
        mean = {"accuracy": float(np.mean(accuracies)), "ahead on average": float(ahead.mean())}
        found.append({"backbones": name} | mean | {"least ahead": float(ahead.min())})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/several_backbones"))
    settings = Settings(**vars(parser.parse_args()))
    runtime.start(0)
    experiment, rows = Experiment(settings), []
    with experiment:
        for name, folder in FOLDERS.items():
            pieces = [f"{name}, fold {fold}" for fold in range(FOLDS)]
            folds = [experiment.once(piece, partial(measured, settings, folder, i)) for i, piece in enumerate(pieces)]
            rows += rows_of(name, folds)
            say(table(rows[-len(folds[0]["right"]) :]))
        means = summary(rows)
        experiment.finish(rows, means=means)
        say("\n" + table(means))


if __name__ == "__main__":
    main()
