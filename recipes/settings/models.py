"""Settings of `zoo models`."""

from dataclasses import dataclass

from tyro.conf import FlagCreatePairsOff, Positional


@dataclass(frozen=True)
class Models:
    """The architectures with their weights, parameters, multiply-adds, input size, published top-1 accuracy and stages."""

    pattern: Positional[str] = "*"
    """Which models: a shell pattern, such as 'resnet*'."""
    json: FlagCreatePairsOff[bool] = False
    """All that the catalog knows, as JSON."""
    csv: FlagCreatePairsOff[bool] = False
    """The same as CSV."""
