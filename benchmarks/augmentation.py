"""What augmentation costs: images per second of each step alone, and of MobileNetV2's training with it.

    python benchmarks/augmentation.py                      # both tables of docs/augmentation.md
    python benchmarks/augmentation.py --rounds 0           # the first alone

Alone: batches of 32 pictures of 256 × 256, cropped to 224 × 224, in as many threads as there are cores, best of `--rounds`
(three at least). Training: `fit` over `--steps` batches as `zoo finetune` runs it, all layers trained from a random start,
all the threads' work inside the clock; the settings take turns, `--rounds` times. The ratio is that of a setting to `none`
within a round: median, lowest and highest; by processor time, too, which other programs on the machine disturb less. Keras'
RandAugment and RandomCrop are not used by the recipe and stand beside.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import zoo
from recipes.compute import runtime
from recipes.data import augment
from recipes.data.batches import Batches
from recipes.data.images import Framing
from zoo.progress import Progress

BATCH, SIZE, RESIZE, CLASSES = 32, 224, 256, 10
SETTINGS = ("none", "crops", "alexnet", "modern")


def pictures(count: int) -> SimpleNamespace:
    """Coloured noise in place of a dataset: no step's speed depends on what it sees."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, RESIZE, RESIZE, 3), np.uint8)
    return SimpleNamespace(pixels=pixels, framing=Framing(SIZE, RESIZE, 3))


def of_keras(kind, *arguments):
    """A layer of Keras as a step."""
    return lambda pixels, generator: keras.ops.convert_to_numpy(
        kind(*arguments, seed=int(generator.integers(2**31)))(pixels, training=True)
    )


def of_mixing(mix):
    labels = np.eye(CLASSES, dtype="float32")[np.arange(BATCH) % CLASSES]
    return lambda pixels, generator: mix(pixels, labels, generator)


def steps() -> dict:
    """Name: (height and width that it is given, step)."""
    large, small = pictures(BATCH).pixels, SIZE
    return {
        "random crop": (RESIZE, partial(augment.random_crop, size=SIZE)),
        "mirror": (small, augment.random_mirror),
        "colour shift": (small, augment.color_shift(large, np.arange(BATCH))),
        "random-resized crop": (RESIZE, partial(augment.random_resized_crop, size=SIZE)),
        "TrivialAugment": (small, augment.trivial_augment),
        "random erasing (Keras)": (small, augment.random_erasing),
        "mixup (Keras)": (small, of_mixing(augment.mixup)),
        "cutmix": (small, of_mixing(augment.cutmix)),
        "not used: Keras' RandomCrop": (RESIZE, of_keras(keras.layers.RandomCrop, SIZE, SIZE)),
        "not used: Keras' RandAugment": (small, of_keras(keras.layers.RandAugment)),
    }


def alone(step, pixels, rounds: int, batches: int = 6) -> float:
    """Images per second in as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def once() -> float:
            start = time.perf_counter()
            list(pool.map(lambda i: step(pixels, np.random.default_rng(i)), range(batches)))
            return batches * len(pixels) / (time.perf_counter() - start)

        return max(once() for _ in range(max(3, rounds)))


def sequence(name: str, count: int) -> Batches:
    data, images = pictures(count * BATCH), np.arange(count * BATCH)
    labels = np.eye(CLASSES, dtype="float32")[images % CLASSES]
    if name == "RandAugment":
        crops, _ = augment.pipeline("crops", data, images, mirror=True)
        augmented = of_keras(keras.layers.RandAugment)
        read, mix = lambda samples, generator: augmented(crops(samples, generator), generator), None
    else:
        read, mix = augment.pipeline(name, data, images, mirror=True)
    return Batches(read, labels, BATCH, 0, mix, threads=max(2, os.cpu_count()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="of training, a setting in a round")
    settings = parser.parse_args()
    runtime.start(0)

    print("step | images/s")
    for name, (side, step) in steps().items():
        pixels = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
        print(f"{name} | {alone(step, pixels, settings.rounds):,.0f}", flush=True)
    if not settings.rounds:
        return
    model = zoo.mobilenet_v2(num_classes=CLASSES)
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    names = (*SETTINGS, "RandAugment")
    measured: dict[str, list[np.ndarray]] = {name: [] for name in names}  # images per second, and per processor's second
    for name in names:  # uint8 and float32 pictures are two graphs: each is traced before the clock runs
        model.fit(sequence(name, 1), verbose=0)
    with Progress("training", settings.rounds * len(names), "measurements") as progress:
        for name in names * settings.rounds:
            batches = sequence(name, settings.steps)
            start = np.array([time.perf_counter(), time.process_time()])
            model.fit(batches, verbose=0, shuffle=False)
            seconds = np.array([time.perf_counter(), time.process_time()]) - start
            measured[name].append(settings.steps * BATCH / seconds)
            progress.advance(note=f"{name} {measured[name][-1][0]:.1f} images/s")
    print("\ntraining with | images/s | ratio to none (low to high) | by processor time")
    for name in names:
        ratios = np.array(measured[name]) / np.array(measured["none"])
        cells = [f"{np.median(r):.2f} ({r.min():.2f} to {r.max():.2f})" for r in ratios.T]
        print(f"{name} | {max(images for images, _ in measured[name]):.1f} | {' | '.join(cells)}")


if __name__ == "__main__":
    main()
