"""Settings of `zoo features`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Fixed, Suppress

from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.settings.shared import BackboneCommand, check_positive


@dataclass(frozen=True)
class Features(BackboneCommand):
    """Compute what a frozen network gives for each picture, and keep it: the `zoo finetune` that follows finds it there.

    DATA and all flags that are its, too, as for `zoo finetune`. Nothing is written but the cache, on this machine.
    """

    COMMAND = "features"
    EVERYDAY = ("model", "strategy", "ray", "actors", "labels")
    EXAMPLES = (
        "zoo features photos --strategy small",
        "zoo features photos --model vit_b_16 --ray auto",
    )

    strategy: Literal["auto", "small", "medium", "large", "full", "lp_ft", "gradual"] = "auto"
    """The strategy of `zoo finetune` whose features are wanted; auto: those of which it is certain that auto needs them."""
    augment: Literal["auto", "none", "crops", "alexnet", "modern"] = "auto"
    """What training pictures will go through: it says in how many views the head is shown them."""
    pooling: Literal["average", "max", "both"] = "average"
    """What makes a vector of the last feature map."""
    labels: Path | None = None
    """Table (.csv, .tsv, .parquet) of the pictures in DATA; the folders are the labels if not given. Rules: docs/tables.md."""
    ray: str | None = None
    """Cluster that computes, of Ray's: HOST:PORT or auto for one that this machine belongs to, local for one on this machine
    alone; this process if not given. Needs ray, an extra. docs/features.md."""
    actors: int | None = None
    """Copies of the network that the cluster holds; one for each graphics card or, without any, for each machine if not
    given."""
    output: Annotated[Path | None, Fixed, Suppress] = None
    """None: the cache has a place of its own."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "actors")
        if self.weights == "none":
            raise UserError("There is nothing to keep of a random start: leave out --weights none, or give a tag or a file.")
        if self.actors and not self.ray:
            raise UserError("--actors are a cluster's: give --ray as well, such as --ray local.")
        if self.ray is not None and (not self.ray or "://" in self.ray):
            raise UserError(
                f"--ray must be HOST:PORT or auto, for a cluster that this machine belongs to, or local, found {self.ray!r}."
            )

    def as_recipe(self) -> Recipe:
        """Give the settings of the run that will need the features."""
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe) if hasattr(self, field.name)})
