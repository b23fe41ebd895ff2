"""The three backends side by side: a whole small run, and a training step compiled and not.

    python benchmarks/backends.py DATA                       # a run, cold and then with what is in the cache
    python benchmarks/backends.py DATA --strategy small --pictures 600
    python benchmarks/backends.py DATA --steps               # seconds to the first training step, and a step, by jit_compile

DATA is a folder of photographs in folders of their classes. Each measurement has a process of its own, and counts its processor
time with that of its children: others may use the machine. Backends that are not installed are left out, and said.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processors

BACKENDS = ("tensorflow", "jax", "torch")
PICTURE_KINDS = (".jpg", ".jpeg", ".png")
BATCH_SIZE = 32
STEPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=36)
    parser.add_argument("--strategy", default="large")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="of MobileNet 0.25 at 128 pixels")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # jit_compile of the one that a child measures
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(step_seconds({"no": False, "yes": True, "auto": "auto"}[options.one])))
        return
    for backend in BACKENDS:
        if not importlib.util.find_spec(backend):
            print(f"{backend}: not installed")
        elif options.steps:
            show_steps(backend)
        else:
            show_runs(backend, options)


def show_steps(backend: str) -> None:
    for jit in ("no", "yes"):
        command = [sys.executable, __file__, ".", "--one", jit]
        child = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
        if child.returncode:
            print(f"{backend}, jit_compile {jit}: {child.stderr.strip().splitlines()[-1]}")
            continue
        first, each, cpu = json.loads(child.stdout.strip().splitlines()[-1])
        print(
            f"{backend}, jit_compile {jit}: first step {first:.1f} s, then {each:.3f} s a step ({cpu:.3f} of processor)",
            flush=True,
        )


def step_seconds(jit: bool | str) -> tuple[float, float, float]:
    """Train MobileNet 0.25 at 128 pixels: processor seconds to the first step; wall and processor seconds of a later one."""
    import keras
    import numpy as np

    import zoo

    model = zoo.mobilenet(alpha=0.25, input_shape=(128, 128, 3), num_classes=2)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)
    pixels = np.random.default_rng(0).uniform(0, 255, (BATCH_SIZE, 128, 128, 3)).astype("float32")
    labels = np.arange(BATCH_SIZE) % 2
    keras.backend.clear_session()
    began = time.process_time()
    model.train_on_batch(pixels, labels)
    first, taken = time.process_time() - began, []
    for _ in range(STEPS):
        start = time.monotonic(), time.process_time()
        model.train_on_batch(pixels, labels)
        taken.append((time.monotonic() - start[0], time.process_time() - start[1]))
    return first, *(float(np.median(one)) for one in zip(*taken, strict=True))


def show_runs(backend: str, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = chosen(options.data, options.pictures, Path(scratch) / "data")
        weights = ["--weights", str(options.weights)] if options.weights else []
        for state in ("cold", "again"):
            command = [sys.executable, "-m", "recipes", "finetune", str(data), "--output", f"{scratch}/{state}", *weights]
            command += ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "128", "--strategy", options.strategy]
            command += ["--epochs", str(options.epochs)] if options.strategy != "small" else []
            before = processors.seconds()
            environment = os.environ | {"KERAS_BACKEND": backend, "ZOO_CACHE": f"{scratch}/cache"}
            child = subprocess.run(command, env=environment, capture_output=True, text=True)
            if child.returncode:
                sys.exit(f"{backend}: {child.stderr.strip() or child.stdout[-500:]}")
            cpu = processors.seconds() - before
            seconds = json.loads(Path(scratch, state, "result.json").read_text())["seconds"]
            steps = ", ".join(f"{name} {taken:.1f}" for name, taken in seconds.items() if taken >= 0.1)
            print(f"{backend}, {state}: {cpu:.1f} s of processor; on the clock {steps}", flush=True)


def chosen(data: Path, count: int, target: Path) -> Path:
    """Link the first pictures of each class to a folder, as many of one class as of any other."""
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in PICTURE_KINDS)
    classes: dict[str, list[Path]] = {}
    for path in found:
        classes.setdefault(path.parent.name, []).append(path)
    for name, paths in classes.items():
        (target / name).mkdir(parents=True)
        for path in paths[: count // len(classes)]:
            shutil.copy(path, target / name / f"{path.parent.parent.name}-{path.name}")
    return target


if __name__ == "__main__":
    main()
