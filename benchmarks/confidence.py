"""What a run promises of its confidence, and what it keeps: temperature, sets of classes, and pictures of no known class.

    python benchmarks/confidence.py ../shared --output runs/confidence                    # three seeds, the head alone
    python benchmarks/confidence.py ../shared --output runs/confidence --strategies auto --folders mnist-5 cifar-50
    python benchmarks/confidence.py ../shared --output runs/confidence --backbones efficientnet_lite0 --seeds 1
    python benchmarks/confidence.py ../shared --output runs/turned --folders rotation-100 --groups '_(.+)[.]'  # turns together

The folders are those of benchmarks/strategies.py. Nothing is held out but the test, on which all is measured: temperature and
thresholds come from inside the training part. First table: log-loss and calibration error before and after the temperature.
Second: how often sets for 90 % hold the right class, with one threshold for all classes and with those of large classes apart,
and how many classes they have, by three scores. Third: of foreign folders, the area under the ROC curve of several scores; what
share of known pictures is refused where 5 % may be; and the share of the time of a prediction that the score takes.
The same command goes on where one was cut off.
"""

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import strategies

from recipes.compute import runtime
from recipes.console import align, say
from recipes.evaluation import calibration, conformal, foreign
from recipes.evaluation.intervals import wilson
from recipes.runs.journal import Experiment
from zoo.layers import CLASSIFIER

COVERAGE, REFUSED = 0.9, 0.05
# What shows known classes is not foreign: CIFAR has dogs, birds and things, as kinds has, and insects are among its animals.
FOREIGN = {
    "hymenoptera": ("mnist", "cifar", "kinds"),
    "cifar": ("mnist", "hymenoptera", "kinds"),
    "mnist": ("hymenoptera", "cifar", "kinds"),
    "kinds": ("mnist",),
}
SOURCES = ("hymenoptera", "cifar-5", "mnist-5", "kinds-30")
MAX_FOREIGN = 500


@dataclass(frozen=True)
class Settings:
    output: Path

    @property
    def folder(self) -> Path:
        return self.output


def _trained(name: str, backbone: str, strategy: str, seed: int, given: argparse.Namespace) -> tuple:
    """A run of the main recipe up to its confidence: what is prepared, fitted, known and answered."""
    from recipes.settings.finetune import Recipe
    from recipes.transfer import confidence as learning
    from recipes.transfer.run import evaluate, fit, prepare
    from recipes.transfer.trials import choose

    data = strategies.folder(name, given.shared, seed, False, given.output / "data")
    if backbone in strategies.BACKBONES:
        recipe = strategies._recipe(data, None, backbone, strategy, seed, given.shared)
    else:
        recipe = Recipe(data, model=backbone, strategy=strategy, seed=seed)
    recipe = replace(recipe, validation=given.validation, groups=given.groups)
    prepared = prepare(recipe)
    choice = choose(prepared, time.monotonic())
    fitted = fit(prepared, choice.strategy)
    before = evaluate(prepared, fitted)
    known = learning.known_pictures(prepared.data, choice, fitted, before)
    sure, after = learning.learn(prepared, choice, fitted, before)
    return prepared, fitted, known, sure, after


def promised(name: str, backbone: str, strategy: str, seed: int, given: argparse.Namespace) -> dict:
    """Measure on the test what temperature and sets of one run promise."""
    from recipes.transfer import confidence as learning

    prepared, fitted, known, sure, after = _trained(name, backbone, strategy, seed, given)
    data, task = prepared.data, prepared.data.task
    found = learning.measured(prepared, fitted, sure, after)
    test, classes = data.part("test"), len(data.classes)
    guess, truth = after.probabilities[test], data.labels[test]
    kept, labels = calibration.at_temperature(task, known.probabilities, sure.temperature), data.labels[known.images]
    rows = {}
    for score in conformal.SCORES:
        own = conformal.class_scores(kept, score)[np.arange(len(labels)), labels]
        for what, bounds in {
            "one": np.full(classes, conformal.threshold(own, COVERAGE)),
            "classes": conformal.thresholds(own, labels, classes, COVERAGE),
        }.items():
            sets = conformal.class_scores(guess, score) <= bounds
            held = sets[np.arange(len(truth)), truth]
            worst = min(float(held[truth == label].mean()) for label in range(classes))
            rows[f"{score}, {what}"] = {"held": int(held.sum()), "size": float(sets.sum(axis=1).mean()), "worst": worst}
    refused = next((row["refused"] for row in found["unknown"] if row["asked"] == REFUSED), None)
    return {
        "strategy": fitted.strategy.name,
        "known": sure.count,
        "source": sure.source,
        "temperature": sure.temperature,
        "accuracy": float((guess.argmax(axis=1) == truth).mean()),
        "images": len(test),
        **{f"{key} {when}": found[when][key] for key in ("loss", "calibration_error") for when in ("before", "after")},
        "sets": rows,
        "refused": refused,
    }


