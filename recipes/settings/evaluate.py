"""Settings of `zoo evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Fixed, FlagCreatePairsOff, Positional, Suppress

from recipes.errors import UserError, shown, some
from recipes.settings.shared import EngineName, SourceCommand
from recipes.settings.sources import resolved

CORRUPTIONS = ("blur", "jpeg", "brightness", "noise", "rotate90")
VIEWS = ("mirror", "ten_crop")


@dataclass(frozen=True)
class OfRun:
    """A command on a finished run."""

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""


@dataclass(frozen=True)
class Evaluation(SourceCommand, OfRun):
    """Measure a finished run on any pictures with labels: everything that its report has, and what single numbers do not tell.

    DATA as for `zoo finetune`: a folder per class, or train/, val/, test/ that hold these; a table, an archive or a data set.
    Classes are called as the run calls them; some of them are enough. Pictures that the run was trained on are found by their
    content, and left out.
    """

    COMMAND = "evaluate"
    EVERYDAY = ("split", "corruptions", "views", "groups", "labels", "output")
    EXAMPLES = (
        "zoo evaluate runs/finetune/photos new-photos",
        "zoo evaluate runs/finetune/photos new.csv --corruptions blur,jpeg",
    )

    data: Positional[Path]
    """Pictures with labels: a folder per class, or parts that hold these; a table (.csv, .tsv, .parquet), an archive (.zip,
    .tar) or a data set, tfds:NAME or tfds:NAME:SPLITS. docs/data.md."""
    output: Path | None = None
    """Folder for everything that the command writes; runs/evaluate/RUN-DATA if not given."""
    groups: str | None = field(default=None, kw_only=True)
    """What belongs together, such as a patient's pictures: a column of the table, or a regular expression with a part in
    brackets, which names the group in a picture's path, such as '(p\\d+)_'. Each is measured by itself, and intervals are
    those of drawing whole groups. Every picture by itself, if not given."""
    batch_size: Annotated[int, Fixed, Suppress] = field(default=32, kw_only=True)  # as the saved model predicts, everywhere
    engine: Annotated[EngineName, Fixed, Suppress] = field(default="keras", kw_only=True)  # the same
    labels: Path | None = None
    """Table of the pictures in DATA, as for `zoo finetune`; the folders are the labels if not given."""
    split: Literal["train", "val", "test", "all"] | None = None
    """Part of DATA to measure; if not given, test/; val/ if there is no test/; everything if there is neither."""
    corruptions: str | None = None
    """Measure how the run copes with worse pictures: any of blur, jpeg, brightness, noise, rotate90, separated by commas, each
    at three strengths (rotate90: one), or all. Each strength takes as long as the evaluation; none if not given."""
    views: str | None = None
    """Measure what it gains to show the run several views of a picture and to average: mirror, ten_crop, or both, with a comma
    between; and how long it takes; none if not given."""
    keep_trained: FlagCreatePairsOff[bool] = False
    """Measure pictures that the run was trained on, too; they are left out if not given."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("chosen_corruptions", "chosen_views"):  # which refuse what there is not
            getattr(self, name)

    @property
    def subject(self) -> str:
        """The names of the run and of what it is measured on."""
        return f"{resolved(self.run).name or 'root'}-{super().subject}"

    @property
    def chosen_corruptions(self) -> tuple[str, ...]:
        """The kinds that --corruptions names. Raises UserError for one that there is not."""
        return CORRUPTIONS if self.corruptions == "all" else _chosen("corruptions", self.corruptions, CORRUPTIONS)

    @property
    def chosen_views(self) -> tuple[str, ...]:
        """The kinds that --views names. Raises UserError for one that there is not."""
        return _chosen("views", self.views, VIEWS)


def _chosen(flag: str, text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Read names that are separated by commas, each once. Raises UserError for one that is not known."""
    names = [] if text is None else [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UserError(f"--{flag} takes {some(known)}, separated by commas, found {shown(name)!r}.")
    return tuple(dict.fromkeys(names))
