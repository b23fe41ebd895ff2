"""Settings of `zoo predict`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.errors import UserError, shown
from recipes.settings.shared import check_positive

STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True)
class Prediction:
    """Class names and probabilities of images, by the model of a finished run."""

    EXAMPLES = (
        "zoo predict runs/finetune/photos new.jpg",
        "zoo predict runs/finetune/photos more/ 'new/*.jpg' --top 1",
    )

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    images: Positional[tuple[str, ...]]
    """Files, folders (with all below them) and patterns, such as 'new/*.jpg'."""
    top: int = 3
    """Classes to give for each image, the likeliest first; on the screen, a run with --labels gives all those over 0.5
    instead."""
    all_classes: FlagCreatePairsOff[bool] = False
    """Write the probability of every class into --json, --csv and --parquet, not of the likeliest alone."""
    coverage: float | None = None
    """Give each image the set of classes that holds the right one this often, such as 0.9; no sets if not given."""
    score: Literal["lac", "aps", "raps"] = "lac"
    """Of --coverage: the smallest sets (lac), or those that grow where an image is hard (aps), without a long tail (raps)."""
    refuse: float | None = None
    """Share of known images that may be called unknown, 0.05 if not given: the more may be, the more foreign ones are
    found. 0 calls none unknown."""
    csv: Path | None = None
    """Write a table, a row an image, instead of lines on the screen; none if not given."""
    json: Path | None = None
    """Write an object for each image: one list of them into a file that ends in .json; a line each into any other, and, for -,
    on the standard output; none if not given."""
    parquet: Path | None = None
    """Write a Parquet table; none if not given."""

    def __post_init__(self):
        check_positive(self, "top")
        if self.coverage is not None and not 0 < self.coverage < 1:
            raise UserError(f"--coverage must lie between 0 and 1, such as 0.9, found {self.coverage:g}.")
        if self.refuse is not None and not 0 <= self.refuse < 1:
            raise UserError(f"--refuse must be a share from 0 to below 1, such as 0.05, found {self.refuse:g}.")
        places: dict[str, str] = {}
        for name, path in self.files.items():
            if path == STANDARD_OUTPUT:
                raise UserError(
                    f"--{name} - is no file, and only --json writes on the standard output: give a file, or --json -."
                )
            place = os.path.realpath(path)
            if place in places:
                raise UserError(f"--{places[place]} and --{name} both name {shown(path)}: give two files.")
            if os.path.isdir(place):
                raise UserError(f"--{name} {shown(path)} is a folder: give a file in it.")
            places[place] = name

    @property
    def files(self) -> dict[str, Path]:
        """The files to write, by kind."""
        given = {"csv": self.csv, "json": self.json, "parquet": self.parquet}
        return {name: path for name, path in given.items() if path and not (name == "json" and path == STANDARD_OUTPUT)}

    @property
    def prints_json(self) -> bool:
        """Whether the standard output gets JSON, and nothing else."""
        return self.json == STANDARD_OUTPUT
