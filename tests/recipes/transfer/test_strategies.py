"""How much to train: pure functions of facts; batch norm's policies on a network small enough to compute by hand."""

import typing
from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import array
from keras import layers
from scipy.special import softmax

import zoo
from recipes.data.batches import Batches
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.transfer import batch_norm, logistic, strategies, training
from recipes.transfer.choice import auto, can_win, next_to_try, trial_of, within_budget
from recipes.transfer.evidence import Evidence, Probe, Trial
from recipes.transfer.strategies import Phase

STAGES = ["stage1", "stage2", "stage3", "stage4", "pre_logits"]
FACTS = Evidence(images=244, classes=2, fewest=121, forward=400.0, training=100.0)
LIKE = {
    "stage2": Probe(0.9, 0.60, 0.54, 0.66),
    "stage3": Probe(0.7, 0.70, 0.64, 0.75),
    "pre_logits": Probe(0.3, 0.9, 0.86, 0.93),
}
UNLIKE = LIKE | {"stage3": Probe(0.2, 0.95, 0.91, 0.97)}


class TestStrategies:
    @pytest.mark.parametrize(
        "name, cut, head_first",
        [
            ("small", "pre_logits", True),
            ("medium", "stage3", True),
            ("large", None, True),
            ("full", None, False),
            ("lp_ft", None, True),
            ("gradual", None, True),
            ("scratch", None, False),
        ],
    )
    def test_what_is_frozen_at_the_end(self, name, cut, head_first):
        strategy = strategies.STRATEGIES[name](STAGES, FACTS, "")
        assert (strategy.freeze_until, strategy.head_first) == (cut, head_first)
        assert [phase.freeze_until for phase in strategy.phases][-1:] == ([] if name == "small" else [cut])

    def test_gradual_thaws_from_the_last_stage_to_the_first(self):
        phases = strategies.gradual(STAGES, FACTS, "").phases
        assert [phase.freeze_until for phase in phases] == ["stage3", "stage2", "stage1", None]

    @pytest.mark.parametrize("images, epochs", [(10, 500), (32, 500), (33, 250), (244, 63), (16_000, 3), (100_000, 3)])
    def test_steps_set_the_epochs_of_small_folders_and_passes_those_of_large_ones(self, images, epochs):
        assert replace(FACTS, images=images).epochs(500, 3) == epochs

    def test_where_an_earlier_stage_serves_better_more_is_thawed(self):
        like, unlike = replace(FACTS, probes=LIKE), replace(FACTS, probes=UNLIKE | {"stage2": Probe(0.1, 0.97, 0.94, 0.99)})
        assert strategies.medium(STAGES, like, "").freeze_until == "stage3"
        assert strategies.medium(STAGES, unlike, "").freeze_until == "stage2"


def tried(**losses) -> tuple[Trial, ...]:
    """Trials on 50 pictures, each with a standard error of 0.02: of small one, of others by the share of the way."""
    steps = [(name, by if isinstance(by, dict) else {1.0: by}) for name, by in losses.items()]
    return tuple(Trial(name, 50, loss, 0.8, 0.02, share) for name, by in steps for share, loss in by.items())


