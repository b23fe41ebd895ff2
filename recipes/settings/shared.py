"""What the settings of several commands share: bases, types with their help, and checks.

A command's settings are a frozen dataclass, the only source of its flags, their help and what its functions read. Nothing
heavy is imported here, so that `--help` answers at once.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from recipes.errors import UserError
from recipes.settings.sources import is_tfds, named_columns, resolved

Optimizer = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
Architecture = Annotated[str, arg(help="Architecture, a name that `zoo models` lists.")]
BACKBONES = (
    "Architecture, a name that `zoo models` lists, as NAME, NAME:ALPHA or NAME:ALPHA:PIXELS; or several joined by +, whose "
    "frozen features, side by side, one head sees: --weights, --variant and --preprocessing take one for all, or one for each, "
    "joined by +."
)
Backbones = Annotated[str, arg(help=BACKBONES)]
Alpha = Annotated[float | None, arg(help="Width multiplier, for the MobileNets; 1 if not given.")]
Variant = Annotated[
    str | None, arg(help="Whose form of the network, such as keras or torch; that of the weights if not given.")
]
Preprocessing = Annotated[
    str | None,
    arg(
        help="How pixels are scaled: caffe, bvlc, tf (-1 to 1), inception, lite, torch (ImageNet's mean and deviation), clip, "
        "unit (0 to 1), or MEAN/STD of R, G and B in 0 to 1, such as 0.5,0.5,0.5/0.5,0.5,0.5; that of the weights if not given."
    ),
]
ImageSize = Annotated[int | None, arg(help="Height and width in pixels that the model sees; its own if not given.")]
EngineName = Literal["auto", "keras", "openvino"]
PrecisionName = Literal["auto", "float32", "mixed"]
# Flags of those who watch a run, on whom it does not depend.
TRACKERS = ("tensorboard", "mlflow", "wandb")
# What --devices takes in place of a number.
ALL_DEVICES = "all"
# Where everything is written if no place is given.
RUNS = Path("runs")


@dataclass(frozen=True)
class FolderCommand:
    """A command that writes into a folder."""

    COMMAND: ClassVar[str]

    @property
    def subject(self) -> str:
        """The name of what the command is about, which names the folder."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The folder that the command writes: --output, or runs/COMMAND/SUBJECT, so that two subjects have two folders."""
        return self.output or RUNS / self.COMMAND / self.subject


@dataclass(frozen=True)
class DataCommand(FolderCommand):
    """A command on images."""

    data: Positional[Path]
    """Folder of images; for `zoo check`, `finetune`, `tune`, `rank` and `features` also a table (.csv, .tsv, .parquet), an
    archive (.zip, .tar) or a data set, tfds:NAME or tfds:NAME:SPLITS. docs/data.md."""
    output: Path | None = None
    """Folder for everything that the command writes; runs/COMMAND/NAME-OF-DATA if not given."""
    corrections: Path | None = field(default=None, kw_only=True)
    """Table of corrections, as `zoo check` begins one: pictures to leave out, to relabel and to group; nothing is
    corrected if not given. No file is touched."""

    @property
    def subject(self) -> str:
        """The name of the folder of images, or of what they come from."""
        return name_of(self.data)


@dataclass(frozen=True)
class BatchCommand(DataCommand):
    """A command that passes pictures through a network in batches."""

    batch_size: int = field(default=32, kw_only=True)
    """Images per step."""
    seed: int = field(default=0, kw_only=True)
    """Seed of everything random; with several seeds, the first one."""

    def __post_init__(self):
        check_positive(self, "batch_size")
        check_seed(self.seed)


@dataclass(frozen=True)
class SourceCommand(BatchCommand):
    """A command on images that may come from a folder, a table, an archive or a data set."""

    columns: str | None = field(default=None, kw_only=True)
    """What the columns of a table are, where their names do not say it: path=file,label=species, and, if wanted, split,
    group, weight, annotator. With a label, all other columns are ignored. Their names say it if not given."""
    groups: str | None = field(default=None, kw_only=True)
    """What is never divided, such as a patient or a video: a column of the table, or a regular expression with a part in
    brackets, which names the group in a picture's path, such as '(p\\d+)_'. Each picture stands alone if not given."""
    data_dir: Path | None = field(default=None, kw_only=True)
    """Folder of prepared data sets of TensorFlow Datasets; its own if not given."""
    engine: EngineName = field(default="auto", kw_only=True)
    """What computes the features of frozen layers: keras, by its own backend; openvino, an extra for processors, by its own
    kernels; auto, openvino where it is installed and can, else keras. They agree to 1e-5."""

    def __post_init__(self):
        super().__post_init__()
        named_columns(self.columns)
        check_pattern(self.groups)

    def source_words(self) -> list[str]:
        """Write the arguments that say what the pictures are, but for corrections, as every command takes them."""
        flags = {name: getattr(self, name, None) for name in ("labels", "columns", "groups", "data_dir")}
        given = {name: value for name, value in flags.items() if value is not None}
        return [str(self.data), *(w for name, value in given.items() for w in (f"--{name.replace('_', '-')}", str(value)))]


