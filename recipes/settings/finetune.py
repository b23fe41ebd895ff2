"""Every setting of every command, once: the flags, their help, `recipe.json` and the functions all read it here.

Nothing heavy is imported, so that `--help` answers at once.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import Fixed, FlagCreatePairsOff, Positional, Suppress

from recipes.errors import UserError

Optimizer = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]


def _check_positive(settings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name.replace('_', '-')} must be positive, found {value}.")


def _check_shares(settings) -> None:
    shares = (settings.validation, settings.test)
    if not (all(0 <= share < 1 for share in shares) and sum(shares) < 1):
        raise UserError(f"--validation and --test must be shares that leave something to train on, found {shares}.")


def seconds(budget: str) -> float:
    """ "90", "90s", "10m" and "1.5h" in seconds.

    Raises:
        UserError: it is no such time, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", budget.strip())
    time = found and float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    if not time:
        raise UserError(f"--budget must be a time such as 90s, 10m or 1.5h, found {budget!r}.")
    return time


@dataclass(frozen=True)
class FineTuneSettings:
    """What `--strategy tuned` needs beside a recipe's own learning rate, epochs, augmentation and batch norm."""

    freeze_until: str | None = None  # a stage; None trains everything
    layer_decay: float = 1.0  # learning rate of each earlier stage relative to the next
    weight_decay: float = 0.0  # decoupled: callbacks.optimizers


@dataclass(frozen=True)
class HeadSettings:
    """A head and how it is trained by `recipes.transfer.head_trainer`, as a search chooses it; nothing that is typed as flags."""

    cut: str = "pre_logits"  # the stage whose output the head sees, averaged over the pixels if it is a map
    kind: Literal["linear", "hidden"] = "linear"
    units: int = 256  # of the hidden layer
    dropout: float = 0.0  # before the last layer
    l2: float = 0.0  # times the sum of the kernels' squares, on standardised features
    l2_schedule: Literal["constant", "cosine"] = "constant"  # cosine: falls to 0
    learning_rate: float = 1e-3  # the highest: warm-up before, cosine decay after
    optimizer: Optimizer = "adam"
    label_smoothing: float = 0.0
    class_weights: bool = False  # all of a class together count as much as all of any other
    epochs: int = 20
    patience: int = 0  # epochs without a lower held-out loss after which the best are taken; 0: the last is taken
    views: int = 0  # of recipes.features.VIEWS, beside the centre

    def __post_init__(self):
        right = {
            "kind": self.kind in get_args(HeadSettings.__annotations__["kind"]),
            "l2_schedule": self.l2_schedule in get_args(HeadSettings.__annotations__["l2_schedule"]),
            "optimizer": self.optimizer in get_args(Optimizer),
            "dropout": 0 <= self.dropout < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "learning_rate": self.learning_rate > 0,
        } | {name: getattr(self, name) >= low for name, low in
             {"l2": 0, "patience": 0, "views": 0, "units": 1, "epochs": 1}.items()}  # fmt: skip
        for name, fits in right.items():
            if not fits:
                raise UserError(f"A tuned head cannot have {name} {getattr(self, name)!r}.")


