"""SqueezeNet in other files."""

from zoo.weights.names import Rename


def torchvision(pooled: tuple[int, ...]) -> Rename:
    """Map `fire2_squeeze1x1` -> `features.3.squeeze`.

    Torchvision numbers one sequence of conv1, ReLU, pooling, modules, and poolings behind the modules `pooled`.
    """
    table, index = {"conv1": "features.0", "predictions": "classifier.1"}, 3
    for fire in range(2, 10):
        for part in ("squeeze", "expand1x1", "expand3x3"):
            table[f"fire{fire}_{part.replace('squeeze', 'squeeze1x1')}"] = f"features.{index}.{part}"
        index += 1 + (fire in pooled)
    return table.__getitem__
