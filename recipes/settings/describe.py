"""Settings of `zoo describe`."""

from dataclasses import dataclass

from tyro.conf import Positional

from recipes.settings.shared import Alpha, Architecture, ImageSize


@dataclass(frozen=True)
class Description:
    """Every layer of an architecture with its output, parameters, multiply-adds and receptive field; its stages and weights."""

    model: Positional[Architecture]
    image_size: ImageSize = None
    variant: str | None = None
    """Whose form of the graph, such as keras or torch; the model's first if not given."""
    alpha: Alpha = None
