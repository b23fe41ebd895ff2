"""Settings of `zoo models`."""

from dataclasses import dataclass

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.errors import UserError


@dataclass(frozen=True)
class Models:
    """The architectures, a row for each: its most accurate weights, all licences, and which files are here.

    Numbers are those of the highest published top-1 accuracy among the weights that allow commercial use, if any do.
    """

    EXAMPLES = ("zoo models --recommended", "zoo models 'resnet*' --weights")

    pattern: Positional[str] = "*"
    """Which models: a shell pattern, such as 'resnet*'."""
    weights: FlagCreatePairsOff[bool] = False
    """A row for each file of weights, with its licence and its stages."""
    recommended: FlagCreatePairsOff[bool] = False
    """Which to begin with: a few for each budget, from a tiny CPU to a large GPU, with the reason and its source."""
    json: FlagCreatePairsOff[bool] = False
    """All that the catalog knows of each file, as JSON; with --recommended, of those."""
    csv: FlagCreatePairsOff[bool] = False
    """The same as CSV."""

    def __post_init__(self):
        for pair in (("json", "csv"), ("weights", "recommended")):
            if all(getattr(self, name) for name in pair):
                raise UserError(f"Choose one of --{pair[0]} and --{pair[1]}.")