@dataclass(frozen=True)
class Recipe:
    """From a folder of images to a classifier: choose what to train, train it, measure it, and save it with a report.

    DATA holds a folder per class, or train/ with val/ and test/ that do. What is missing is split off: stratified, by
    content, with the seed. `--recipe FILE` repeats the run of a recipe.json; other flags change it.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path | None = None
    """Folder for the model, the report and the numbers; runs/NAME-OF-DATA if not given."""
    model: str = "mobilenet_v2"
    """Architecture, a name of zoo.list_models()."""
    weights: str | None = None
    """A tag of the catalog, a file, or "none" for a random start; the model's first tag if not given."""
    alpha: float | None = None
    """Width multiplier, for the MobileNets."""
    strategy: Literal["auto", "small", "medium", "large", "full", "lp_ft", "gradual", "scratch", "tuned"] = "auto"
    """How much to train: small, the head alone; medium, the last stage too; large, everything, the earlier the more slowly;
    full, everything at one rate; lp_ft, the head, then everything at a low rate; gradual, stage by stage; scratch, from a
    random start; tuned, as a search has found it (give its best.json as --recipe); auto, by what is measured inside the
    training part."""
    batch_norm: Literal["inference", "affine", "adapt"] = "inference"
    """What batch norm does in fine-tuning: inference, all stays as pretrained; affine, scale and offset learn; adapt, the
    statistics follow the data."""
    budget: str | None = None
    """Time for the whole run, such as 90s, 10m or 1h."""
    validation: float = 0.2
    """Share of each class to hold out for validation, if DATA has no val/."""
    test: float = 0.2
    """Share of each class to hold out for the test, if DATA has neither val/ nor test/."""
    image_size: int | None = None
    """Height and width that the model sees; those of its weights if not given."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Whether mirrored pictures are of the same class and may be shown, too; auto measures it inside the training part."""
    augment: Literal["auto", "none", "crops", "alexnet", "modern"] = "auto"
    """What training pictures go through: auto, by the strategy; none, the central crop alone, as strategy small does; crops,
    random crops and mirrored ones, or, for a head alone, four fixed views; alexnet, its paper's, and ten test crops beside;
    modern, random-resized crop, TrivialAugment, erasing, mixup and cutmix."""
    epochs: int | None = None
    """Epochs of fine-tuning; the strategy's if not given."""
    learning_rate: float | None = None
    """Highest learning rate of fine-tuning. If not given: the strategy's, which is Adam's, for adam, adamw and rmsprop; ten
    times as high for momentum, nesterov and adagrad, a hundred times for sgd."""
    optimizer: Optimizer = "adam"
    """Optimiser of fine-tuning."""
    batch_size: int = 32
    """Images per step."""
    seed: int = 0
    """Of the split, the folds, the order and the augmentation."""
    head: Literal["linear", "dropout", "hidden", "cosine"] = "linear"
    """The classifier: linear, a logistic regression; dropout, the same trained with dropout; hidden, with a layer of 256
    units before it; cosine, directions of class means, for a few images a class."""
    pooling: Literal["average", "max", "both"] = "average"
    """What makes a vector of the last feature map; average is the network's own way, also where that is none."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """For classes of uneven size: weights, each class counts as much as any other; sampling, pictures are drawn so that each
    class is seen as often as any other (the solved heads, which draw nothing, are weighted)."""
    labels: Path | None = None
    """CSV file for pictures with any number of labels: a column path, relative to DATA; then labels, separated by ";", or
    a column of 0 and 1 for each class; and, if wanted, split (train, val or test)."""
    seeds: int = 1
    """Repeat the run with so many seeds, from --seed on, each with its own split if the split is not DATA's, and report mean
    and 95 % interval. Cheap with strategy small; others train the network so many times."""
    folds: int | None = None
    """Measure by so many folds inside the training part, too, and report mean and 95 % interval; costs as --seeds does."""
    tuned: Annotated[HeadSettings | None, Fixed, Suppress] = None
    """The head that a search has found, instead of --head; strategy small trains it."""
    fine_tuning: Annotated[FineTuneSettings | None, Fixed, Suppress] = None
    """How a search has found to fine-tune; strategy tuned does it."""

    def __post_init__(self):
        _check_positive(self, "image_size", "epochs", "learning_rate", "batch_size", "alpha", "seeds")
        if self.budget:
            seconds(self.budget)
        if self.folds is not None and self.folds < 2:
            raise UserError(f"--folds must be 2 or more, found {self.folds}.")
        if self.folds and self.seeds > 1:
            raise UserError("--folds and --seeds are two ways to repeat a run: give one of them.")
        if self.strategy == "tuned" and self.fine_tuning is None:
            raise UserError("--strategy tuned needs what a search has found: the best.json of `zoo tune` as --recipe.")
        if self.labels and self.head == "cosine":
            raise UserError("--head cosine tells classes apart that exclude each other: with --labels choose another head.")
        if self.labels and self.balance != "none":
            raise UserError("--balance is for pictures with one label: with --labels each class is learnt by itself.")
        others = {"strategy": "tuned" if self.fine_tuning else "small", "head": "linear", "pooling": "average",
                  "balance": "none", "labels": None}  # fmt: skip
        for name in others if self.tuned else ():
            if getattr(self, name) != others[name]:
                raise UserError(
                    f"--{name} {getattr(self, name)} cannot be had with the tuned head of a recipe.json: leave it out, "
                    f'or "tuned" out of the file.'
                )
        _check_shares(self)

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.output or Path("runs") / self.data.resolve().name

    def as_dict(self) -> dict:
        """Values for JSON; `from_dict` reads them."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(self).items()}

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n")

    @classmethod
    def from_dict(cls, values: dict) -> "Recipe":
        paths = {name: Path(values[name]) for name in ("data", "output", "labels") if values.get(name)}
        kinds = {"tuned": HeadSettings, "fine_tuning": FineTuneSettings}
        parts = {name: kind(**values[name]) for name, kind in kinds.items() if values.get(name)}
        return cls(**(values | paths | parts))

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Raises UserError if there is no such file or it is no recipe."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text()))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"--recipe {path} cannot be read as a recipe.json: {error}.") from error


