"""What a step of fine-tuning costs: of plain Keras, as `zoo finetune` trains, in mixed precision, and of PyTorch.

    python benchmarks/fine_tuning.py [--models mobilenet_v2,resnet50] [--batch 16] [--steps 3] [--rounds 3] [--profile]

All is trained, batch norm keeps its statistics (Keras' guide to fine-tuning), SGD, pixels in memory, random weights. The sides,
which take turns:

- `keras`: a network of the zoo, compiled and trained by plain Keras, with the allocator that `zoo` chooses;
- `zoo`: the same with its norms in the kernels (`recipes/compute/folding.py`);
- `large`: the same with Adam, a rate for each stage and the hold on what is pretrained, as `--strategy large` has them;
- `crops`: the same, from a store of pictures on the disk, cropped and mirrored, by the threads that `finetune` reads with;
- `mixed`: `zoo` with `--precision mixed`;
- `torch`: torchvision's network, eager, its norms in `eval`, all cores;
- `torch, channels last`: the same in that format of memory.

Each side has a process of its own, for PyTorch's threads spin where they wait for a core. Printed are core-seconds a step,
the median of the rounds, which others on the machine disturb less than they do the clock, and the clock's seconds. With
`--profile`: where the time of TensorFlow's operations goes, of `keras` and `zoo`.
"""

import argparse
import collections
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests")]
CLASSES = 5
SIDES = ("keras", "zoo", "large", "crops", "mixed", "torch", "torch, channels last")


def network(name: str):
    """Build a network whose norms keep their statistics."""
    import zoo
    from recipes.transfer import batch_norm

    model = zoo.get_model(name, num_classes=CLASSES, weights=None)
    batch_norm.apply(model, "inference", 1)
    return model


def batches(read: Callable, labels: np.ndarray, size: int, threads: int):
    """Make the batches that `finetune` trains on."""
    from recipes.data.batches import Batches

    return Batches(read, labels, size, 0, threads=threads)


def keras_side(side: str, name: str, given: argparse.Namespace, place: Path) -> Callable[[], None]:
    """Make a function that trains so many steps by `fit`."""
    from functools import partial

    import keras

    import zoo
    from callbacks.optimizers import LayerwiseRates, decayed_rates
    from callbacks.penalties import l2_sp
    from recipes.compute.folding import foldable, folded
    from recipes.compute.precision import computed
    from recipes.data.augment import random_crop, random_mirror
    from recipes.data.store import Store

    model = network(name)
    size, resize, count = model.input_shape[1], model.input_shape[1] * 8 // 7, given.batch * given.steps
    random = np.random.default_rng(0)
    pixels, labels = random.integers(0, 256, (count, size, size, 3), "uint8"), random.integers(0, CLASSES, count)
    read, threads = (lambda samples, _: pixels[samples]), 0
    if side == "crops":
        store = Store(place / name, (resize, resize, 3), "uint8")
        store.add([str(i) for i in range(count)], random.integers(0, 256, (count, resize, resize, 3), "uint8"))
        rows, crop, threads = store.rows([str(i) for i in range(count)]), partial(random_crop, size=size), 2
        read = lambda samples, generator: random_mirror(crop(rows[samples], generator), generator)  # noqa: E731
    optimizer = keras.optimizers.SGD(1e-3)
    if side in ("large", "crops"):
        optimizer = LayerwiseRates(keras.optimizers.Adam(1e-4), decayed_rates(model, zoo.stages(model), 0.7))
        l2_sp(model, 1e-4, 1e-4, "predictions")
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    pairs = [] if side == "keras" else foldable(model, in_training=True)
    source = batches(read, labels, given.batch, threads)

    def train() -> None:
        with computed(model, "mixed" if side == "mixed" else "float32"), folded(pairs):
            model.fit(source, epochs=1, verbose=0, shuffle=False)

    return train


def torch_side(side: str, name: str, given: argparse.Namespace) -> Callable[[], None]:
    """Make the same of PyTorch. Raises ImportError where that is not installed."""
    import torch
    from parity import torchvision

    package = getattr(torchvision, "__wrapped__", torchvision)()
    model = getattr(package.models, name)(num_classes=CLASSES, **({"init_weights": False} if name == "inception_v3" else {}))
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
            layer.weight.requires_grad = layer.bias.requires_grad = False
    size = 299 if name == "inception_v3" else 224
    pixels, labels = torch.rand(given.batch, 3, size, size), torch.randint(0, CLASSES, (given.batch,))
    if side == "torch, channels last":
        model, pixels = (it.to(memory_format=torch.channels_last) for it in (model, pixels))
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], 1e-3)

    def train() -> None:
        for _ in range(given.steps):
            optimizer.zero_grad()
            answer = model(pixels)
            loss = torch.nn.functional.cross_entropy(getattr(answer, "logits", answer), labels)
            loss.backward()
            optimizer.step()

    return train


def profiled(train: Callable[[], None], steps: int) -> str:
    """Sum the milliseconds a step that each kind of TensorFlow's operations is busy, on all threads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space, total = xplane_pb2.XSpace(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            train()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if kind[1] and " " not in kind[2]:
                total[kind[2]] += event.duration_ps / 1e9 / steps
    return ", ".join(f"{kind} {taken:.0f}" for kind, taken in total.most_common(14))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="mobilenet_v2,resnet50")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for name in given.models.split(","):
            measure(name, given, Path(place))


def serve(side: str, name: str, given: argparse.Namespace, place: Path, orders: Connection) -> None:
    """Train whenever told to, in a process of its own: answers with core-seconds and seconds a step, or with a profile."""
    if side.startswith("torch"):
        try:
            train = torch_side(side, name, given)
        except ImportError:
            return
    else:
        from recipes.compute import runtime

        runtime.start(0)
        train = keras_side(side, name, given, place)
    train()  # which compiles
    orders.send("ready")
    while order := orders.recv():
        start = time.process_time(), time.monotonic()
        if order == "profile":
            orders.send(profiled(train, given.steps))
            continue
        train()
        orders.send(((time.process_time() - start[0]) / given.steps, (time.monotonic() - start[1]) / given.steps))


def measure(name: str, given: argparse.Namespace, place: Path) -> None:
    """Measure one network on all sides in turns, and print a line for each."""
    sides: dict[str, Connection] = {}
    for side in given.sides:
        own, others = multiprocessing.Pipe()
        work = (side, name, given, place, others)
        multiprocessing.get_context("spawn").Process(target=serve, args=work, daemon=True).start()
        others.close()
        with contextlib.suppress(EOFError):  # it is not installed
            own.recv()
            sides[side] = own
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for _ in range(given.rounds):
        for side, orders in sides.items():
            found[side].append(ask(orders, "train"))
            print(name, side, [round(value, 2) for value in found[side][-1]], flush=True)
    for side, rounds in found.items():
        cores, clock = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name}, {side}: {cores:.2f} core-seconds a step, {clock:.2f} s", flush=True)
        if given.profile and side in ("keras", "zoo"):
            print("  ", ask(sides[side], "profile"), flush=True)
    for orders in sides.values():
        orders.send(None)


def ask(orders: Connection, what: str) -> Any:
    """Send an order, and wait for the answer."""
    orders.send(what)
    return orders.recv()


if __name__ == "__main__":
    main()
