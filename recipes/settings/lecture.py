"""Settings of the lecture's experiments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from recipes.errors import UserError
from recipes.settings.shared import Architecture, BatchCommand, DataCommand, FolderCommand, ImageSize, Optimizer, check_positive


@dataclass(frozen=True)
class LenetMnist(DataCommand):
    """LeNet-5 on MNIST from a random start, plain and with distorted digits, several seeds: a table, and the weights.

    DATA holds train/0 … train/9 and test/0 … test/9, pictures of 28 × 28.
    """

    COMMAND = "lenet_mnist"
    EXAMPLES = ("zoo lenet_mnist mnist --seeds 1", "zoo lenet_mnist mnist --forms 1998 --validation 0.1")

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
        check_positive(self, "seeds", "epochs", "learning_rate")
        if not 0 <= self.validation < 1:
            raise UserError(f"--validation must be a share of at least 0 and below 1, found {self.validation}.")


@dataclass(frozen=True)
class ModelCommand(FolderCommand):
    """A command that looks at an architecture."""

    model: Positional[Architecture] = "lenet5"
    output: Path | None = field(default=None, kw_only=True)
    """Folder for everything that the command writes; runs/COMMAND/MODEL if not given."""

    @property
    def subject(self) -> str:
        """The name of the architecture."""
        return self.model


@dataclass(frozen=True)
class ReceptiveFields(ModelCommand):
    """The arithmetic of convolutions in numbers and pictures, and what the stages of a network see: computed and measured."""

    COMMAND = "receptive_fields"
    EXAMPLES = ("zoo receptive_fields", "zoo receptive_fields vgg16 --image-size 64")

    image_size: ImageSize = None


@dataclass(frozen=True)
class InspectKernels(ModelCommand):
    """The learned kernels of a network, and a picture's feature maps on its way through the stages."""

    COMMAND = "inspect_kernels"
    EXAMPLES = ("zoo inspect_kernels", "zoo inspect_kernels efficientnet_lite0 photo.jpg")

    image: Positional[Path | None] = None
    """Picture to look at; one that comes with scikit-learn if not given."""
    weights: str | None = None
    """A tag of the catalog, default for the most accurate as published, or a file; the model's first tag if not given."""

    @property
    def subject(self) -> str:
        """The names of the architecture and of the picture, if one is given."""
        return f"{self.model}-{self.image.stem}" if self.image else self.model


@dataclass(frozen=True)
class CompareOptimizers(BatchCommand):
    """Which optimiser is best on your data: all of the lecture's, each with a learning rate tuned at the same cost.

    DATA holds a folder per class, or train/ and val/ that do; of train/ a third is held out if there is no val/.
    """

    COMMAND = "compare_optimizers"
    EXAMPLES = (
        "zoo compare_optimizers mnist",
        "zoo compare_optimizers photos --model mobilenet_v2 --images 300 --seeds 3",
    )

    model: Architecture = "lenet5"
    weights: str | None = None
    """A tag of the catalog or a file to start from; a random start if not given."""
    images: int = 1500
    """Training images at most; half as many are held out for validation."""
    epochs: int = 6
    """Passes over the training part; those that choose the learning rate take a quarter."""
    seeds: int = 5
    """Runs of each optimiser at its rate: start and order differ."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "images", "epochs", "seeds")


@dataclass(frozen=True)
class CompareRegularizers(BatchCommand):
    """What closes the gap between training and test: L2, dropout, early stopping, augmentation, and combinations.

    DATA holds a folder per class, or train/ (and val/, test/) that do. Strengths are chosen on a validation part, the
    numbers are those of a test part that no choice has seen.
    """

    COMMAND = "compare_regularizers"
    EXAMPLES = ("zoo compare_regularizers mnist", "zoo compare_regularizers photos --sizes 50 100 200 --seeds 5")

    model: Architecture = "lenet5"
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
    batch_size: int = field(default=16, kw_only=True)
    """Images per step."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "held_out", "epochs", "seeds")
        if not self.sizes or min(self.sizes) < 1:
            raise UserError(f"--sizes must be positive numbers of images, found {self.sizes}.")
