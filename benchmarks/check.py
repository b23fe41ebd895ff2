"""Has anything become slower? A short form of docs/performance.md's tables, beside what was measured before: some minutes.

    python benchmarks/check.py                      # says what moved beyond noise since benchmarks/check.json was kept
    python benchmarks/check.py --only head --rounds 9
    python benchmarks/check.py --keep               # measures, and keeps that from now on

Each number is a ratio of processor seconds (or of memory) to an alternative that is measured in the same round: so that other
machines, and what others do on this one, change both. A number has moved if its median left the range that was kept, the kept
median lies outside the range of these rounds, and the two differ by more than a tenth. Exit status: 1 if something is dearer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

KEPT = Path(__file__).with_suffix(".json")
ROOT = Path(__file__).parents[1]
LEAST_CHANGE = 0.1
SIZE, CLASSES, EACH = 128, 3, 60


def child(*command: str, **environment: str) -> tuple[float, float]:
    """Processor seconds of a process, and its peak memory in MB."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: {said[-1_000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def processor(work: Callable[[], object]) -> float:
    """Processor seconds of work in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def commands() -> dict[str, float]:
    """Starting: `zoo models` beside Python with NumPy, `from zoo import vgg16` beside `import keras`."""
    numpy, keras = child("-c", "import numpy")[0], child("-c", "import keras")[0]
    return {
        "zoo models / import numpy": child("-m", "recipes", "models")[0] / numpy,
        "from zoo import vgg16 / import keras": child("-c", "from zoo import vgg16")[0] / keras,
    }


def engine() -> dict[str, float]:
    """The frozen pass of pixels in memory beside Keras' `predict_on_batch`."""
    import zoo
    from recipes.compute import engines
    from recipes.compute.pipeline import in_order

    body = zoo.mobilenet(alpha=0.25, input_shape=(SIZE, SIZE, 3), num_classes=0, weights=None)
    pixels = np.random.default_rng(0).integers(0, 256, (256, SIZE, SIZE, 3), "uint8")
    built = engines.build(body, 32, engines.KERAS)
    batches = [pixels[start : start + built.batch_size] for start in range(0, len(pixels), built.batch_size)]
    plain = [pixels[start : start + 32] for start in range(0, len(pixels), 32)]

    def frozen() -> None:
        list(in_order(built.run, batches, engines.CALLERS))

    def keras() -> None:
        for batch in plain:
            body.predict_on_batch(batch)

    frozen(), keras()  # compiled
    return {"frozen pass / predict_on_batch": processor(frozen) / processor(keras)}


def training() -> dict[str, float]:
    """A training step of `large`, its rates by the stage and batch norm in inference, beside Keras' with one rate."""
    import keras

    import zoo
    from callbacks.optimizers import LayerwiseRates, decayed_rates
    from recipes.compute.folding import foldable, folded
    from recipes.evaluation.tasks import MULTI_CLASS
    from recipes.transfer import batch_norm
    from recipes.transfer.steps import compile_whole

    def model() -> keras.Model:
        return zoo.mobilenet(alpha=0.25, input_shape=(SIZE, SIZE, 3), num_classes=CLASSES, weights=None)

    labels = np.arange(32) % CLASSES
    pixels = np.random.default_rng(0).uniform(0, 255, (32, SIZE, SIZE, 3)).astype("float32")
    ours, plain = model(), model()
    batch_norm.apply(ours, "inference", 5)
    inner = keras.optimizers.AdamW(1e-4)
    compile_whole(ours, LayerwiseRates(inner, decayed_rates(ours, zoo.stages(ours), 0.7)), labels, MULTI_CLASS)
    plain.compile(keras.optimizers.AdamW(1e-4), "sparse_categorical_crossentropy")

    def steps(network: keras.Model) -> None:
        for _ in range(10):
            network.train_on_batch(pixels, labels)

    with folded(foldable(ours, in_training=True)):  # as a phase has it while its step is traced
        steps(ours)
    steps(plain)  # compiled, like the other
    return {"training step of large / Keras'": processor(lambda: steps(ours)) / processor(lambda: steps(plain))}


def head() -> dict[str, float]:
    """The solved head, with its folds and penalties, beside one penalty of scikit-learn's on all rows."""
    from sklearn.linear_model import LogisticRegression

    from recipes.transfer import logistic

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, 2_000)
    rows = (generator.normal(size=(6, 512))[labels] * 0.2 + generator.normal(size=(2_000, 512))).astype("float32")
    ours = processor(lambda: logistic.fit(rows[None], [False], labels, 0))
    theirs = processor(lambda: LogisticRegression(C=1e-2, max_iter=1_000).fit(rows, labels))
    return {"head with folds and penalties / scikit-learn's of one": ours / theirs}


def runs() -> dict[str, float]:
    """A whole run and its peak of memory beside importing Keras."""
    keras_seconds, keras_memory = child("-c", "import keras")
    with tempfile.TemporaryDirectory() as scratch:
        pictures(Path(scratch, "pictures"))
        command = ["-m", "recipes", "finetune", f"{scratch}/pictures", "--model", "mobilenet", "--alpha", "0.25", "--weights"]
        command += ["none", "--image-size", str(SIZE), "--strategy", "scratch", "--epochs", "2"]
        seconds, memory = child(*command, "--output", f"{scratch}/run", ZOO_CACHE=f"{scratch}/cache")
    return {"run of two epochs / import keras": seconds / keras_seconds, "its memory / import keras": memory / keras_memory}


def pictures(folder: Path) -> None:
    """Write noise whose colour tells the class."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
        for number in range(EACH):
            pixels = generator.integers(0, 200, (SIZE, SIZE, 3)).astype("uint8")
            pixels[..., label] += 40
            Image.fromarray(pixels).save(folder / str(label) / f"{number}.jpg")


PROBES = {"commands": commands, "engine": engine, "training": training, "head": head, "run": runs}


def one(name: str) -> dict[str, float]:
    """What a probe finds in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--probe", name], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-1_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def moved(kept: list[float], now: list[float]) -> str:
    """Say whether these rounds differ from those that were kept by more than either's rounds differ."""
    before, after = statistics.median(kept), statistics.median(now)
    apart = not min(kept) <= after <= max(kept) and not min(now) <= before <= max(now)
    if not apart or abs(after / before - 1) <= LEAST_CHANGE:
        return "as before"
    return "dearer" if after > before else "cheaper"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PROBES, default=list(PROBES))
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--probe", choices=PROBES, help=argparse.SUPPRESS)  # the one that a child measures
    settings = parser.parse_args()
    if settings.rounds < 1:  # of none it would be said that nothing is dearer
        parser.error("--rounds must be 1 or more")
    if settings.probe:
        if settings.probe in ("engine", "training"):
            from recipes.compute import runtime

            runtime.start(0)
        print(json.dumps(PROBES[settings.probe]()))
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found: dict[str, list[float]] = {}
    for number in range(settings.rounds):
        for probe in settings.only:
            for name, value in one(probe).items():
                found.setdefault(name, []).append(value)
        print(f"{number + 1} of {settings.rounds} rounds", file=sys.stderr, flush=True)
    verdicts = []
    for name, values in found.items():
        before = f"{statistics.median(kept[name]):8.2f}" if name in kept else "       -"
        verdicts.append(moved(kept[name], values) if name in kept else "new")
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{name:56s} {statistics.median(values):8.2f} ({spread})  before {before}  {verdicts[-1]}")
    if settings.keep:
        KEPT.write_text(json.dumps(kept | found, indent=1) + "\n")
    return int("dearer" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
