"""The search over ways to fine-tune, `zoo tune --scope finetune`: its space, and the work on a trial.

A trial is `zoo finetune --strategy tuned` on three quarters of the training part, judged on the last one, in a process of its
own:

    python -m recipes.search.fine_tuning job.json

The head comes first, as the recipe says: solved, or the best of a search over heads. The recipe's seed divides the pictures,
all else in a trial is drawn by the trial's. One that was killed goes on from its last epoch (`callbacks.checkpoint`); one
that runs out of memory is tried again with smaller batches (`recipes.compute.processes`).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.compute import processes
from recipes.errors import UserError
from recipes.search.best_models import BestModels
from recipes.search.records import TrialRecord
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings

if TYPE_CHECKING:
    import keras
    from keras_tuner import HyperParameters

    from recipes.search.loop import Trial

# To freeze nothing: among KerasTuner's choices there is no None.
NO_CUT = "nothing"
AUGMENTATIONS = ("none", "crops", "modern")


@dataclass(frozen=True)
class FineTuner:
    """What is searched around a recipe, and the work on one trial.

    Args:
        recipe: what is not searched, the head among it.
        cuts: stages up to which a trial may freeze the network; see `choices`.
        policies: what batch norm may do.
        epochs: how many a trial has at most.
        folder: where the logs of failed trials lie.
        models: keeps those of the best trials.
    """

    recipe: Recipe
    cuts: Sequence[str]
    policies: Sequence[str]
    epochs: int
    folder: Path
    models: BestModels

    def declare_recipe(self, hp: "HyperParameters") -> Recipe:
        """Declare the space of fine-tunings, and read the recipe that `hp` stands for."""
        cut = hp.Choice("freeze_until", [NO_CUT, *self.cuts])
        found = FineTuneSettings(
            None if cut == NO_CUT else cut,
            layer_decay=hp.Float("layer_decay", 0.4, 1.0, step=0.1),
            weight_decay=hp.Float("weight_decay", 1e-4, 1.0, sampling="log"),
        )
        epochs = hp.Choice("epochs", sorted({math.ceil(self.epochs / part) for part in (4, 2, 1)}))
        return dataclasses.replace(
            self.recipe,
            strategy="tuned",
            fine_tuning=found,
            learning_rate=hp.Float("learning_rate", 1e-5, 1e-2, sampling="log"),
            augment=hp.Choice("augment", list(AUGMENTATIONS)),
            batch_norm=hp.Choice("batch_norm", list(self.policies)),
            epochs=hp.values.get("tuner/epochs") or epochs,  # Hyperband says itself how long
        )

    def work(self, trial: "Trial") -> dict:
        """Train, and give loss and accuracy on the held-out quarter and the batch size that had room.

        Raises:
            UserError: the trial has failed, in a sentence.
        """
        recipe = self.declare_recipe(trial.hyperparameters)
        least = min(recipe.batch_size, 16 if recipe.batch_norm == "adapt" else processes.SMALLEST_BATCH)
        # A worker that was thought dead may still write into the folder of its run.
        folder = self.folder / (f"trial{trial.number}" + (f"-{trial.run}" if trial.run > 1 else ""))
        model = folder / "model.keras"
        job = {"recipe": recipe.as_dict(), "seed": trial.seed, "batch_size": recipe.batch_size, "model": str(model)}
        result = processes.run("recipes.search.fine_tuning", job, folder, trial.report, least)
        self.models.offer(trial.number, result["loss"], model.suffix, model.stat().st_size, model.rename)
        model.unlink(missing_ok=True)  # it is not among the best
        return result

    def winner(self, trial: TrialRecord) -> Recipe:
        """Make the recipe that `zoo finetune --recipe` repeats, from the best trial."""
        from recipes.search.space import hyperparameters_of

        recipe = self.declare_recipe(hyperparameters_of(trial.values))
        return dataclasses.replace(recipe, batch_size=trial.result["batch_size"])


def choices(model: "keras.Model", images: int, batch_size: int) -> tuple[list[str], list[str]]:
    """Find the stages with weights between them and the classifier, and the policies of batch norm that the pictures allow."""
    import keras

    import zoo
    from recipes.transfer import batch_norm

    stages = zoo.stages(model)
    sizes = [keras.Model(model.input, model.get_layer(stage).output).count_params() for stage in stages]
    cuts = [stage for stage, size in zip(stages, sizes, strict=True) if size < sizes[-1]]
    if not any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers):
        return cuts, ["inference"]
    try:
        batch_norm.check("adapt", images, batch_size)
    except UserError:
        return cuts, ["inference", "affine"]
    return cuts, ["inference", "affine", "adapt"]


def train(job: dict, tell: Callable[[dict], None]) -> dict:
    """Fine-tune one trial on three quarters of the training part.

    The recipe's seed divides the pictures, the trial's seed draws all else.

    Raises:
        UserError: it has failed, in a sentence.
    """
    from recipes.compute import runtime

    runtime.start(job["seed"])
    from recipes.runs import model_file
    from recipes.transfer.choice import chosen_strategy
    from recipes.transfer.run import fit, prepare, probabilities
    from recipes.transfer.trials import known_evidence

    recipe = dataclasses.replace(Recipe.from_dict(job["recipe"]), batch_size=job["batch_size"])
    prepared = prepare(recipe)
    own = dataclasses.replace(recipe, seed=job["seed"])
    prepared = dataclasses.replace(prepared, recipe=own, data=prepared.data.inner(recipe.seed))
    data, model = prepared.data, prepared.model

    def report(row: dict, states: Sequence[Path]) -> None:
        if row["validation_loss"] is not None:
            tell({"epoch": row["epoch"], "loss": row["validation_loss"], "states": [str(state) for state in states]})

    strategy = chosen_strategy(own, model, data, known_evidence(own, model, data, 0.0))
    fit(prepared, strategy, report=report)
    held_out = data.part("validation")
    guess, weights = probabilities(prepared, strategy)[held_out], data.weights_of(held_out)
    scores = data.task.metrics(data.labels[held_out], guess, data.classes, weights)
    model_file.save(model, Path(job["model"]), data.classes, dataclasses.asdict(data.framing))
    return {"loss": scores["loss"], "accuracy": scores["accuracy"], "epoch": recipe.epochs}


if __name__ == "__main__":
    processes.serve(train)
