"""Images per second of the zoo beside its twins, in one run: keras.applications for every model, PyTorch for some.

    python benchmarks/zoo_throughput.py                    # every architecture that keras.applications has
    python benchmarks/zoo_throughput.py 'resnet50' --torch
    python benchmarks/zoo_throughput.py --timm --busy --batch 2 --rounds 3

Forward: `predict_on_batch` of a batch, both models with the same random start and preprocessing inside or before the clock
never counted. Training step: `train_on_batch` with SGD. Both twins take turns, `--rounds` times; what is printed is the
median of the ratios ours / theirs within a round (1 is equal, above 1 ours is faster), with the lowest and the highest.
PyTorch runs eagerly, as its users run it, on as many threads as there are cores. With `--busy`, for a machine that others use,
each side has one thread, and what is counted is the processor's time.
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

# A member of each family whose files are timm's, and what it is called there.
TIMM = {
    "vit_ti_16": "vit_tiny_patch16_224",
    "dinov2_s_14": "vit_small_patch14_dinov2",
    "convnext_atto": "convnext_atto",
    "convnext_v2_atto": "convnextv2_atto",
    "mobilenet": "mobilenetv1_100",
    "mobilenet_v4_conv_small": "mobilenetv4_conv_small",
    "hgnetv2_b0": "hgnetv2_b0",
    "tiny_vit_5m": "tiny_vit_5m_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}


def keras_steps(model, x, y):
    """(forward, training step) as functions without arguments; each has run once."""
    import keras

    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=False)

    def forward():
        model.predict_on_batch(x)

    def train():
        model.train_on_batch(x, y)

    return forward, train


def torch_steps(model, x, y):
    import torch

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


def seconds(step, repeats, clock):
    start = clock()
    for _ in range(repeats):
        step()
    return (clock() - start) / repeats


def compare(ours, theirs, settings):
    """(images per second is batch / seconds of ours, ratios of a round) of one kind of step."""
    clock = time.process_time if settings.busy else time.perf_counter
    ours(), theirs()
    pairs = [tuple(seconds(step, settings.repeats, clock) for step in (ours, theirs)) for _ in range(settings.rounds)]
    return statistics.median(own for own, _ in pairs), [other / own for own, other in pairs]


def twins(name, size, settings):
    """(ours, theirs) as pairs of steps on the same arrays of the size."""
    import keras
    import numpy as np
    from parity import TWINS, torchvision, untrained

    import zoo

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (settings.batch, size, size, 3)).astype("float32")
    y = rng.integers(0, 1000, settings.batch)
    if settings.torch:
        ours = zoo.get_model(name, input_shape=(size, size, 3), variant="torch")
        # Ours has no second head either.
        theirs = untrained(name, **({"aux_logits": False} if name == "inception_v3" else {}))
        return keras_steps(ours, x, y), torch_steps(theirs, x / 255, y)
    if settings.timm:
        torchvision()
        import timm

        ours = zoo.get_model(name, input_shape=(size, size, 3), variant="timm", num_classes=1000)
        options = {"img_size": size} if TIMM[name].startswith(("vit", "swin")) else {}
        return keras_steps(ours, x, y), torch_steps(timm.create_model(TIMM[name], num_classes=1000, **options), x / 255, y)
    theirs = getattr(keras.applications, TWINS[name])(weights=None, input_shape=(size, size, 3))
    return keras_steps(zoo.get_model(name, input_shape=(size, size, 3)), x, y), keras_steps(theirs, x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"], help="of our names, such as 'resnet*'")
    parser.add_argument("--torch", action="store_true", help="against PyTorch (torchvision's graph) instead")
    parser.add_argument("--timm", action="store_true", help="against timm instead")
    parser.add_argument("--busy", action="store_true", help="one thread, and the processor's time")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=0, help="height and width; default: the model's own")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="steps a model in a round")
    settings = parser.parse_args()

    import keras
    from parity import TWINS

    from zoo import facts

    threads = 1 if settings.busy else os.cpu_count()
    if settings.busy:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if settings.torch or settings.timm:
        import torch

        torch.set_num_threads(threads)
    sizes = {known.model: known.input_shape[0] for known in reversed(facts.read())}
    print("model | px | forward images/s | ratio (low to high) | training images/s | ratio (low to high)")
    for name in TORCH if settings.torch else TIMM if settings.timm else TWINS:
        if not any(fnmatch.fnmatch(name, pattern) for pattern in settings.patterns):
            continue
        size = settings.size or sizes[name]
        cells = [name, str(size)]
        for ours, theirs in zip(*twins(name, size, settings), strict=True):
            own, ratios = compare(ours, theirs, settings)
            cells += [
                f"{settings.batch / own:.1f}",
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            ]
        print(" | ".join(cells), flush=True)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()
