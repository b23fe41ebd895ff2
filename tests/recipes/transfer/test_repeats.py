"""Seeds and folds: what is repeated, on which pictures, and that its mean and interval are those of the repeats."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import digits_folder

from recipes import cli
from recipes.data.dataset import Dataset
from recipes.errors import UserError
from recipes.evaluation.intervals import mean_interval
from recipes.evaluation.tasks import MULTI_LABEL
from recipes.settings.finetune import Recipe
from recipes.transfer import repeats


def dataset(labels, splits, shares=(), digests=None) -> Dataset:
    paths, given = [f"{i}.png" for i in range(len(labels))], [""] * len(labels) if shares else list(splits)
    return Dataset(
        None, tuple("ab"), paths, np.array(labels), np.array(splits), digests or paths, None, None, [], [], given, dict(shares)
    )


def test_folds_hold_every_training_picture_out_once_and_keep_copies_together():
    labels, splits = [0, 1] * 15, ["train"] * 24 + ["test"] * 6
    digests = [f"{i:064}" for i in range(30)]
    digests[2] = digests[0]
    data = dataset(labels, splits, digests=digests)
    held = []
    for fold in repeats.folds(data, 4, seed=0):
        assert set(fold.part("train")) | set(fold.part("test")) == set(range(24)) and not len(fold.part("validation"))
        assert (0 in fold.part("test")) == (2 in fold.part("test"))
        held += list(fold.part("test"))
    assert sorted(held) == list(range(24))


def test_too_few_pictures_for_the_folds():
    data = dataset([0] * 8 + [1] * 3, ["train"] * 11)
    with pytest.raises(UserError, match="--folds 4 needs 4 different training pictures of each class, and b has 3"):
        list(repeats.folds(data, 4, seed=0))
    assert len(list(repeats.folds(data, 3, seed=0))) == 3


def test_scores_are_measured_on_each_division_and_averaged():
    data = dataset([0, 1] * 20, ["train"] * 40, {"test": 0.5}).divided(0)
    guess = np.eye(2)[np.arange(40) // 2 % 2]  # right for half of the pictures
    seen = []

    def again(other, seed):
        seen.append((seed, tuple(other.part("test"))))
        return guess, ()

    strategy = SimpleNamespace(phases=())
    found = repeats.measure(Recipe(data=None, seeds=4), data, strategy, guess, again).as_dict()
    assert [seed for seed, _ in seen] == [1, 2, 3] and len({part for _, part in seen}) == 3
    parts = [data.part("test"), *(list(part) for _, part in seen)]
    expected = [(guess.argmax(1) == data.labels)[part].mean() for part in parts]
    assert [row["accuracy"] for row in found["scores"]] == pytest.approx(expected)
    mean, low, high = mean_interval(expected)
    assert found["mean"]["accuracy"] == pytest.approx(mean)
    assert found["interval"]["accuracy"] == pytest.approx([max(low, 0), min(high, 1)])
    assert repeats.measure(Recipe(data=None, seeds=1), data, strategy, guess, again) is None


def test_nothing_to_measure():
    data = dataset([0, 1], ["train"] * 2)
    with pytest.raises(UserError, match="neither a validation nor a test part; give --folds"):
        repeats.measure(Recipe(data=None, seeds=2), data, None, None, None)


def test_strata_of_several_labels_are_the_rarest():
    assert MULTI_LABEL.strata(np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]])) == [2, 1, 0, -1]


@pytest.mark.slow
def test_a_run_with_seeds_is_the_run_of_each_seed(tmp_path, capsys):
    digits = digits_folder(tmp_path / "digits", 8)
    command = ["finetune", str(digits), "--model", "lenet5", "--strategy", "small", "--mirror", "no"]
    assert cli.main([*command, "--seeds", "2", "--output", str(tmp_path / "both"), "--seed", "3"]) == 0
    out = capsys.readouterr().out
    line = r"test, mean over 2 seeds, each with its own division into parts: accuracy .*% \(95 % interval .*% to .*%\)"
    assert re.search(line, out)
    assert cli.main([*command, "--output", str(tmp_path / "second"), "--seed", "4"]) == 0
    both, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("both", "second"))
    accuracies = [row["accuracy"] for row in both["repeats"]["scores"]]
    assert accuracies == [both["metrics"]["test"]["accuracy"], second["metrics"]["test"]["accuracy"]]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--seeds", "0"], "--seeds must be positive"),
        (["--folds", "1"], "--folds must be 2 or more, found 1"),
        (["--folds", "3", "--seeds", "2"], "two ways to repeat a run: give one"),
    ],
)
def test_what_does_not_go_together(arguments, sentence, tmp_path, capsys):
    assert cli.main(["finetune", str(tmp_path), *arguments]) == 2
    assert sentence in capsys.readouterr().err
