"""Settings of `zoo describe`."""

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class Description:
    """Every layer of an architecture with its output, parameters, multiply-adds and receptive field; its stages and weights."""

    model: Positional[str]
    """Architecture, a name that `zoo models` lists."""
    input_size: int | None = None
    """Height and width in pixels; the model's own if not given."""
    variant: str | None = None
    """Whose form of the graph, such as keras or torch; the model's first if not given."""
    alpha: float | None = None
    """Width multiplier, for the MobileNets."""
