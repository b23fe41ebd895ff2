"""Xception in other files."""

from collections import Counter


def _first_keras() -> dict[str, str]:
    """Count the layers of each kind in the order of building, in which a shortcut precedes its block."""
    table, counts = {}, Counter()

    def add(kind: str, *layers: str) -> None:
        for name, kind_of in zip(layers, (kind, "batchnormalization"), strict=False):
            table[name] = f"{kind_of}#{counts[kind_of]}"
            counts[kind_of] += 1

    for j in (1, 2):
        add("convolution2d", f"block1_conv{j}", f"block1_conv{j}_bn")
    shortcuts = {2: "", 3: "_1", 4: "_2", 13: "_3"}
    for block in range(2, 15):
        if block in shortcuts:
            add("convolution2d", f"conv2d{shortcuts[block]}", f"batch_normalization{shortcuts[block]}")
        for j in (1, 2, 3) if 5 <= block <= 12 else (1, 2):
            add("separableconvolution2d", f"block{block}_sepconv{j}", f"block{block}_sepconv{j}_bn")
    add("dense", "predictions")
    return table


# The official file is Keras 1's, whose Xception named no layer: `block2_sepconv1` -> `separableconvolution2d#0`.
first_keras = _first_keras().__getitem__
