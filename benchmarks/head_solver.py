"""How dear is the solved head? Processor seconds and memory, beside another checkout's solver and scikit-learn's.

    python benchmarks/head_solver.py ../shared --output runs/solver --against ../older-checkout
    python benchmarks/head_solver.py ../shared --output runs/solver --large

The features are EfficientNet Lite0's of CIFAR-10 pictures, 190 of each of six classes in four views: 4,560 rows of 1,280. A
head is five folds and 13 penalties, with mirrored views and without, and then a fit on everything. Each solver runs in
processes of its own, in turn, without the cache of solved heads. scikit-learn solves one penalty on all rows: what it reaches
is compared, too.
`--large` measures the memory beyond the features themselves for 100,000 rows of 1,280 on the disk and 1,000 classes; there two
penalties are solved, with 12 steps at most each. The tables are in docs/performance.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np

CLASSES = ("airplane", "automobile", "bird", "dog", "frog", "ship")
PICTURES = 190
# What is measured in a process of its own; older checkouts know this much of `fit`, too.
FIT = """
import json, resource, sys, time
import numpy as np
from recipes.transfer import logistic
given, ticks = np.load(sys.argv[1]), []
cpu, wall = time.process_time(), time.monotonic()
head = logistic.fit(given["views"], given["mirrored"], given["labels"], 0, tick=lambda: ticks.append(0))
print(json.dumps({
    "processor seconds": time.process_time() - cpu, "seconds": time.monotonic() - wall, "penalty": head.penalty,
    "mirrored": bool(head.mirrored), "penalties tried": len(head.path), "loss": min(row["loss"] for row in head.path),
    "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def features(shared: Path, output: Path) -> Path:
    """Compute the features once, by the product's own pass."""
    file = output / "features.npz"
    if file.exists():
        return file
    from recipes.compute import runtime

    runtime.start(0)
    from recipes.data import views
    from recipes.settings.finetune import Recipe
    from recipes.transfer import features as passes
    from recipes.transfer.run import prepare

    recipe = Recipe(data=_pictures(shared, output / "pictures"), validation=0.0, test=0.0, strategy="small")
    prepared = prepare(recipe)
    shown, train = views.visible(prepared.data.framing, mirrored=True), prepared.data.part("train")
    samples = [(i, view) for view in shown for i in train]
    rows = passes.extract(prepared.model, [prepared.head_cut], prepared.data, samples, 32)[prepared.head_cut][:]
    found = {"views": rows.reshape(len(shown), len(train), -1), "labels": prepared.data.labels[train]}
    np.savez(file, **found, mirrored=[view.mirrored for view in shown])
    return file


def _pictures(shared: Path, folder: Path) -> Path:
    """Unpack the first pictures of each class."""
    count = dict.fromkeys(CLASSES, 0)
    with tarfile.open(shared / "data/cifar10.tar.xz") as archive:
        for member in archive:
            label, name = member.name.split("/")[-2:] if member.isfile() else ("", "")
            if count.get(label, PICTURES) < PICTURES:
                count[label] += 1
                (folder / label).mkdir(parents=True, exist_ok=True)
                (folder / label / name).write_bytes(archive.extractfile(member).read())
    return folder


def fitted(checkout: Path, file: Path, threads: int | None) -> dict:
    """Solve a head in a process of its own, by the solver of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    environment |= {"OPENBLAS_NUM_THREADS": str(threads)} if threads else {}
    command = [sys.executable, "-c", FIT, file]
    # Python looks in the folder that it is started in first.
    told = subprocess.run(command, env=environment, cwd=checkout, check=True, capture_output=True, text=True).stdout
    return json.loads(told)


def beside_scikit_learn(file: Path, penalty: float) -> dict:
    """Solve one penalty on all rows by both, in turn, to about the same loss."""
    from sklearn.linear_model import LogisticRegression

    from recipes.compute import threads
    from recipes.evaluation.tasks import MULTI_CLASS
    from recipes.transfer import logistic

    given = np.load(file)
    views = (given["views"] - given["views"][0].mean(axis=0)) / given["views"][0].std()
    rows, labels = views.reshape(-1, views.shape[-1]).astype("float64"), np.tile(given["labels"], len(views))

    def loss(kernel: np.ndarray, bias: np.ndarray) -> float:
        guess = MULTI_CLASS.probabilities(rows @ kernel + bias)
        return float(-np.log(guess[np.arange(len(rows)), labels]).mean() + penalty / 2 * (kernel**2).sum())

    everything = np.ones((1, len(given["labels"])), bool)
    seconds: dict[str, list[float]] = {"ours": [], "scikit-learn": []}
    for _ in range(3):
        began = time.process_time()
        kernel, bias = logistic.solve(MULTI_CLASS, views, given["labels"], everything, np.array([penalty]), lambda: None)
        seconds["ours"].append(time.process_time() - began)
        with threads.own():
            began = time.process_time()
            reference = LogisticRegression(C=1 / (penalty * len(rows)), tol=1e-5, max_iter=10_000)
            reference.fit(rows.astype("float32"), labels)
            seconds["scikit-learn"].append(time.process_time() - began)
    losses = loss(kernel[0], bias[0]), loss(reference.coef_.T.astype("float64"), reference.intercept_)
    return {name: statistics.median(of) for name, of in seconds.items()} | {"losses": losses}


def large(output: Path) -> dict:
    """Measure what the solver takes beyond 100,000 rows on the disk, of 1,000 classes."""
    from recipes.data.store import Store
    from recipes.transfer import logistic, minimum
    from recipes.transfer.view_features import ViewFeatures

    images, classes, width = 100_000, 1_000, 1_280
    generator, store = np.random.default_rng(0), Store(output / "large", (width,), "float32")
    centers, labels = generator.normal(size=(classes, width)) / 2, np.arange(images) % classes
    keys = [str(i) for i in range(images)]
    for start in range(0, images, 10_000):
        part = slice(start, start + 10_000)
        if keys[start] not in store:
            store.add(keys[part], centers[labels[part]] + generator.normal(size=(10_000, width)))
    minimum.MAX_STEPS, logistic.PENALTIES = 12, np.array([1.0, 0.1])
    done, peak = threading.Event(), [_memory()]

    def watch() -> None:
        while not done.wait(0.01):
            peak.append(max(peak.pop(), _memory()))

    before, watcher = _memory(), threading.Thread(target=watch)
    watcher.start()
    began, wall = time.process_time(), time.monotonic()
    logistic.fit(ViewFeatures(store.rows(keys), 1), [False], labels, 0)
    seconds = {"processor seconds": time.process_time() - began, "seconds": time.monotonic() - wall}
    done.set()
    watcher.join()
    return {"peak beyond the features, MB": peak[0] - before} | seconds


def _memory() -> float:
    """Read the megabytes that this process holds by itself, without what it maps of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/solver"))
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    settings = parser.parse_args()
    settings.output.mkdir(parents=True, exist_ok=True)
    if settings.large:
        print(json.dumps(large(settings.output), indent=2))
        return
    file = features(settings.shared, settings.output)
    solvers = {"this": (Path(__file__).parents[1], None)}
    if settings.against:
        solvers |= {"other": (settings.against, None), "other, BLAS on one thread": (settings.against, 1)}
    rounds: dict[str, list[dict]] = {name: [] for name in solvers}
    for _ in range(settings.rounds):
        for name, (checkout, threads) in solvers.items():
            rounds[name].append(fitted(checkout.resolve(), file.resolve(), threads))
            print(name, json.dumps(rounds[name][-1]), flush=True)
    for name, found in rounds.items():
        pairs = zip(found, rounds["this"], strict=True)
        ratios = [one["processor seconds"] / this["processor seconds"] for one, this in pairs]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name}: {middle:.1f} times the processor seconds of this, from {low:.1f} to {high:.1f}")
    print("one penalty on all rows, processor seconds", json.dumps(beside_scikit_learn(file, 0.1)))


if __name__ == "__main__":
    main()