class TestAuto:
    @pytest.mark.parametrize(
        "losses, probes, name, share",
        [
            ({"small": 0.40, "medium": 0.45}, LIKE, "small", None),
            ({"small": 0.40, "medium": 0.30}, LIKE, "medium", 1.0),
            ({"small": 0.40, "medium": 0.30, "large": 0.25}, LIKE, "large", 0.75),  # as far as it goes by itself
            ({"small": 0.40, "medium": 0.39, "large": 0.385}, LIKE, "small", None),  # which none is worth: 0.38 would be
            ({"small": 0.40, "medium": {0.25: 0.38, 1.0: 0.37}, "large": 0.36}, LIKE, "medium", 1.0),
            ({"small": 0.40, "medium": 0.36, "large": {0.25: 0.39, 0.5: 0.34, 0.75: 0.37, 1.0: 0.38}}, LIKE, "large", 0.5),
            ({"small": 0.40, "medium": 0.36, "large": {0.25: 0.39, 0.5: 0.35, 0.75: 0.36, 1.0: 0.38}}, UNLIKE, "large", 0.75),
            ({"small": 0.40, "medium": 0.39, "large": 0.395}, UNLIKE, "large", 0.75),  # behind by less than the standard error
            ({"small": 0.40, "medium": 0.39, "large": 0.450}, UNLIKE, "medium", 1.0),
        ],
    )
    def test_what_is_worth_its_cost_wins_and_the_numbers_are_said(self, losses, probes, name, share):
        strategy = auto(STAGES, replace(FACTS, probes=probes, transferability=0.52, trials=tried(**losses)))
        assert strategy.name == name and [phase.interpolation for phase in strategy.phases] == ([share] if share else [])
        least = [min(by.values()) if isinstance(by, dict) else by for by in losses.values()]
        for number in (*(f"{loss:.3f}" for loss in least), "50", "244", "121", "90.0 %", "86.0 % to 93.0 %", "0.52"):
            assert number in strategy.reason

    def test_how_far_it_went_is_said(self):
        facts = replace(FACTS, trials=tried(small=0.40, large={0.5: 0.25, 1.0: 0.3}))
        assert "small 0.400 (80.0 %), large 0.250 (80.0 %, 50 % of the way)" in auto(STAGES, facts).reason
        assert strategies.large(STAGES, FACTS, "").phases[0].interpolation == 0.75

    def test_without_trials_images_decide(self):
        assert auto(STAGES, FACTS).name == "small"
        assert auto(STAGES, replace(FACTS, images=1_000)).name == "medium"
        assert auto(STAGES, replace(FACTS, images=10_000)).name == "large"
        assert auto(STAGES, replace(FACTS, images=20_000)).augment == "modern"
        assert auto(STAGES, replace(FACTS, pretrained=False)).name == "scratch"
        assert auto(STAGES, FACTS, from_images=True).name == "medium"

    def test_no_time_to_train_is_said_and_small_is_taken(self):
        # 500 steps of 32 at 100 images/s take 160 s: a quarter of them does not fit in 30
        strategy = auto(STAGES, replace(FACTS, images=20_000, budget=30.0))
        assert strategy.name == "small" and "30 s are too short" in strategy.reason

    def test_medium_is_tried_where_large_is_not_clearly_better_than_the_head(self):
        def after(**losses):
            return next_to_try(replace(FACTS, trials=tried(**losses)))

        assert after() == "small" and after(small=0.4) == "large"
        assert after(small=0.4, large=0.39) == after(small=0.4, large={0.5: 0.381, 1.0: 0.5}) == "medium"
        assert after(small=0.4, large=0.379) is after(small=0.4, large={0.5: 0.379, 1.0: 0.5}) is None
        assert after(small=0.4, large=0.39, medium=0.3) is None
        ended = replace(tried(large=0.1)[0], epochs=7, planned=28)
        assert next_to_try(replace(FACTS, trials=(*tried(small=0.4), ended))) == "medium"

    def test_nothing_follows_a_trial_that_has_nearly_everything_right(self):
        perfect = (Trial("small", 50, 0.01, 1.0, 0.0),)
        assert next_to_try(replace(FACTS, trials=perfect)) is None
        assert auto(STAGES, replace(FACTS, trials=perfect)).name == "small"

    def test_the_order_of_trials_changes_nothing(self):
        trials = tried(small=0.40, medium=0.36, large={0.5: 0.35, 1.0: 0.37})
        for probes in (LIKE, UNLIKE):
            facts = replace(FACTS, probes=probes, trials=trials)
            other = auto(STAGES, replace(facts, trials=(trials[0], *trials[2:], trials[1])))
            assert (other.name, other.phases) == (auto(STAGES, facts).name, auto(STAGES, facts).phases)

    @pytest.mark.parametrize(
        "images, right, following",
        [(61, 58, None), (61, 57, "large"), (12, 12, None), (12, 11, "large"), (400, 396, None), (400, 395, "large")],
    )
    def test_enough_is_95_percent_right_and_fewer_than_five_wrong(self, images, right, following):
        trial = Trial("small", images, 0.1, right / images, 0.0)
        assert next_to_try(replace(FACTS, trials=(trial,))) == following

    def test_nothing_is_tried_where_it_cannot_be_or_need_not(self):
        for change in ({"fewest": 3}, {"pretrained": False}, {"images": 10_000}, {"budget": 39.0}):
            assert next_to_try(replace(FACTS, **change)) is None
        assert next_to_try(FACTS, from_images=True) == "large"

    def test_a_budget_says_how_much_is_tried(self):
        """500 steps of 32 at 100 images/s take 160 s."""
        head, both = tried(small=0.4), tried(small=0.4, large=0.39)
        for budget, following in ((41.0, ("medium", None)), (159.0, ("medium", None)), (161.0, ("large", "medium"))):
            assert tuple(next_to_try(replace(FACTS, budget=budget, trials=trials)) for trials in (head, both)) == following

    @pytest.mark.parametrize(
        "rung, rivals, differs, may",
        [
            ({0.0: 0.40, 0.25: 0.38, 1.0: 0.6}, {"small": 0.40}, False, True),  # 0.372 is expected, and below 0.38 needed
            ({0.0: 0.40, 0.25: 0.39, 1.0: 0.6}, {"small": 0.40}, False, False),  # 0.386 would not be taken
            ({0.0: 0.40, 0.25: 0.41, 1.0: 0.6}, {"small": 0.50}, False, False),  # no share leads downhill
            ({0.0: 0.40, 0.25: 0.41, 1.0: 0.6}, {"small": 0.40}, True, True),  # uphill by less than the error of 0.02
            ({0.0: 0.40, 0.25: 0.43, 1.0: 0.6}, {"small": 0.40}, True, False),
            ({0.0: 0.44, 0.25: 0.42}, {"small": 0.40}, True, True),  # 0.412 is behind by less than the error
            ({0.0: 0.44, 0.25: 0.42}, {"small": 0.39}, True, False),
            ({0.0: 0.40, 0.25: 0.36}, {"small": 0.40, "medium": 0.37}, False, True),  # 0.343 is below 0.3515
            ({0.0: 0.40, 0.25: 0.36}, {"small": 0.40, "medium": 0.35}, False, False),
        ],
    )
    def test_what_can_no_more_win_is_known_at_the_rung(self, rung, rivals, differs, may):
        assert can_win(tried(large=rung), tried(**rivals), differs) == may

    def test_a_cheaper_trial_may_win_though_a_costlier_one_is_a_little_better(self):
        rung = tuple(replace(trial, strategy="medium") for trial in tried(large={0.0: 0.42, 1.0: 0.39}))  # 0.378 is expected
        assert can_win(rung, tried(small=0.40, large=0.381), False)
        assert can_win(rung, tried(small=0.40, large=0.362), False)  # 0.381 would do
        assert not can_win(rung, tried(small=0.40, large=0.357), False)
        assert not can_win(rung, tried(small=0.39, large=0.381), False)

    def test_what_was_ended_is_not_taken_however_well_it_did(self):
        ended = replace(tried(large=0.1)[0], epochs=7, planned=28)
        strategy = auto(STAGES, replace(FACTS, trials=(*tried(small=0.4), ended)))
        assert strategy.name == "small" and "large 0.100 (80.0 %, ended early)" in strategy.reason
        assert auto(STAGES, replace(FACTS, trials=(ended,))).name == "small"  # as where nothing could be tried

    def test_a_trial_has_a_fifth_of_the_epochs_and_goes_all_of_the_way(self):
        (phase,) = strategies.large(STAGES, replace(FACTS, images=183), "").phases  # 84 epochs of 6 steps
        (shorter,) = trial_of(strategies.large(STAGES, replace(FACTS, images=183), "")).phases
        assert shorter == replace(phase, name="trial of large", epochs=17, interpolation=1.0)

    def test_a_budget_shortens_the_phases_that_train_from_images_or_says_that_none_fits(self):
        large = strategies.large(STAGES, FACTS, "")  # 63 epochs of 2.44 s
        assert within_budget(large, replace(FACTS, budget=200.0)) == large
        assert within_budget(large, replace(FACTS, budget=25.0)).phases[0].epochs == 10
        with pytest.raises(ValueError, match="One epoch of strategy large takes about 2 s, and 1 s are left"):
            within_budget(large, replace(FACTS, budget=1.0))
        assert within_budget(small := strategies.small(STAGES, FACTS, ""), replace(FACTS, budget=0.0)) == small

    def test_a_budget_is_a_time(self):
        with pytest.raises(UserError, match="--budget must be a time such as 90s"):
            Recipe("data", budget="soon")


