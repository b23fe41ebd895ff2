"""What a search over heads may choose: all that is promised, and nothing that cannot be trained."""

import keras_tuner
import numpy as np
import pytest

from callbacks.optimizers import OPTIMIZERS, RATES
from recipes.errors import UserError
from recipes.search import space
from recipes.settings.tuned import HeadSettings

CUTS, VIEWS = ("stage4", "stage5", "pre_logits"), ("centre", "wide", "centre mirrored", "wide mirrored")


def draws(count: int, epochs: int = 20) -> list[HeadSettings]:
    found = []
    for seed in range(count):
        hp = keras_tuner.HyperParameters()
        space.declare_head(hp, CUTS, VIEWS, epochs)
        hp.values = {each.name: each.random_sample(100 * seed + i) for i, each in enumerate(hp.space)}
        found.append(space.declare_head(hp, CUTS, VIEWS, epochs))
    return found


def test_everything_that_is_promised_can_be_chosen():
    found = draws(300)
    for name, expected in {
        "cut": set(CUTS),
        "kind": {"linear", "hidden"},
        "optimizer": set(OPTIMIZERS),
        "views": {0, 1, 2, 3},
        "l2_schedule": {"constant", "cosine"},
        "class_weights": {False, True},
        "epochs": {5, 10, 20},
        "patience": {5},
    }.items():
        assert {getattr(head, name) for head in found} == expected, name
    assert {head.units for head in found if head.kind == "hidden"} == set(space.HIDDEN_UNITS)
    for name in ("dropout", "l2", "label_smoothing", "learning_rate"):
        assert len({getattr(head, name) for head in found}) > 250, name


def test_learning_rates_are_on_the_scale_of_the_optimizer():
    drawn = draws(300)
    rates = {name: [h.learning_rate for h in drawn if h.optimizer == name] for name in OPTIMIZERS}
    for name, found in rates.items():
        middle = np.exp(np.mean(np.log(found))) / RATES[name]
        assert 0.9 < middle < 3.3  # from a tenth to thirty times of what is usual


def test_the_default_is_a_linear_head_before_the_old_classifier():
    head = space.declare_head(keras_tuner.HyperParameters(), CUTS, VIEWS, 20)
    assert (head.cut, head.kind, head.optimizer, head.epochs, head.views) == ("pre_logits", "linear", "adam", 20, 3)


def test_hyperband_says_how_long():
    hp = keras_tuner.HyperParameters()
    space.declare_head(hp, CUTS, VIEWS, 20)
    hp.values["tuner/epochs"] = 3
    assert space.declare_head(hp, CUTS, VIEWS, 20).epochs == 3


@pytest.mark.parametrize("name, value", [("kind", "deep"), ("dropout", 1.0), ("optimizer", "lion"), ("epochs", 0)])
def test_settings_that_cannot_be_trained_are_one_sentence(name, value):
    with pytest.raises(UserError, match=f"A tuned head cannot have {name} {value!r}"):
        HeadSettings(**{name: value})
