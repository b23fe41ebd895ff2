"""What a search over heads may choose, as a KerasTuner space."""

from collections.abc import Mapping, Sequence

import keras_tuner

from callbacks.optimizers import OPTIMIZERS, RATES
from recipes.settings.tuned import HeadSettings

# Few, for each is a shape that is compiled once.
HIDDEN_UNITS = (64, 256)


def hyperparameters_of(values: Mapping) -> keras_tuner.HyperParameters:
    """Turn the values of a trial's record into hyper-parameters, for a space to read."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


def declare_head(hp: keras_tuner.HyperParameters, cuts: Sequence[str], views: Sequence, epochs: int) -> HeadSettings:
    """Declare the space of heads, and read the head that `hp` stands for.

    Args:
        cuts: stages, the last of which is the default.
        views: what there is to train on; the first is what evaluation sees, and every head sees it.
        epochs: how many a trial has at most.
    """
    kind, _, units = hp.Choice("head", ["linear", *(f"hidden {units}" for units in HIDDEN_UNITS)]).partition(" ")
    optimizer = hp.Choice("optimizer", list(OPTIMIZERS), default="adam")
    # One scale for all optimisers, Adam's: so that what is learnt about one tells of the others.
    rate = hp.Float("learning_rate", 1e-4, 3e-2, sampling="log", default=1e-3)
    chosen = hp.Choice("epochs", sorted({-(-epochs // 4), -(-epochs // 2), epochs}), default=epochs)
    return HeadSettings(
        cut=hp.Choice("cut", list(cuts), default=cuts[-1]),
        kind=kind,
        units=int(units or HeadSettings.units),
        dropout=hp.Float("dropout", 0.0, 0.7, default=0.0),
        l2=hp.Float("l2", 1e-6, 1e-1, sampling="log", default=1e-4),
        l2_schedule=hp.Choice("l2_schedule", ["constant", "cosine"]),
        learning_rate=rate * RATES[optimizer] / RATES["adam"],
        optimizer=optimizer,
        label_smoothing=hp.Float("label_smoothing", 0.0, 0.2, default=0.0),
        class_weights=hp.Boolean("class_weights"),
        epochs=hp.values.get("tuner/epochs", chosen),  # Hyperband says itself how long
        patience=max(3, epochs // 4),
        views=hp.Int("views", 0, len(views) - 1, default=len(views) - 1),
    )
