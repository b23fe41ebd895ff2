"""What a search has found: part of a recipe.json, never typed as flags."""

from dataclasses import dataclass
from typing import Literal, get_args

from recipes.errors import UserError
from recipes.settings.shared import Optimizer


@dataclass(frozen=True)
class FineTuneSettings:
    """What `--strategy tuned` needs beside a recipe's own learning rate, epochs, augmentation and batch norm."""

    freeze_until: str | None = None
    """A stage; None trains everything."""
    layer_decay: float = 1.0
    """Learning rate of each earlier stage relative to the next."""
    weight_decay: float = 0.0
    """As in `callbacks.get_optimizer`, decoupled from the gradient."""


@dataclass(frozen=True)
class HeadSettings:
    """A head and how it is trained by `recipes.transfer.head_trainer`, as a search chooses it."""

    cut: str = "pre_logits"
    """The stage whose output the head sees, averaged over the pixels if it is a map."""
    kind: Literal["linear", "hidden"] = "linear"
    units: int = 256
    """Width of the hidden layer."""
    dropout: float = 0.0
    """Rate before the last layer."""
    l2: float = 0.0
    """Factor of the kernels' squares, on standardised features."""
    l2_schedule: Literal["constant", "cosine"] = "constant"
    """Whether the factor stays, or falls to 0 along a cosine."""
    learning_rate: float = 1e-3
    """The highest: warm-up before, cosine decay after."""
    optimizer: Optimizer = "adam"
    label_smoothing: float = 0.0
    class_weights: bool = False
    """Whether all of a class together count as much as all of any other."""
    epochs: int = 20
    patience: int = 0
    """Epochs without a lower held-out loss after which the best weights are taken; 0 takes the last."""
    views: int = 0
    """Views of `recipes.data.views.VIEWS` beside the first."""

    def __post_init__(self):
        right = {
            "kind": self.kind in get_args(HeadSettings.__annotations__["kind"]),
            "l2_schedule": self.l2_schedule in get_args(HeadSettings.__annotations__["l2_schedule"]),
            "optimizer": self.optimizer in get_args(Optimizer),
            "dropout": 0 <= self.dropout < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "learning_rate": self.learning_rate > 0,
        } | {
            name: getattr(self, name) >= low
            for name, low in {"l2": 0, "patience": 0, "views": 0, "units": 1, "epochs": 1}.items()
        }
        for name, fits in right.items():
            if not fits:
                raise UserError(f"A tuned head cannot have {name} {getattr(self, name)!r}.")