def strange(name: str, backbone: str, strategy: str, seed: int, given: argparse.Namespace) -> dict:
    """Measure how well foreign folders are told from the test of one."""
    from sklearn.metrics import roc_auc_score

    from recipes.data import dataset
    from recipes.data.sources.folder import scan_folder
    from recipes.transfer.answers import answers
    from recipes.transfer.state import Prepared

    prepared, fitted, _, sure, after = _trained(name, backbone, strategy, seed, given)
    data, kind = prepared.data, name.partition("-")[0]
    splits = data.splits[after.referred]
    train, labels = after.features[splits == "train"], data.labels[after.referred[splits == "train"]]
    test = np.random.default_rng(0).permutation(after.features[splits == "test"])[:MAX_FOREIGN]
    weights = prepared.model.get_layer(CLASSIFIER).get_weights()
    scorers = _scorers(train, labels, weights)
    known = {score: scorer(test) for score, scorer in scorers.items()}
    limit, found = sure.foreign_threshold(REFUSED), {}
    for other in SOURCES:
        other_kind = other.partition("-")[0]
        if other_kind not in FOREIGN[kind]:
            continue
        folder = strategies.folder(other, given.shared, 0, False, given.output / "data")
        pictures = dataset.prepare(scan_folder(folder), data.framing, 0.0, 0.0, 0)
        chosen = np.random.default_rng(0).permutation(pictures.part("test"))[:MAX_FOREIGN]
        asked = answers(Prepared(prepared.recipe, pictures, prepared.model), fitted.strategy, chosen, np.arange(len(chosen)))
        truth = np.repeat([0, 1], [len(test), len(chosen)])
        found[other_kind] = {
            score: float(roc_auc_score(truth, np.concatenate([known[score], scorer(asked.features)])))
            for score, scorer in scorers.items()
        } | {"refused": float((scorers["nearest"](asked.features) > limit).mean())}
    return {
        "foreign": found,
        "refused": float((known["nearest"] > limit).mean()),
        "images": len(test),
        "time": _time(prepared, train),
    }


def _scorers(train: np.ndarray, labels: np.ndarray, weights: list[np.ndarray]) -> dict:
    """Ways to score features `(pictures, features)` by how foreign they are."""
    from scipy.special import logsumexp

    units, distance = foreign.unit(train), _mahalanobis(foreign.unit(train), labels)
    kernel, bias = weights
    return {
        "nearest": lambda x: foreign.foreignness(x, units),
        "mahalanobis": _mahalanobis(train, labels),
        "mahalanobis of length 1": lambda x: distance(foreign.unit(x)),
        "energy": lambda x: -logsumexp(x @ kernel + bias, axis=1),
        "largest probability": lambda x: -np.exp((x @ kernel + bias).max(axis=1) - logsumexp(x @ kernel + bias, axis=1)),
    }


def _mahalanobis(train: np.ndarray, labels: np.ndarray):
    """The least Mahalanobis distance to a class's mean (Lee et al. 2018), with Ledoit and Wolf's shared covariance."""
    from sklearn.covariance import ledoit_wolf

    means = np.stack([train[labels == label].mean(axis=0) for label in np.unique(labels)])
    covariance, _ = ledoit_wolf(train - means[np.searchsorted(np.unique(labels), labels)])
    size = len(covariance)
    whiten = np.linalg.cholesky(np.linalg.inv(covariance + 1e-6 * np.trace(covariance) / size * np.eye(size)))
    centers = means @ whiten

    def score(x: np.ndarray) -> np.ndarray:
        white = x @ whiten
        return ((white**2).sum(axis=1)[:, None] - 2 * white @ centers.T + (centers**2).sum(axis=1)).min(axis=1)

    return score


def _time(prepared, train: np.ndarray) -> float:
    """The seconds that the score takes over those of a prediction, for batches of 64 and 10,000 known pictures."""
    pixels = np.zeros((64, *prepared.model.input_shape[1:]), "float32")
    known = foreign.unit(np.resize(train, (10_000, train.shape[1])))

    def fastest(work) -> float:
        work()
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    predicted = fastest(lambda: prepared.model.predict(pixels, batch_size=32, verbose=0))
    return fastest(lambda: foreign.foreignness(train[:64], known)) / predicted


