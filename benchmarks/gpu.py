"""The zoo on a GPU, in bfloat16, beside timm and torchvision with `torch.compile`; and the heads, alone and a hundred.

    python benchmarks/gpu.py                                   # all of it, on whatever machine this is
    python benchmarks/gpu.py --networks resnet50 --batch 8 --size 96 --repeats 2 --heads 4     # a trial on a CPU
    python benchmarks/gpu.py --sides jax compiled

Forward passes and training steps (SGD) on arrays that lie on the device, each side in a process of its own, in turns: `jax` and
`torch` are the zoo on Keras' backends, `compiled` the same network of torchvision or timm. Printed are the pictures per second
of each, medians of the rounds, and the ratio to compiled PyTorch. A side that fails or is not installed is said, and the
others go on. The last lines are the head solver's seconds for all folds and penalties, and those of many trained heads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# The zoo's name, and whose PyTorch network it is by which name.
NETWORKS = {
    "resnet50": ("torchvision", "resnet50"),
    "vgg16": ("torchvision", "vgg16"),
    "inception_v3": ("torchvision", "inception_v3"),
    "mobilenet_v2": ("torchvision", "mobilenet_v2"),
    "vit_b_16": ("timm", "vit_base_patch16_224"),
    "dinov2_s_14": ("timm", "vit_small_patch14_dinov2"),
}
SIDES = ("jax", "torch", "compiled")
CLASSES = 100
ROWS, FEATURES, HEAD_CLASSES = 4_552, 1_280, 6
EPOCHS = 10
ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # which imports torchvision without its compiled operators


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--heads", type=int, default=100, help="trained heads; 0: no heads at all")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # what a process of its own measures: side, network
    settings = parser.parse_args()
    if min(settings.batch, settings.size, settings.repeats, settings.rounds) < 1 or settings.heads < 0:
        parser.error("--batch, --size, --repeats and --rounds must be 1 or more, --heads 0 or more")
    if settings.measure:
        print(json.dumps(measured(*settings.measure, settings)))
        return
    for name in settings.networks:
        show(name, settings)
    for backend in ("jax", "torch"):
        if settings.heads and backend in settings.sides:
            found = asked(backend, "heads", settings)
            print(
                found
                if isinstance(found, str)
                else f"heads, {backend}: " + ", ".join(f"{k} {v:.2f} s" for k, v in found.items())
            )


def show(name: str, settings: argparse.Namespace) -> None:
    """Measure a network on all sides in turns, and print a line for each."""
    rounds: dict[str, list[dict]] = {side: [] for side in settings.sides}
    for _ in range(settings.rounds):
        for side in list(rounds):
            found = asked(side, name, settings)
            if isinstance(found, str):
                print(f"{name}, {side}: {found}", flush=True)
                del rounds[side]
            else:
                rounds[side].append(found)
    medians = {side: {k: statistics.median(one[k] for one in all_of) for k in all_of[0]} for side, all_of in rounds.items()}
    for side, rates in medians.items():
        words = [f"{work} {rate:,.0f} pictures/s{ratio(rate, work, medians, side)}" for work, rate in rates.items()]
        print(f"{name}, {side}: {', '.join(words)}", flush=True)


def ratio(rate: float, work: str, medians: dict[str, dict], side: str) -> str:
    """Say how a rate is beside that of compiled PyTorch."""
    return f" ({rate / medians['compiled'][work]:.2f})" if "compiled" in medians and side != "compiled" else ""


def asked(side: str, what: str, settings: argparse.Namespace) -> dict | str:
    """Measure in a process of its own; a sentence where that fails."""
    numbers = [f"--{name}={getattr(settings, name)}" for name in ("batch", "size", "repeats", "heads")]
    environment = os.environ | {"KERAS_BACKEND": "jax" if side == "jax" else "torch", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--measure", side, what, *numbers]
    child = subprocess.run(command, env=environment, capture_output=True, text=True)
    if child.returncode:
        return f"failed ({(child.stderr.strip().splitlines() or ['no word'])[-1][:200]})"
    return json.loads(child.stdout.strip().splitlines()[-1])


def measured(side: str, what: str, settings: argparse.Namespace) -> dict[str, float]:
    """Measure what a child is asked for: pictures per second of forward and training, or seconds of heads."""
    if what == "heads":
        return heads(settings.heads)
    size = settings.size - settings.size % 14 if what.startswith("dinov2") else settings.size
    make = compiled_steps if side == "compiled" else zoo_steps
    return {work: rate(*step, settings) for work, step in make(what, settings.batch, size).items()}


def rate(step: Callable[[], object], wait: Callable[[object], None], settings: argparse.Namespace) -> float:
    """Count the pictures per second of a step that has run twice, and so is compiled."""
    for _ in range(2):
        wait(step())
    began = time.perf_counter()
    for _ in range(settings.repeats):
        done = step()
    wait(done)
    return settings.batch * settings.repeats / (time.perf_counter() - began)


def zoo_steps(name: str, batch: int, size: int) -> dict[str, tuple]:
    """Make the zoo's steps on Keras' backend."""
    import keras
    import numpy as np

    import zoo
    from recipes.compute.compiling import jit

    keras.config.set_dtype_policy("mixed_bfloat16")
    model = zoo.get_model(name, input_shape=(size, size, 3), num_classes=CLASSES)
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=jit())
    pixels = keras.ops.convert_to_tensor(np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype("float32"))
    labels = keras.ops.convert_to_tensor(np.arange(batch) % CLASSES)
    return {
        "forward": (lambda: model.predict_on_batch(pixels), lambda done: None),  # gives NumPy: it has waited
        "training": (lambda: model.train_on_batch(pixels, labels), lambda done: None),
    }


def compiled_steps(name: str, batch: int, size: int) -> dict[str, tuple]:
    """Make the steps of the same network of torchvision or timm, compiled, in bfloat16 by autocast."""
    import importlib

    import torch
    from parity import torchvision

    torchvision()
    library, theirs = NETWORKS[name]
    module = importlib.import_module("torchvision.models" if library == "torchvision" else library)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
    if library == "timm":
        model = module.create_model(theirs, num_classes=CLASSES, img_size=size)
    else:
        model = getattr(module, theirs)(num_classes=CLASSES, **options)
    model = model.to(device, memory_format=torch.channels_last)
    pixels = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    labels, optimizer = torch.arange(batch, device=device) % CLASSES, torch.optim.SGD(model.parameters(), 1e-3)
    network = torch.compile(model)

    def forward() -> object:
        model.eval()
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
            return network(pixels)

    def train() -> object:
        model.train()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(network(pixels), labels)
        loss.backward()
        optimizer.step()
        return loss

    def wait(done: object) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    return {"forward": (forward, wait), "training": (train, wait)}


def heads(count: int) -> dict[str, float]:
    """Time the head solver, all folds and penalties, and so many heads that are trained by steps."""
    import numpy as np

    from recipes.settings.tuned import HeadSettings
    from recipes.transfer import logistic
    from recipes.transfer.head_trainer import HeadTrainer

    generator = np.random.default_rng(0)
    labels = np.arange(ROWS) % HEAD_CLASSES
    rows = generator.standard_normal((ROWS, FEATURES)).astype("float32")
    rows[:, :HEAD_CLASSES] += np.eye(HEAD_CLASSES)[labels]
    began = time.perf_counter()
    logistic.fit(rows[None], [False], labels, seed=0)
    solved = time.perf_counter() - began
    order = generator.permutation(ROWS)
    trainer = HeadTrainer({"pre_logits": rows[None]}, labels, order[ROWS // 5 :], order[: ROWS // 5], HEAD_CLASSES)
    trainer.train(HeadSettings(epochs=1), 0)  # compiles
    began = time.perf_counter()
    for seed in range(count):
        trainer.train(HeadSettings(epochs=EPOCHS), seed)
    return {"solver": solved, f"{count} heads of {EPOCHS} epochs": time.perf_counter() - began}


if __name__ == "__main__":
    main()
