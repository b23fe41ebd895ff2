"""Thawing the stages of a network one after another inside one `fit`.

Every layer that will train at some time is trainable from the start, and the optimiser has slots for all of them; what is
still frozen has its update multiplied by 0 (`LayerwiseRates`). So nothing is traced again, the slots of what was already
training go on untouched, and the slots of what thaws are warm: started empty in the middle of a run, Adam's would make the
first steps about three times too long, for its correction of the bias is by then over. The price is that frozen stages
take part in the backward pass.
"""

from collections.abc import Mapping

from keras import layers

from callbacks.optimizers import layerwise, names_before
from callbacks.state import Stateful
from zoo.graph import before, walk


class GradualUnfreezing(Stateful):
    """Freezes, from each epoch of `plan` on, what lies before the stage given there; None frees all.

    >>> GradualUnfreezing({0: "pre_logits", 5: "stage3", 10: None})   # the head; from epoch 5 what is behind stage3; all

    The model must be compiled with `LayerwiseRates`, whose own rates hold for what has thawed.

    Batch norm is a matter of its own. A `BatchNormalization` made untrainable before `compile` stays in inference mode
    through the whole fit, frozen or thawed: `batch_norm="inference"` asks for that of all stages that begin frozen.
    `batch_norm="train"` lets them be trainable; then they use and update statistics of the batch from the first epoch on,
    also while their scale and offset are frozen.

    Layers that were made untrainable before `compile` stay so, whatever the plan.

    Raises:
        ValueError: the plan does not begin with epoch 0, or names no stage of the model; the model is neither functional nor
            Sequential; or, with "inference", batch norm of frozen stages is trainable.
    """

    STATE = ("_rates",)

    def __init__(self, plan: Mapping[int, str | None], batch_norm: str = "inference"):
        super().__init__()
        if not plan or min(plan) != 0:
            raise ValueError(f"The plan must say what is frozen from epoch 0 on, found {dict(plan)}.")
        if batch_norm not in ("inference", "train"):
            raise ValueError(f'batch_norm must be "inference" or "train", found {batch_norm!r}.')
        self.plan, self.batch_norm = dict(plan), batch_norm
        self._rates = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        optimizer = layerwise(self.model.optimizer)
        self._rates = dict(optimizer.rates)
        for stage in self.plan.values():
            names_before(self.model, stage)  # a stage that is missing is to be known before anything is trained
        frozen = [path[-1] for layer in before(self.model, self.plan[0]) for path in [*walk(layer), (layer,)]]
        moving = [layer.name for layer in frozen if isinstance(layer, layers.BatchNormalization) and layer.trainable]
        if moving and self.batch_norm == "inference":
            raise ValueError(
                f"Batch norm of frozen stages would train: {', '.join(moving[:3])}{', ...' if moving[3:] else ''}. Make it "
                'untrainable before compile, or give batch_norm="train".'
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        stage = self.plan[max(start for start in self.plan if start <= epoch)]
        frozen = dict.fromkeys(names_before(self.model, stage), 0.0)
        layerwise(self.sync().optimizer).set_rates(frozen | {k: v for k, v in self._rates.items() if k not in frozen})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs["frozen"] = float(sum(rate == 0 for rate in layerwise(self.model.optimizer).rates.values()))

    def on_train_end(self, logs: dict | None = None) -> None:
        layerwise(self.model.optimizer).set_rates(self._rates)
