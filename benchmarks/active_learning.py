"""How many labels does it take, if those come first of which the model is least sure?

    python benchmarks/active_learning.py ../shared --output runs/active_learning              # docs/label.md

2,000 pictures of CIFAR-10 (200 of each class, drawn by the seed) have labels that nobody has looked at. 100 of them, drawn at
random, are looked at first, then 20 at a time: as `zoo label` chooses, at random, or by BADGE (Ash et al. 2020,
arXiv:1906.03671: k-means++ on the gradients of the last layer, which are the features times what the probabilities lack of the
guess). After each batch the head that chooses is solved again; now and then a head whose penalty is chosen inside what is
labelled is tested on all 10,000 pictures of test/, by which no run chooses anything. The seeds draw pool and first pictures,
the same for all ways. The same command goes on where it was cut off.

With --develop the judges are 10,000 pictures of train/ outside the pool: for choosing a way without a look at test/.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy import stats

from recipes.console import say
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.runs.journal import Experiment
from recipes.transfer import logistic
from recipes.transfer.acquisition import least_sure, margins, quick_head
from zoo.files import replacing, write_json

EACH = 200  # pictures of a class in the pool
CLASSES = 10
FIRST, BATCH = 100, 20
JUDGES = 10_000
TESTED = (100, 200, 400, 600, 800, 1_000, 1_300)
# Fewer than `logistic` tries, and one of its five folds: all of them take an hour more.
PENALTIES = np.array([1, 0.3, 0.1, 0.03])


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path
    model: str
    alpha: float | None
    size: int | None
    weights: str
    seeds: tuple[int, int]
    develop: bool

    @property
    def folder(self) -> Path:
        return self.output


@dataclass(frozen=True)
class Pool:
    """Features and labels of the pictures that may be labelled, and of those that test."""

    features: np.ndarray
    labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray


@cache
def pool(settings: Settings, seed: int) -> Pool:
    """The pictures of a seed, passed through the frozen network once."""
    kept = settings.output / f"features-{seed}.npz"
    if not kept.exists():
        found = _extracted(settings, seed)
        with replacing(kept) as new, open(new, "wb") as file:
            np.savez(file, **vars(found))
    with np.load(kept) as arrays:
        return Pool(**arrays)


def _extracted(settings: Settings, seed: int) -> Pool:
    import strategies  # here, since it brings Keras, which nothing else needs

    import zoo
    from recipes.compute import runtime
    from recipes.data.dataset import prepare
    from recipes.data.sources.folder import scan_folder
    from recipes.data.views import CENTER
    from recipes.transfer import features
    from recipes.transfer.backbone import framing

    runtime.start(0)
    folder = strategies.folder(f"cifar-{EACH}", settings.shared, seed, settings.develop, settings.output / "data", JUDGES)
    own = {"alpha": settings.alpha, "input_shape": settings.size and (settings.size, settings.size, 3)}
    given = {name: value for name, value in own.items() if value}
    model = zoo.new_head(zoo.get_model(settings.model, num_classes=0, weights=settings.weights, **given), CLASSES)
    data = prepare(scan_folder(folder), framing(model), 0.0, 0.0, 0, keep_leaks=True)
    cut = features.vector_cut(model, "pre_logits")
    rows = features.extract(model, [cut], data, [(i, CENTER) for i in range(len(data.labels))], 32)[cut][:]
    train, test = data.part("train"), data.part("test")
    return Pool(rows[train], data.labels[train], rows[test], data.labels[test])


# -------------------------------------------------------------------------------------------------------- ways to choose
Choice = Callable[[Pool, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def answers(pool: Pool, labelled: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Let a head that has learnt what is labelled answer for what is left: probabilities `(pictures, classes)`."""
    head = quick_head(pool.features[labelled], pool.labels[labelled], CLASSES, MULTI_CLASS)
    return head.probabilities(pool.features[left])