@dataclass(frozen=True)
class Ranking:
    """Which backbone for these pictures? Every candidate is scored from one pass over a sample, before any is trained.

    DATA as for `zoo finetune`; only pictures that it would train on are looked at. Candidates are the weights of the
    catalog that are on this machine already, or those that --models names, and the files of --weights.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/rank")
    """Folder for the table, the picture and the journal, from which the same command goes on."""
    models: str | None = None
    """Models by a shell pattern, such as 'resnet*', each with its first weights, fetched if need be."""
    weights: tuple[str, ...] = ()
    """Files of weights, as MODEL=FILE, MODEL:ALPHA=FILE or MODEL:ALPHA:PIXELS=FILE, such as mobilenet:0.25:128=FILE."""
    images: int = 1000
    """Pictures in the sample."""
    budget: str | None = None
    """Time for all of it, such as 90s, 10m or 1.5h: the cheapest candidates first, as many as it lasts for."""
    batch_size: int = 32
    """Images per step of the pass."""
    seed: int = 0
    """Of the split and of the sample."""

    def __post_init__(self):
        _check_positive(self, "images", "batch_size")
        if self.budget is not None:
            seconds(self.budget)


def size(text: str) -> float:
    """ "500MB" and "2GB" in bytes.

    Raises:
        UserError: it is no such size, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])B?", text.strip(), re.IGNORECASE)
    count = found and float(found[1]) * 1000 ** (1 + "KMGT".index(found[2].upper()))
    if not count:
        raise UserError(f"--disk must be a size such as 500MB or 2GB, found {text!r}.")
    return count


