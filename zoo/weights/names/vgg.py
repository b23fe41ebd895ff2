"""VGG in other files."""

from zoo.weights.names import Rename


def torchvision(blocks: tuple[int, ...], batch_norm: bool) -> Rename:
    """Map `block2_conv1` -> `features.5`: torchvision numbers convolutions, norms, ReLUs and poolings in one sequence."""
    index, table = 0, {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}
    for block, convolutions in enumerate(blocks, start=1):
        for conv in range(1, convolutions + 1):
            table[f"block{block}_conv{conv}"] = f"features.{index}"
            if batch_norm:
                table[f"block{block}_conv{conv}_bn"] = f"features.{index + 1}"
            index += 2 + batch_norm
        index += 1
    return table.__getitem__