def at_random(pool: Pool, labelled: np.ndarray, left: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose a batch by lot."""
    return generator.permutation(left)[:BATCH]


def as_label(pool: Pool, labelled: np.ndarray, left: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose a batch as `zoo label` does: the least sure, and one of those that are nearly the same."""
    sure = margins(MULTI_CLASS, answers(pool, labelled, left))
    return left[least_sure(sure, pool.features[left], BATCH)[:BATCH]]


def by_badge(pool: Pool, labelled: np.ndarray, left: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose a batch by k-means++ on gradients, which are features (x) (probabilities - guess): never written out."""
    x, p = pool.features[left].astype("float64"), answers(pool, labelled, left).astype("float64")
    g = p - np.eye(CLASSES)[p.argmax(axis=1)]
    norms = (x**2).sum(axis=1) * (g**2).sum(axis=1)
    chosen = [int(norms.argmax())]
    nearest = np.full(len(left), np.inf)
    while len(chosen) < BATCH:
        last = chosen[-1]
        distance = norms + norms[last] - 2 * (x @ x[last]) * (g @ g[last])
        nearest = np.minimum(nearest, np.maximum(distance, 0))
        nearest[chosen] = 0
        chosen.append(int(generator.choice(len(left), p=nearest / nearest.sum())))
    return left[chosen]


WAYS: dict[str, Choice] = {"random": at_random, "least sure": as_label, "badge": by_badge}


# ------------------------------------------------------------------------------------------------------------ measurement
def accuracy(pool: Pool, labelled: np.ndarray, seed: int) -> float:
    """Test a head whose penalty is chosen by its log-loss on a fifth of what is labelled, then fitted to all of that."""
    features, labels = pool.features[labelled], pool.labels[labelled]
    center, scale = logistic.standardization(features)
    views = ((features - center) / scale)[None]
    train, held_out = logistic.folds_of(MULTI_CLASS, labels, seed)[0]
    used = np.zeros((len(PENALTIES), len(labels)), bool)
    used[:, train] = True
    losses = []
    for kernel, bias in zip(*logistic.solve(MULTI_CLASS, views, labels, used, PENALTIES, lambda: None), strict=True):
        guess = MULTI_CLASS.probabilities(views[0, held_out] @ kernel + bias)
        losses.append(MULTI_CLASS.log_loss(MULTI_CLASS.one_hot(labels[held_out], CLASSES), guess).mean())
    best, everything = PENALTIES[[int(np.argmin(losses))]], np.ones((1, len(labels)), bool)
    (kernel,), (bias,) = logistic.solve(MULTI_CLASS, views, labels, everything, best, lambda: None)
    guess = ((pool.test_features - center) / scale @ kernel + bias).argmax(axis=1)
    return float((guess == pool.test_labels).mean())


def curve(settings: Settings, way: str, seed: int) -> dict[str, float]:
    """Accuracy by the number of labels."""
    found, generator = {}, np.random.default_rng(seed)
    data = pool(settings, seed)
    order = generator.permutation(len(data.labels))
    labelled, left = order[:FIRST], np.sort(order[FIRST:])
    while True:
        if len(labelled) in TESTED:
            found[str(len(labelled))] = accuracy(data, labelled, seed)
        if len(labelled) >= TESTED[-1]:
            return found
        chosen = WAYS[way](data, labelled, left, generator)
        labelled, left = np.concatenate([labelled, chosen]), np.setdiff1d(left, chosen)


def everything(settings: Settings, seed: int) -> dict[str, float]:
    """Accuracy with all labels."""
    data = pool(settings, seed)
    return {str(len(data.labels)): accuracy(data, np.arange(len(data.labels)), seed)}


def summary(values: list[float]) -> dict:
    """Mean over seeds, and the half width of its 95 % interval by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "half": float(half), "values": values}


def compared(one: dict, other: dict) -> dict:
    """Summarise what one summary has more than another, seed by seed."""
    return summary(list(np.subtract(one["values"], other["values"])))


def draw(found: dict[str, dict[str, dict]], path: Path) -> None:
    """Draw the curves of random choice and of `zoo label`, each with its interval, beside all labels."""
    from matplotlib.figure import Figure

    figure = Figure((7.6, 4.2), layout="constrained")
    plot = figure.subplots()
    for way, color in (("least sure", "#1f6feb"), ("random", "#8b6508")):
        labels = np.array(list(map(int, found[way])))
        mean, half = (100 * np.array([one[key] for one in found[way].values()]) for key in ("mean", "half"))
        plot.plot(labels, mean, "o-", color=color, label={"random": "at random"}.get(way, f"{way} first"))
        plot.fill_between(labels, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)
    ((count, every),) = found["all"].items()
    plot.axhline(100 * every["mean"], color="#555555", linestyle="--", label=f"all {int(count):,} labels")
    plot.set(xlabel="labels", ylabel="accuracy in %")
    plot.legend(loc="lower right", frameon=False)
    plot.grid(alpha=0.3)
    with replacing(path) as new:
        figure.savefig(new, format="svg", metadata={"Date": None})


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/active_learning"))
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--size", type=int)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--seeds", type=int, nargs=2, default=(3, 6))
    parser.add_argument("--develop", action="store_true")
    given = vars(parser.parse_args())
    settings = Settings(**given | {"seeds": tuple(given["seeds"])})
    experiment, found, seeds = Experiment(settings), {}, range(*settings.seeds)
    whole = [experiment.once(f"all, seed {seed}", partial(everything, settings, seed), but=("seeds",)) for seed in seeds]
    for way in WAYS:
        curves = [experiment.once(f"{way}, seed {seed}", partial(curve, settings, way, seed), but=("seeds",)) for seed in seeds]
        found[way] = {count: summary([one[count] for one in curves]) for count in curves[0] if count.isdecimal()}
    count = next(iter(whole[0]))
    found["all"] = {count: summary([one[count] for one in whole])}
    rows = []
    for labels in [*found["random"], count]:
        cells = {way: found[way].get(labels) for way in (*WAYS, "all")}
        rows.append(
            {"labels": labels}
            | {way: f"{100 * one['mean']:.1f} ± {100 * one['half']:.1f}" for way, one in cells.items() if one}
        )
        say(json.dumps(rows[-1], ensure_ascii=False))
    for way in WAYS:
        found[f"{way}, lacking"] = lacking = {labels: compared(one, found["all"][count]) for labels, one in found[way].items()}
        words = [f"{labels} labels {100 * one['mean']:+.1f} ± {100 * one['half']:.1f}" for labels, one in lacking.items()]
        say(f"{way}, points beside all {count} labels, on the same seeds: {', '.join(words)}")
    write_json(settings.output / "curves.json", found)
    draw(found, settings.output / "active-learning.svg")
    experiment.finish([{"labels": row["labels"]} | {way: row.get(way, "") for way in (*WAYS, "all")} for row in rows])


if __name__ == "__main__":
    main()