@dataclass(frozen=True)
class BackboneCommand(SourceCommand):
    """A command that shows pictures, divided into parts, to a pretrained network."""

    model: Backbones = "efficientnet_lite0"
    weights: str | None = None
    """A tag of the catalog, default for the most accurate as published, or a file; the model's first tag if not given."""
    alpha: Alpha = None
    variant: Variant = None
    preprocessing: Preprocessing = None
    image_size: ImageSize = None
    validation: float = 0.2
    """Share of each class to hold out for validation, if DATA has no val/."""
    test: float = 0.2
    """Share of each class to hold out for the test, if DATA has neither val/ nor test/."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Whether mirrored pictures are of the same class and may be shown, too; auto finds it out inside the training part."""
    keep_leaks: FlagCreatePairsOff[bool] = field(default=False, kw_only=True)
    """Measure pictures of DATA's val/ and test/ that are exact copies of training pictures, too; they are left out if not
    given."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "image_size", "alpha")
        shares = (self.validation, self.test)
        if not (all(0 <= share < 1 for share in shares) and sum(shares) < 1):
            raise UserError(f"--validation and --test must be shares that leave something to train on, found {shares}.")


@dataclass(frozen=True)
class TransferCommand(BackboneCommand):
    """A command that takes a pretrained network to new pictures."""

    devices: str = field(default="1", kw_only=True)
    """Devices of this machine that a network is trained on, each with its share of every batch: a number, or all. A network
    of which the head alone is trained needs one."""
    tensorboard: FlagCreatePairsOff[bool] = field(default=False, kw_only=True)
    """Write epochs, settings and scores for TensorBoard, in tensorboard/ of the output folder; of a search, each trial's."""
    mlflow: FlagCreatePairsOff[bool] = field(default=False, kw_only=True)
    """Log the same to MLflow: to MLFLOW_TRACKING_URI, or in the working folder. Needs mlflow, an extra."""
    wandb: FlagCreatePairsOff[bool] = field(default=False, kw_only=True)
    """Log the same to Weights & Biases; WANDB_MODE=offline keeps it on this machine. Needs wandb, an extra."""

    def __post_init__(self):
        super().__post_init__()
        check_devices(self.devices, self.batch_size)


def name_of(data: Path) -> str:
    """Name what is done on DATA after the folder of images, or what they come from."""
    return re.sub(r"[^\w.+-]+", "-", str(data)).strip("-") if is_tfds(data) else resolved(data).name or "root"


def check_positive(settings: object, *names: str) -> None:
    """Refuse settings that are given and not above zero.

    Raises:
        UserError: naming the flag and what was found.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name.replace('_', '-')} must be positive, found {value}.")


def check_devices(devices: str, batch_size: int) -> None:
    """Refuse what is no number of devices, or one among which a batch cannot be divided.

    Raises:
        UserError: saying what can be.
    """
    if devices == ALL_DEVICES:
        return
    if not re.fullmatch("[1-9][0-9]{0,3}", devices):
        raise UserError(f"--devices must be a whole number from 1 on, or {ALL_DEVICES}, found {devices!r}.")
    if batch_size % int(devices):
        raise UserError(
            f"--batch-size {batch_size} cannot be divided among {devices} devices: give a multiple of {devices}, such as "
            f"{-(-batch_size // int(devices)) * int(devices)}."
        )


def check_pattern(groups: str | None) -> None:
    """Refuse what can be neither a column nor a regular expression.

    Raises:
        UserError: saying where it ends being one.
    """
    try:
        re.compile(groups or "")
    except re.error as error:
        raise UserError(
            f"--groups must be a column or a regular expression, found {groups!r} ({error}): a bracket that is meant as such "
            "is written \\( or \\[."
        ) from error
    if groups is not None and not groups.strip():
        raise UserError("--groups is empty: give a column of the table, or a regular expression such as '(p\\d+)_'.")


def check_seed(seed: int) -> None:
    """Refuse what NumPy takes for no seed.

    Raises:
        UserError: it is negative, or too large.
    """
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed must be a whole number from 0 to {2**31 - 1}, found {seed}.")


def seconds(budget: str) -> float:
    """Read "90", "90s", "10m" or "1.5h" as seconds.

    Raises:
        UserError: it is no such time, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", budget.strip())
    time = found and float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    if not time:
        raise UserError(f"--budget must be a time such as 90s, 10m or 1.5h, found {budget!r}.")
    return time


def size(text: str) -> float:
    """Read "500MB" or "2GB" as bytes.

    Raises:
        UserError: it is no such size, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])B?", text.strip(), re.IGNORECASE)
    count = found and float(found[1]) * 1000 ** (1 + "KMGT".index(found[2].upper()))
    if not count:
        raise UserError(f"--disk must be a size such as 500MB or 2GB, found {text!r}.")
    return count
