"""Images per second of the zoo beside its twins, in one run: keras.applications for every model, PyTorch for four.

    python benchmarks/zoo_throughput.py                    # every architecture that keras.applications has
    python benchmarks/zoo_throughput.py 'resnet50' --torch

Forward: `predict_on_batch` of a batch, both models with the same random start and preprocessing inside or before the clock
never counted. Training step: `train_on_batch` with SGD. Both twins take turns, `--rounds` times; what is printed is the
median of the ratios ours / theirs within a round (1 is equal, above 1 ours is faster), with the lowest and the highest.
PyTorch runs eagerly, as its users run it, on as many threads as there are cores.
"""

import argparse
import fnmatch
import gc
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where the twins are compared in value

TORCH = ("resnet50", "vgg16", "inception_v3", "mobilenet_v2")  # by the same names there


def keras_steps(model, x, y):
    """(forward, training step) as functions without arguments; each has run once."""
    import keras

    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=False)

    def forward():
        model.predict_on_batch(x)

    def train():
        model.train_on_batch(x, y)

    return forward, train


def torch_steps(name, x, y):
    import torch
    from parity import untrained

    model = untrained(name, **({"aux_logits": False} if name == "inception_v3" else {}))  # ours has no second head either
    pixels, labels = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def forward():
        model.eval()
        with torch.inference_mode():
            model(pixels)

    def train():
        model.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixels), labels).backward()
        optimizer.step()

    return forward, train


def seconds(step, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def compare(ours, theirs, rounds, repeats):
    """(images per second is batch / seconds of ours, ratios of a round) of one kind of step."""
    ours(), theirs()
    pairs = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)]
    return statistics.median(own for own, _ in pairs), [other / own for own, other in pairs]


def twins(name, size, settings):
    """(ours, theirs) as pairs of steps on the same arrays of the size."""
    import keras
    import numpy as np
    from parity import TWINS

    import zoo

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (settings.batch, size, size, 3)).astype("float32")
    y = rng.integers(0, 1000, settings.batch)
    if settings.torch:
        ours = zoo.get_model(name, input_shape=(size, size, 3), variant="torch")
        return keras_steps(ours, x, y), torch_steps(name, x / 255, y)
    theirs = getattr(keras.applications, TWINS[name])(weights=None, input_shape=(size, size, 3))
    return keras_steps(zoo.get_model(name, input_shape=(size, size, 3)), x, y), keras_steps(theirs, x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"], help="of our names, such as 'resnet*'")
    parser.add_argument("--torch", action="store_true", help="against PyTorch (torchvision's graph) instead")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=0, help="height and width; default: the model's own")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="steps a model in a round")
    settings = parser.parse_args()

    import keras
    from parity import TWINS

    from zoo import facts

    if settings.torch:
        import torch

        torch.set_num_threads(os.cpu_count())
    sizes = {known.model: known.input_shape[0] for known in reversed(facts.read())}
    print("model | px | forward images/s | ratio (low to high) | training images/s | ratio (low to high)")
    for name in TORCH if settings.torch else TWINS:
        if not any(fnmatch.fnmatch(name, pattern) for pattern in settings.patterns):
            continue
        size = settings.size or sizes[name]
        cells = [name, str(size)]
        for ours, theirs in zip(*twins(name, size, settings), strict=True):
            own, ratios = compare(ours, theirs, settings.rounds, settings.repeats)
            cells += [
                f"{settings.batch / own:.1f}",
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            ]
        print(" | ".join(cells), flush=True)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()
