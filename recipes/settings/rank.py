"""Settings of `zoo rank`."""

from dataclasses import dataclass

from recipes.errors import UserError
from recipes.settings.shared import SourceCommand, check_positive, seconds


@dataclass(frozen=True)
class Ranking(SourceCommand):
    """Which backbone for these pictures? Every candidate is scored from one pass over a sample, before any is trained.

    DATA as for `zoo finetune`; only pictures that it would train on are looked at. Candidates are those of
    `zoo models --recommended` that are on this machine already, or those that --models names, and the files of --weights.
    """

    COMMAND = "rank"
    EVERYDAY = ("models", "weights", "sample", "budget", "output")
    EXAMPLES = (
        "zoo rank photos --budget 5m",
        "zoo rank photos --models 'mobilenet*' --weights mobilenet:0.25:128=weights.h5",
    )

    models: str | None = None
    """Models by a shell pattern, such as 'resnet*', fetched if need be: each one's first weights that allow commercial use.
    Those that are on this machine if not given."""
    weights: tuple[str, ...] = ()
    """Files of weights, as MODEL=FILE, MODEL:ALPHA=FILE, MODEL:ALPHA:PIXELS=FILE or MODEL::PIXELS=FILE, such as
    mobilenet:0.25:128=FILE; none if not given."""
    variant: tuple[str, ...] = ()
    """Form of the network of the files of --weights, such as keras or torch: one for all, or one for each; that of the
    weights if not given."""
    preprocessing: tuple[str, ...] = ()
    """How the networks of the files of --weights see pixels, as for `zoo finetune`: one for all, or one for each; that of
    the weights if not given."""
    sample: int = 1000
    """Pictures that are looked at, at most; the classes in proportion."""
    budget: str | None = None
    """Time for all of it, such as 90s, 10m or 1.5h: the cheapest candidates first, as many as it lasts for; all of
    them if not given."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "sample")
        for name in ("variant", "preprocessing"):
            given, files = len(getattr(self, name)), len(self.weights)
            if given not in (0, files) and not (given == 1 and files):
                raise UserError(
                    f"--{name} takes one value for all files of --weights, or one for each of these {files}, found {given}."
                )
        if self.budget is not None:
            seconds(self.budget)
