"""The comparison of optimisers on handwritten digits, and what it shares with the other comparison."""

import json
import typing
from pathlib import Path

import keras
import numpy as np
import pytest
from comparisons import goes_on_to_the_same_table, journal, table
from helpers import array

import zoo
from callbacks.optimizers import OPTIMIZERS, RATES
from recipes import cli
from recipes.data.batches import Batches
from recipes.data.digits import write_digits
from recipes.data.images import Framing
from recipes.lecture import compare_optimizers, comparison
from recipes.runs.journal import Experiment
from recipes.settings.finetune import Recipe
from recipes.settings.lecture import CompareOptimizers
from recipes.settings.shared import Optimizer
from recipes.transfer import steps
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.choice import chosen_strategy
from recipes.transfer.trials import known_evidence
from zoo.progress import Progress


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """train/ with 30 pictures of each digit, and test/ with the others."""
    return write_digits(tmp_path_factory.mktemp("digits"), images=30, seed=0)


THREE = ("sgd", "adagrad", "adam")  # each is traced, which takes longer than the training


@pytest.fixture(scope="module", params=[THREE, pytest.param(tuple(OPTIMIZERS), marks=pytest.mark.deep)], ids=["three", "all"])
def some(request):
    """Names of the optimisers that are compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_optimizers, "OPTIMIZERS", {name: OPTIMIZERS[name] for name in request.param})
        yield request.param


@pytest.fixture(scope="module")
def finished(some, digits, tmp_path_factory) -> CompareOptimizers:
    """Of a comparison that is done."""
    settings = CompareOptimizers(digits, tmp_path_factory.mktemp("runs") / "digits", images=60, epochs=2, seeds=2)
    compare_optimizers.run(settings)
    return settings


def test_names_are_the_same_everywhere():
    assert list(OPTIMIZERS) == list(RATES) == list(typing.get_args(Optimizer))


@pytest.mark.slow
def test_every_optimizer_has_a_row_with_its_interval_and_the_curves_are_drawn(finished, some):
    rows = table(finished.output)
    assert [row["optimizer"] for row in rows] == list(some)
    records = journal(finished.output)
    for row in rows:
        losses = [
            r["result"]["validation_loss"][-1]
            for r in records
            if r["piece"].startswith(f"{row['optimizer']}, ") and r["piece"].endswith(("seed 0", "seed 1"))
        ]
        assert float(row["validation loss"]) == pytest.approx(sum(losses) / 2)
        half = 12.7062 * abs(losses[0] - losses[1]) / 2  # Student's t for one degree of freedom
        assert float(row["validation loss ±"]) == pytest.approx(half, rel=1e-4)
    assert (finished.output / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((finished.output / "result.json").read_text())["answers"]) == 2


@pytest.mark.slow
def test_the_chosen_rate_has_the_lowest_validation_loss_and_neighbours_on_both_sides(finished):
    records = journal(finished.output)
    for row in table(finished.output):
        tried = {
            r["result"]["rate"]: r["result"]["validation_loss"][-1]
            for r in records
            if r["piece"].startswith(f"{row['optimizer']}, ") and r["piece"].endswith("choice")
        }
        losses = {rate: np.inf if loss is None else loss for rate, loss in tried.items()}
        best = min(losses, key=losses.get)
        assert float(row["rate"]) == best
        assert len(tried) == compare_optimizers.MAX_RATES or min(tried) < best < max(tried)
        assert RATES[row["optimizer"]] in tried


@pytest.mark.slow
def test_a_rerun_trains_nothing_and_a_killed_run_ends_with_the_same_table(finished, tmp_path, monkeypatch):
    goes_on_to_the_same_table(compare_optimizers, finished, 3, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--model", "resnet5000"], "no model 'resnet5000'"),
        (["--weights", "missing.h5"], "no weights 'missing.h5'"),
        (["--images", "0"], "--images must be positive"),
        (["--images", "15"], "15 training images are too few for 10 classes"),
        (["--seeds", "-1"], "--seeds must be positive"),
    ],
)
def test_bad_flags_are_one_sentence(arguments, sentence, digits, tmp_path, capsys):
    assert cli.main(["compare_optimizers", str(digits), "--output", str(tmp_path / "run"), *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zoo: ")]
    assert len(lines) == 1 and sentence in lines[0] and not (tmp_path / "run").exists()


@pytest.mark.slow
class TestRepeatedTraining:
    x, y = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), np.uint8), np.arange(40) % 10

    def batches(self, seed):
        return Batches(lambda samples, _: self.x[samples], self.y, 16, seed)

    @pytest.mark.parametrize("optimizer", ["momentum", "adagrad"])
    def test_each_starts_as_a_new_model_and_optimizer_would(self, optimizer):
        repeated = comparison.RepeatedTraining(zoo.lenet5, optimizer)
        repeated.train(self.batches(5), 5, 0.05, 2)
        repeated.train(self.batches(1), 1, 0.01, 2)
        keras.utils.set_random_seed(1)
        model = zoo.lenet5()
        model.compile(OPTIMIZERS[optimizer](0.01), "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(self.batches(1), epochs=2, verbose=0, shuffle=False)
        for one, other in zip(repeated.model.weights, model.weights, strict=True):
            np.testing.assert_array_equal(array(one), array(other))

    def test_dropout_and_penalty_start_from_the_same_weights_and_repeat_their_masks(self):
        repeated = comparison.RepeatedTraining(zoo.lenet5, "sgd", dropout=0.5, l2=0.01)
        first = repeated.train(self.batches(0), 0, 0.01, 1)
        repeated.train(self.batches(1), 1, 0.01, 1)
        assert repeated.train(self.batches(0), 0, 0.01, 1) == first
        repeated.train(self.batches(0), 0, 0.0, 1)
        keras.utils.set_random_seed(0)
        np.testing.assert_array_equal(array(repeated.model.get_layer("c5").kernel), array(zoo.lenet5().get_layer("c5").kernel))

    def test_pretrained_weights_are_the_start(self):
        repeated = compare_optimizers.compile_model(Recipe(Path("data"), model="lenet5", weights="mnist"), 7, "sgd")
        repeated.train(Batches(lambda samples, _: self.x[samples], self.y % 7, 16, 0), 0, 0.0, 1)
        for layer in ("c1", "f6"):
            start = zoo.lenet5(weights="mnist").get_layer(layer).kernel
            np.testing.assert_array_equal(array(repeated.model.get_layer(layer).kernel), array(start))
        assert repeated.model.output_shape == (None, 7)

    def test_the_loss_without_penalties_is_the_one_that_is_scored(self):
        repeated = comparison.RepeatedTraining(zoo.lenet5, "sgd", l2=0.01)
        history = repeated.train(self.batches(0), 0, 0.0, 1)
        kernels = [array(w) for w in repeated.model.weights if w.name == "kernel"]
        assert history["loss"][0] - history["log_loss"][0] == pytest.approx(
            0.01 * sum(np.square(k).sum() for k in kernels), rel=1e-4
        )


def test_every_beginning_of_the_order_has_the_classes_in_proportion():
    labels = np.array(["a"] * 60 + ["b"] * 20)
    order = comparison.stratified(labels, np.random.default_rng(0))
    assert sorted(order) == list(range(80))
    for count in range(1, 81):
        assert abs((labels[order[:count]] == "b").sum() - count / 4) <= 1
    assert (order != comparison.stratified(labels, np.random.default_rng(1))).any()


class TestPictures:
    def parts(self, data, **options):
        options = {"images": 100, "held_out": 50, "test": True} | options
        found = comparison.prepare_sample(data, Framing(32, 32, 1), 0, **options)
        return {
            part: found.paths if part is None else [found.paths[i] for i in found.part(part)]
            for part in ("train", "validation", "test")
        }

    def test_the_folders_test_part_is_the_test(self, digits):
        parts = self.parts(digits)
        assert [len(paths) for paths in parts.values()] == [100, 50, 50]
        assert {name: {path.split("/")[0] for path in paths} for name, paths in parts.items()} == {
            "train": {"train"},
            "validation": {"train"},
            "test": {"test"},
        }
        assert len(self.parts(digits, test=False)["test"]) == 0

    def test_a_val_folder_is_the_test_if_there_is_no_other(self, digits, tmp_path):
        (tmp_path / "train").symlink_to(digits / "train")
        (tmp_path / "val").symlink_to(digits / "test")
        parts = self.parts(tmp_path)
        assert {path.split("/")[0] for path in parts["test"]} == {"val"}
        assert {path.split("/")[0] for path in parts["validation"]} == {"train"}
        assert {path.split("/")[0] for path in self.parts(tmp_path, test=False)["validation"]} == {"val"}

    def test_all_parts_come_from_a_folder_of_classes(self, digits):
        parts = self.parts(digits / "train", held_out=80)
        assert [len(paths) for paths in parts.values()] == [100, 80, 80]
        assert len({path for paths in parts.values() for path in paths}) == 260


@pytest.mark.slow
class TestFinetune:
    @pytest.mark.parametrize(
        "flags, name, rate",
        [
            ({}, "adam", 1e-3),
            ({"optimizer": "sgd"}, "sgd", 1e-1),
            ({"optimizer": "nesterov"}, "nesterov", 1e-2),
            ({"optimizer": "momentum", "learning_rate": 0.5}, "momentum", 0.5),
        ],
    )
    def test_the_default_rate_is_scaled_to_the_optimizer(self, flags, name, rate, digits):
        recipe = Recipe(digits, model="lenet5", strategy="large", **flags)
        model = zoo.new_head(backbone(recipe), 10)
        data = comparison.prepare_sample(digits, framing(model), 0, 100, 50, test=False)
        (phase,) = chosen_strategy(recipe, model, data, known_evidence(recipe, model, data, 0.0)).phases
        assert phase.optimizer == name and phase.learning_rate == pytest.approx(rate)

    def test_it_is_what_trains(self, digits, tmp_path, monkeypatch):
        used = []
        monkeypatch.setattr(steps, "get_optimizer", lambda name, *rate: used.append(name) or OPTIMIZERS[name](rate[0]))
        code = cli.main(
            [
                "finetune",
                str(digits / "train"),
                "--output",
                str(tmp_path / "run"),
                "--model",
                "lenet5",
                "--strategy",
                "scratch",
                "--epochs",
                "1",
                "--optimizer",
                "rmsprop",
            ]
        )
        assert code == 0 and used == ["rmsprop"]

    def test_an_unknown_name_is_refused(self, capsys):
        assert cli.main(["finetune", "data", "--optimizer", "lion"]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert "--optimizer" in said and "lion" in said and "adamw" in said


@pytest.mark.parametrize("lowest, expected, runs", [(1e-1, 1e-1, 3), (1e-3, 1e-3, 7), (1e1, 1e1, 7), (1e-9, 3.16e-5, 9)])
def test_the_grid_is_extended_until_the_best_rate_lies_inside(lowest, expected, runs, tmp_path):
    """A loss that is a parabola of the rate's logarithm, and diverges at a hundred times its lowest point."""

    def work(rate, seed, epochs, last):
        tried.append(rate)
        return {"validation_loss": [np.log10(rate / lowest) ** 2 if rate < 99 * lowest else None]}

    tried = []
    settings = CompareOptimizers(tmp_path / "data", tmp_path / "run")
    with Progress("rates", 3, "runs") as progress:
        found = compare_optimizers.tune_rate(Experiment(settings), settings, "sgd", work, progress)
    assert found == pytest.approx(expected) and len(tried) == len(set(tried)) == runs