@dataclass(frozen=True)
class Tuning:
    """Search over heads on features that are computed once, or over ways to fine-tune: many trials, the best one as a run.

    DATA as for `zoo finetune`; trials are judged on a part of its training pictures. The same command goes on where one was
    cut off; with --storage and --study it joins a search, from any machine.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/tune")
    """Folder for the trials, the table, the report, the best models and the winner's run."""
    scope: Literal["heads", "finetune"] = "heads"
    """What to search: heads, the classifier, on features of the frozen network; finetune, how much of the network to train,
    and how, the head starting from the best of a search over heads."""
    tuner: Literal["random", "grid", "bayesian", "hyperband", "tpe", "asha"] = "tpe"
    """Who proposes trials: random, grid, bayesian and hyperband are KerasTuner's; tpe (which ends poor trials early) and asha
    (successive halving, asynchronous) Optuna's."""
    trials: int = 50
    """Trials in all, by all workers."""
    epochs: int = 20
    """Epochs of a trial at most."""
    workers: int | None = None
    """Processes on this machine that run trials, each on its share of the cores, or on a GPU of its own; one for each GPU if
    not given, or one."""
    storage: str | None = None
    """Where the trials are kept: a URL, such as postgresql://USER:PASSWORD@HOST/DATABASE, for workers on several machines; a
    SQLite file in --output if not given."""
    study: str | None = None
    """Name of the search in --storage; that of DATA and the scope if not given."""
    keep: int = 3
    """Models to keep: those of the best trials."""
    disk: str = "2GB"
    """Most that the search may take on the disk: pictures and features in the cache, models and logs."""
    tensorboard: FlagCreatePairsOff[bool] = False
    """Write each trial's epochs and hyper-parameters for TensorBoard."""
    model: str = "mobilenet_v2"
    """Architecture, a name of zoo.list_models()."""
    weights: str | None = None
    """A tag of the catalog or a file; the model's first tag if not given."""
    alpha: float | None = None
    """Width multiplier, for the MobileNets."""
    image_size: int | None = None
    """Height and width that the model sees; those of its weights if not given."""
    validation: float = 0.2
    """Share of each class to hold out for validation, if DATA has no val/: no trial sees it."""
    test: float = 0.2
    """Share of each class to hold out for the test, if DATA has neither val/ nor test/."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Whether mirrored pictures are of the same class; auto leaves it to the search."""
    batch_size: int = 32
    """Images per step of the pass, and of fine-tuning."""
    seed: int = 0
    """Of the division into parts, the proposals and the trials."""

    def __post_init__(self):
        _check_positive(self, "trials", "epochs", "workers", "keep", "image_size", "alpha", "batch_size")
        size(self.disk)
        _check_shares(self)

    @property
    def folder(self) -> Path:
        """Of the results: two scopes share the storage in --output, and neither writes over the other's."""
        return self.output if self.scope == "heads" else self.output / self.scope

    def words(self) -> list[str]:
        """The command's arguments that stand for these settings."""
        words = [str(self.data)]
        for setting in dataclasses.fields(self)[1:]:
            value = getattr(self, setting.name)
            if value != setting.default:
                words += [f"--{setting.name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return words


@dataclass(frozen=True)
class Prediction:
    """Class names and probabilities of images, by the model of a finished run."""

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    images: Positional[tuple[str, ...]]
    """Files, folders (with all below them) and globs."""
    top: int = 3
    """Classes to print for each image, the likeliest first; a run with --labels prints all those over 0.5 instead."""


@dataclass(frozen=True)
class LenetMnist:
    """LeNet-5 on MNIST from a random start, plain and with distorted digits, several seeds: a table, and the weights."""

    data: Positional[Path]
    """Folder with train/0 … train/9 and test/0 … test/9, pictures of 28 × 28."""
    output: Path = Path("runs/lenet_mnist")
    """Folder for the table, the picture and the weights; the same command goes on where one was cut off."""
    forms: tuple[Literal["1998", "plain", "distorted"], ...] = ("plain", "distorted")
    """Which networks to train: 1998 has tanh and average pooling, as the weights in zoo/pretrained; the others ReLU and
    maximum pooling, without and with distortions."""
    seeds: int = 5
    """Networks of each form, with the seeds 0, 1, …"""
    epochs: int | None = None
    """Passes over the training part; the form's own if not given."""
    optimizer: Optimizer = "adam"
    """Which optimiser trains."""
    learning_rate: float = 2e-3
    """The highest: warm-up before, cosine decay after."""
    validation: float = 0.0
    """Share of train/ to hold out, and to measure instead of test/: for choosing settings."""

    def __post_init__(self):
        _check_positive(self, "seeds", "epochs", "learning_rate")
        if not 0 <= self.validation < 1:
            raise UserError(f"--validation must be a share of at least 0 and below 1, found {self.validation}.")


@dataclass(frozen=True)
class Demo:
    """Fine-tune the LeNet-5 that ships with the zoo on a few of scikit-learn's handwritten digits, and compare."""

    output: Path = Path("runs/demo")
    """Folder for the pictures and the two runs."""
    images: int = 10
    """Training pictures of each digit."""
    seed: int = 0
    """Of the choice of pictures and of the training."""


@dataclass(frozen=True)
class Models:
    """The architectures with their weights, parameters, multiply-adds, input size, published top-1 accuracy and stages."""

    pattern: Positional[str] = "*"
    """Which models: a shell pattern, such as 'resnet*'."""
    json: FlagCreatePairsOff[bool] = False
    """All that the catalog knows, as JSON."""
    csv: FlagCreatePairsOff[bool] = False
    """The same as CSV."""


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


@dataclass(frozen=True)
class ReceptiveFields:
    """The arithmetic of convolutions in numbers and pictures, and what the stages of a network see: computed and measured."""

    model: Positional[str] = "lenet5"
    """Architecture, a name that `zoo models` lists."""
    input_size: int | None = None
    """Height and width in pixels; the model's own if not given."""
    output: Path = Path("runs/receptive_fields")
    """Folder for pictures, table and numbers."""


@dataclass(frozen=True)
class InspectKernels:
    """The learned kernels of a network, and a picture's feature maps on its way through the stages."""

    model: Positional[str] = "lenet5"
    """Architecture, a name that `zoo models` lists."""
    image: Positional[Path | None] = None
    """Picture to look at; one that comes with scikit-learn if not given."""
    weights: str | None = None
    """A tag of the catalog or a file; the model's first tag if not given."""
    output: Path = Path("runs/inspect_kernels")
    """Folder for pictures, table and numbers."""


@dataclass(frozen=True)
class CompareOptimizers:
    """Which optimiser is best on your data: all of the lecture's, each with a learning rate tuned at the same cost.

    DATA holds a folder per class, or train/ and val/ that do; of train/ a third is held out if there is no val/.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/compare_optimizers")
    """Folder for the table, the curves and the journal, from which the same command goes on."""
    model: str = "lenet5"
    """Architecture, a name that `zoo models` lists."""
    weights: str | None = None
    """A tag of the catalog or a file to start from; a random start if not given."""
    images: int = 1500
    """Training images at most; half as many are held out for validation."""
    epochs: int = 6
    """Passes over the training part; those that choose the learning rate take a quarter."""
    seeds: int = 5
    """Runs of each optimiser at its rate: start and order differ."""
    batch_size: int = 32
    """Images per step."""
    seed: int = 0
    """First of the seeds; chooses the pictures."""

    def __post_init__(self):
        _check_positive(self, "images", "epochs", "seeds", "batch_size")


@dataclass(frozen=True)
class CompareRegularizers:
    """What closes the gap between training and test: L2, dropout, early stopping, augmentation, and combinations.

    DATA holds a folder per class, or train/ (and val/, test/) that do. Strengths are chosen on a validation part, the
    numbers are those of a test part that no choice has seen.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/compare_regularizers")
    """Folder for the table, the plots and the journal, from which the same command goes on."""
    model: str = "lenet5"
    """Architecture, a name that `zoo models` lists."""
    sizes: tuple[int, ...] = (100, 300, 1000)
    """Training-set sizes; the strengths are chosen at the middle one."""
    held_out: int = 1000
    """Images at most for validation, and as many for the test."""
    epochs: int = 30
    """Passes over 100 images; a set of n images gets √(100 / n) times as many."""
    seeds: int = 3
    """Runs of each: the training set, the start and the order differ."""
    optimizer: Optimizer = "adam"
    """Optimiser, at its usual learning rate."""
    batch_size: int = 16
    """Images per step."""
    seed: int = 0
    """First of the seeds; divides the pictures."""

    def __post_init__(self):
        _check_positive(self, "held_out", "epochs", "seeds", "batch_size")
        if not self.sizes or min(self.sizes) < 1:
            raise UserError(f"--sizes must be positive numbers of images, found {self.sizes}.")