def network() -> keras.Model:
    """Two stages, each a convolution and a batch norm with statistics that no default would hide."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((6, 6, 3))
    for i in (1, 2):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"bn{i}", momentum=0.5)(x)
        x = zoo.layers.stage(layers.ReLU()(x), f"stage{i}")
    x = zoo.layers.stage(layers.GlobalAveragePooling2D()(x), "pre_logits")
    model = keras.Model(inputs, layers.Dense(3, "softmax", name="predictions")(x))
    for i in (1, 2):
        model.get_layer(f"bn{i}").set_weights(np.repeat(STATE, 4).reshape(4, 4))
    return model


STATE = np.array([1.1, 0.2, 0.3, 1.5], "float32")  # gamma, beta, mean, variance
X = np.random.default_rng(0).normal(1.0, 2.0, (32, 6, 6, 3)).astype("float32")


class TestBatchNorm:
    @pytest.mark.parametrize(
        "policy, moved",
        [
            ("inference", set()),
            ("affine", {"gamma", "beta"}),
            ("adapt", {"gamma", "beta", "moving_mean", "moving_variance"}),
        ],
    )
    @pytest.mark.slow
    def test_what_moves_behind_the_cut_and_nothing_before_it_bit_for_bit(self, policy, moved, tmp_path):
        model, phase = network(), Phase("fine-tune", 2, 1e-2, "stage1", augment=True, batch_norm=policy)
        before = {v.path: array(v).copy() for v in model.weights}
        part = training.prepare(model, phase, steps=1)
        learning = {v.path.split("/")[-2:][1] for v in model.trainable_variables if "bn2" in v.path}
        assert learning == moved & {"gamma", "beta"}
        assert not [v.path for v in model.trainable_variables if "conv1" in v.path or "bn1" in v.path]
        maps = keras.Model(model.input, model.get_layer("conv2").output)(X)
        mean = array(maps).mean(axis=(0, 1, 2))
        training.train(part, phase, Batches(lambda samples, _: X[samples], np.arange(32) % 3, 32, 0), None, tmp_path)
        changed = {v.path for v in model.weights if not np.array_equal(before[v.path], array(v))}
        assert {path.split("/")[-1] for path in changed if "bn2" in path} == moved
        assert not {path for path in changed if "bn1" in path or "conv1" in path}
        assert any("conv2" in path for path in changed)
        if policy == "adapt":  # momentum 0.9; the warm-up begins at rate 0, so that both steps see the same mean
            np.testing.assert_allclose(array(model.get_layer("bn2").moving_mean), 0.81 * 0.3 + 0.19 * mean, rtol=1e-4)

    @pytest.mark.parametrize("policy, same", [("inference", True), ("affine", True), ("adapt", False)])
    def test_statistics_of_the_batch_are_used_under_adapt_alone(self, policy, same):
        model = network()
        batch_norm.apply(model, policy, 1)
        np_same = np.allclose(array(model(X, training=True)), array(model(X, training=False)), atol=1e-6)
        assert np_same == same

    @pytest.mark.parametrize("steps, momentum", [(5, 0.9), (100, 0.9), (1000, 0.99)])
    def test_momentum_is_set_by_the_number_of_steps(self, steps, momentum):
        model = network()
        batch_norm.apply(model, "adapt", steps)
        assert model.get_layer("bn1").momentum == pytest.approx(momentum)

    def test_too_small_batches_and_folders_are_refused_with_the_reason(self):
        with pytest.raises(UserError, match="needs 320 training images or more, 10 batches of 32, found 40: the statistics"):
            batch_norm.check("adapt", 40, 32)
        with pytest.raises(UserError, match="batches of 16 images or more, found --batch-size 8: the mean and variance"):
            batch_norm.check("adapt", 5_000, 8)
        batch_norm.check("adapt", 320, 32)
        batch_norm.check("affine", 40, 8)


def test_a_head_that_keeps_its_penalty_is_where_training_would_leave_it():
    """The gradient of the penalised loss of the model's own classifier vanishes; without the penalty it does not."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    x = (5 + 3 * (rng.normal(size=(3, 8))[labels] + rng.normal(size=(90, 8)))).astype("float32")
    head = logistic.fit(x[None], [False], labels, seed=0)
    slope = x.T @ (softmax(x @ head.kernel + head.bias, axis=1) - np.eye(3)[labels]) / len(x)
    assert np.abs(slope + head.decay * head.kernel).max() < 0.05 * np.abs(slope).max()


@pytest.mark.slow
def test_time_that_is_over_ends_a_training(tmp_path):
    model, phase = network(), Phase("fine-tune", 50, 1e-2, "stage1", augment=True)
    batches = Batches(lambda samples, _: X[samples], np.arange(32) % 3, 8, 0)
    assert len(training.train(training.prepare(model, phase, 4), phase, batches, None, tmp_path, deadline=0.0)) == 1


def test_every_strategy_can_be_asked_for():
    """The flag's names stand in the settings, which import nothing heavy."""
    names = typing.get_args(typing.get_type_hints(Recipe)["strategy"])
    assert set(names) == {"auto", *strategies.STRATEGIES, "tuned"} and len(names) == len(strategies.STRATEGIES) + 2
