"""Settings of `zoo finetune`, which `recipe.json` holds as well."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Fixed, Suppress, arg

from recipes.errors import UserError, shown
from recipes.settings.backbones import SEPARATOR
from recipes.settings.shared import BACKBONES, Optimizer, TransferCommand, check_positive, seconds
from recipes.settings.sources import absolute
from recipes.settings.tuned import FineTuneSettings, HeadSettings
from recipes.settings.values import from_values, read_object

# Settings that say where something lies: text in recipe.json.
PATH_FIELDS = ("data", "output", "labels", "corrections", "data_dir")


@dataclass(frozen=True)
class Recipe(TransferCommand):
    """All that a run of `zoo finetune` depends on, beside the pictures, and where they and it lie."""

    COMMAND = "finetune"
    EVERYDAY = ("model", "strategy", "augment", "epochs", "budget", "labels", "output", "recipe")
    EXAMPLES = (
        "zoo finetune photos --model mobilenet_v2 --budget 10m",
        "zoo finetune --recipe runs/finetune/photos/recipe.json --seeds 5 --output five",
    )

    model: Annotated[str, arg(help=f"{BACKBONES} auto: what `zoo rank` finds best of what is on this machine.")] = (
        "efficientnet_lite0"
    )
    weights: str | None = None
    """A tag of the catalog, default for the most accurate as published, a file, or none for a random start; the model's first
    tag if not given."""
    strategy: Literal["auto", "small", "medium", "large", "full", "lp_ft", "gradual", "scratch", "tuned"] = "auto"
    """How much to train: small, the head alone; medium, the last stage too; large, everything, the earlier the more slowly;
    full, everything at one rate; lp_ft, the head, then everything at a low rate; gradual, stage by stage; scratch, from a
    random start; tuned, as a search has found it (give its best.json as --recipe); auto, by what is measured inside the
    training part."""
    batch_norm: Literal["inference", "affine", "adapt"] = "inference"
    """What batch norm does in fine-tuning: inference, all stays as pretrained; affine, scale and offset learn; adapt, the
    statistics follow the data."""
    budget: str | None = None
    """Time for the whole run, such as 90s, 10m or 1h, which also says how much auto tries; as long as it takes if not given."""
    augment: Literal["auto", "none", "crops", "alexnet", "modern"] = "auto"
    """What training pictures go through: auto, by the strategy; none, the central crop alone, as strategy small does; crops,
    random crops and mirrored ones, or, for a head alone, four fixed views; alexnet, its paper's, and ten crops in
    the test as well; modern, random-resized crop, TrivialAugment, erasing, mixup and cutmix."""
    epochs: int | None = None
    """Epochs of fine-tuning; the strategy's if not given."""
    learning_rate: float | None = None
    """Highest learning rate of fine-tuning. If not given: the strategy's, which is Adam's, for adam, adamw and rmsprop; ten
    times as high for momentum, nesterov and adagrad, a hundred times for sgd."""
    optimizer: Optimizer = "adam"
    """Optimiser of fine-tuning."""
    head: Literal["linear", "dropout", "hidden", "cosine"] = "linear"
    """The classifier: linear, a logistic regression; dropout, the same trained with dropout; hidden, with a layer of 256
    units before it; cosine, directions of class means, for a few images a class."""
    pooling: Literal["average", "max", "both"] = "average"
    """What makes a vector of the last feature map; average is the network's own way, even if that is another. Of a vision
    transformer both are its class token and the mean of its patches, as in DINOv2's linear probes."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """For classes of uneven size: weights, each class counts as much as any other; sampling, pictures are drawn so that each
    class is seen as often as any other (the solved heads, which draw nothing, are weighted)."""
    labels: Path | None = None
    """Table (.csv, .tsv, .parquet) of the pictures in DATA: a column path, relative to DATA; then labels, separated by ";", or
    a column of 0 and 1 for each class; and, if wanted, split (train, val or test), group, weight and annotator. Where each
    picture has exactly one label, classes exclude each other, as those of folders do. Rules: docs/tables.md. The folders are
    the labels if not given."""
    seeds: int = 1
    """Repeat the run with this many seeds, from --seed on, each with its own split if the split is not DATA's, and report mean
    and 95 % interval. Cheap with strategy small; others train the network each time."""
    folds: int | None = None
    """Measure by this many folds inside the training part, too, and report mean and 95 % interval; costs what --seeds does.
    No folds if not given."""
    tuned: Annotated[HeadSettings | None, Fixed, Suppress] = None
    """The head that a search has found, instead of --head; strategy small trains it."""
    fine_tuning: Annotated[FineTuneSettings | None, Fixed, Suppress] = None
    """How a search has found to fine-tune; strategy tuned does it."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "epochs", "learning_rate", "seeds")
        if self.budget:
            seconds(self.budget)
        if self.folds is not None and self.folds < 2:
            raise UserError(f"--folds must be 2 or more, found {self.folds}.")
        if self.folds and self.seeds > 1:
            raise UserError("--folds and --seeds are two ways to repeat a run: give one of them.")
        if self.strategy == "tuned" and self.fine_tuning is None:
            raise UserError("--strategy tuned needs what a search has found: the best.json of `zoo tune` as --recipe.")
        others = {
            "strategy": "tuned" if self.fine_tuning else "small",
            "head": "linear",
            "pooling": "average",
            "balance": "none",
            "labels": None,
        }
        for name in others if self.tuned else ():
            if getattr(self, name) != others[name]:
                raise UserError(
                    f"--{name} {getattr(self, name)} cannot be had with the tuned head of a recipe.json: leave it out, "
                    f'or "tuned" out of the file.'
                )

    def as_dict(self) -> dict:
        """Write the settings as values for JSON; `from_dict` reads them."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(self).items()}

    def save(self, path: Path) -> None:
        """Write the settings into a file that `load` reads from any folder: paths in full."""
        from zoo.files import write_json  # not at the top: it brings Keras
        from zoo.weights import catalog
        from zoo.weights.tags import DEFAULT

        values = self.as_dict()
        words = {DEFAULT, *(entry.tag for entry in catalog.ENTRIES)}
        values |= {name: str(absolute(Path(values[name]))) for name in PATH_FIELDS if values[name]}
        weights = self._with_files(lambda text: os.path.abspath(text) if os.path.isfile(text) and text not in words else text)
        write_json(path, values | {"weights": weights})

    @classmethod
    def from_dict(cls, values: dict) -> "Recipe":
        """Make a recipe from what `as_dict` gave. Raises UserError or ValueError for what is none."""
        return from_values(cls, values)

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe.json; what it names by a relative path lies relative to its own folder.

        Raises:
            UserError: there is no such file, or it is no recipe.
        """
        try:
            recipe = cls.from_dict(read_object(path))
        except UserError as error:
            raise UserError(f"--recipe {shown(path)}: {error}") from error
        except (OSError, ValueError) as error:
            reason = shown(getattr(error, "strerror", None) or error)
            raise UserError(f"--recipe {shown(path)} cannot be read as a recipe.json: {reason}.") from error
        folder = Path(path).absolute().parent
        there = {name: absolute(value, folder) for name in PATH_FIELDS if (value := getattr(recipe, name))}
        there["weights"] = recipe._with_files(  # which have a suffix; tags have none
            lambda text: str(folder / text) if Path(text).suffix and (folder / text).is_file() else text
        )
        return dataclasses.replace(recipe, **there)

    def _with_files(self, placed: Callable[[str], str]) -> str | None:
        """Give the weights, each of several backbones' as `placed` writes it."""
        if not self.weights:
            return self.weights
        several = SEPARATOR in self.model
        texts = self.weights.split(SEPARATOR) if several else [self.weights]
        return SEPARATOR.join(text and placed(text) for text in texts)


@dataclass(frozen=True)
class Flags(Recipe):  # its docstring is what --help says
    """From a folder of images to a classifier: choose what to train, train it, measure it, and save it with a report.

    DATA holds a folder per class, or train/ with val/ and test/ that do. What is missing is split off: stratified, by
    content, with the seed.
    """

    recipe: Path | None = None
    """A recipe.json, whose run is repeated; other flags change it. DATA need not be given then. Only the flags count if not
    given."""

    def as_recipe(self) -> Recipe:
        """Give the settings of the run alone."""
        return Recipe(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)})
