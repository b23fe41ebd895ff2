"""Settings of `zoo describe`."""

from dataclasses import dataclass

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.settings.shared import Alpha, Architecture, ImageSize


@dataclass(frozen=True)
class Description:
    """An architecture: its parameters and multiply-adds, what comes out of each stage, and the weights there are."""

    EXAMPLES = ("zoo describe mobilenet_v2 --image-size 96", "zoo describe lenet5 --layers")

    model: Positional[Architecture]
    image_size: ImageSize = None
    variant: str | None = None
    """Whose form of the graph, such as keras or torch; the model's first if not given."""
    alpha: Alpha = None
    layers: FlagCreatePairsOff[bool] = False
    """Every layer with its output, parameters, multiply-adds and receptive field, too."""
