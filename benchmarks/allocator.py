"""Seconds that `recipes.compute.runtime.keep_memory` saves of a forward pass and a training step of MobileNetV2, batches of 32.

    python benchmarks/allocator.py

Prints seconds with glibc's own settings and with ours, in processes that take turns, and their ratio.
"""

import subprocess
import sys
import time

import numpy as np


def measure(keep: bool) -> None:
    from recipes.compute import runtime

    if keep:
        runtime.keep_memory()
    with runtime.quiet_import():
        import keras  # noqa: F401
    import zoo

    pictures, labels = np.zeros((32, 224, 224, 3), "uint8"), np.zeros(32, int)
    body, model = zoo.mobilenet_v2(num_classes=0), zoo.mobilenet_v2(num_classes=2)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    for work in (lambda: body.predict_on_batch(pictures), lambda: model.train_on_batch(pictures, labels)):
        work(), work()
        start = time.monotonic()
        for _ in range(8):
            work()
        print((time.monotonic() - start) / 8)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1] == "keep")
        sys.exit()
    found: dict[str, list] = {"plain": [], "keep": []}
    for _ in range(3):
        for how, times in found.items():
            done = subprocess.run([sys.executable, __file__, how], capture_output=True, text=True, check=True)
            times.append([float(line) for line in done.stdout.split()])
    plain, ours = (np.median(times, axis=0) for times in found.values())
    for work, before, after in zip(("forward pass", "training step"), plain, ours, strict=True):
        print(f"{work}: {before:.2f} s with glibc's settings, {after:.2f} s with ours, ratio {after / before:.2f}")