def _promises(runs: list[dict]) -> None:
    """Print the tables of temperature and sets, means over the seeds."""
    groups: dict[tuple, list[dict]] = {}
    for run in runs:
        groups.setdefault((run["folder"], run["backbone"], run["asked"]), []).append(run)
    rows = [("folder", "strategy", "accuracy", "temperature", "loss before", "after", "error before", "after", "refused")]
    for (name, _, _), those in groups.items():
        mean = {key: np.mean([run[key] for run in those]) for key, value in those[0].items() if isinstance(value, float)}
        chosen = ", ".join(sorted({run["strategy"] for run in those}))
        rows.append(
            (
                name,
                chosen,
                f"{mean['accuracy']:.1%}",
                f"{min(r['temperature'] for r in those):.2f} to {max(r['temperature'] for r in those):.2f}",
                f"{mean['loss before']:.3f}",
                f"{mean['loss after']:.3f}",
                f"{mean['calibration_error before']:.1%}",
                f"{mean['calibration_error after']:.1%}",
                f"{np.mean([run['refused'] or np.nan for run in those]):.1%}",
            )
        )
    say("\n".join(align(rows, "<" * len(rows[0]))))
    kinds = list(runs[0]["sets"])
    rows, inside, expected = [("folder", "known", *kinds)], dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for (name, _, _), those in groups.items():
        cells = []
        for kind in kinds:
            shares = [run["sets"][kind]["held"] / run["images"] for run in those]
            inside[kind] += sum(_is_inside(run["sets"][kind]["held"], run["images"]) for run in those)
            expected[kind] += sum(_is_expected(run["sets"][kind]["held"], run["images"], run["known"]) for run in those)
            size, worst = (np.mean([run["sets"][kind][key] for run in those]) for key in ("size", "worst"))
            cells.append(f"{' '.join(f'{100 * share:.1f}' for share in shares)} ({size:.2f}, worst {100 * worst:.0f})")
        rows.append((name, str(those[0]["known"]), *cells))
    say("\n".join(align(rows, "<" * len(rows[0]))))
    say(f"90 % inside the binomial interval of the test, of {len(runs)} runs: {inside}")
    say(f"inside what so many known pictures and so large a test give 95 times of 100: {expected}")


def _is_inside(held: int, images: int) -> bool:
    """Whether 90 % lies in the interval of a share of pictures."""
    low, high = wilson(held, images)
    return low <= COVERAGE <= high


def _is_expected(held: int, images: int, known: int) -> bool:
    """Whether so many are among the middle 95 % of what thresholds from so many known pictures give (Vovk 2012)."""
    from scipy.stats import betabinom

    place = int(np.ceil((known + 1) * COVERAGE))
    low, high = betabinom(images, place, known + 1 - place).interval(0.95)
    return low <= held <= high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/confidence"))
    parser.add_argument("--folders", nargs="+", default=list(strategies.FOLDERS))
    parser.add_argument("--backbones", nargs="+", default=["mobilenet_0.25"])
    parser.add_argument("--strategies", nargs="+", default=["small"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", type=float, default=0.0, help="share of the training part to hold out beside the test")
    parser.add_argument("--groups", help="which pictures belong together, as for `zoo finetune`")
    parser.add_argument("--foreign", action="store_true", help="the third table, and not the first two")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    runtime.start(0)
    experiment, runs = Experiment(Settings(given.output)), []
    work = strange if given.foreign else promised
    for name in given.folders:
        for backbone in given.backbones:
            for strategy in given.strategies:
                for seed in range(given.seeds):
                    title = f"{work.__name__} {name}, {backbone}, {strategy}, validation {given.validation:g}, seed {seed}"
                    title += f", groups {given.groups}" if given.groups else ""
                    run = experiment.once(title, lambda n=name, b=backbone, s=strategy, i=seed: work(n, b, s, i, given))
                    runs.append({"folder": name, "backbone": backbone, "asked": strategy, "seed": seed} | run)
    if not given.foreign:
        _promises(runs)
        return
    scores = [key for key in next(iter(runs[0]["foreign"].values())) if key != "refused"]
    rows = [("known", "foreign", *scores, "foreign refused", "known refused", "time")]
    for run in runs:
        for other, found in run["foreign"].items():
            numbers = (f"{found[score]:.3f}" for score in scores)
            last = f"{found['refused']:.1%}", f"{run['refused']:.1%}", f"{run['time']:.1%}"
            rows.append((run["folder"], other, *numbers, *last))
    means = {score: np.mean([found[score] for run in runs for found in run["foreign"].values()]) for score in scores}
    rows.append(("mean", "", *(f"{means[score]:.3f}" for score in scores), "", "", ""))
    say("\n".join(align(rows, "<" * len(rows[0]))))


if __name__ == "__main__":
    main()
