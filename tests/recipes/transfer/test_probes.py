"""What is measured before a choice: on the training part alone, in one pass, from nothing but vectors."""

import shutil

import numpy as np
import pytest
from helpers import array, digits_folder

import zoo
from recipes.data.dataset import Dataset, prepare, training_files
from recipes.data.images import center
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError
from recipes.evaluation.intervals import wilson
from recipes.settings.finetune import Recipe
from recipes.settings.shared import seconds
from recipes.transfer import features, probes
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.transferability import leave_one_out, logme


@pytest.fixture(scope="module")
def model():
    return zoo.new_head(backbone(Recipe("digits", model="lenet5")), 10)


@pytest.fixture(scope="module")
def data(model, tmp_path_factory) -> Dataset:
    """Of 12 pictures of each digit 8 to train on."""
    return prepare(scan_folder(digits_folder(tmp_path_factory.mktemp("digits"), 12)), framing(model), 0.2, 0.2, 0)


@pytest.fixture(scope="module")
def facts(model, data):
    return probes.measure(model, data, data.part("train"), 16, seed=0)


@pytest.mark.slow
def test_facts_are_those_of_the_training_part_and_of_its_features(facts, model, data):
    """Against the network called by itself."""
    train = data.part("train")
    pixels, labels = center(data.pixels[train], data.framing), data.labels[train]
    assert (facts.images, facts.classes, facts.fewest, facts.budget) == (80, 10, 8, None)
    assert list(facts.probes) == ["stage1", "pre_logits"] and facts.forward > 0 and facts.training > 0
    for stage, probe in facts.probes.items():
        rows = array(zoo.split(model, stage)[0](pixels))
        accuracy, brier = leave_one_out(rows.mean(axis=tuple(range(1, rows.ndim - 1))), labels)
        assert (probe.accuracy, probe.loss) == pytest.approx((accuracy, brier), abs=1e-3)
        assert (probe.low, probe.high) == pytest.approx(wilson(round(80 * probe.accuracy), 80))
    assert facts.transferability == pytest.approx(logme(rows, labels), abs=1e-3)
    assert facts.probes["pre_logits"].accuracy > 0.6 > facts.probes["stage1"].accuracy


@pytest.mark.slow
def test_copies_give_nothing_away(facts, model, tmp_path):
    """Each picture twice: a probe that judged one by a fit on the other would be right every time, and so would a trial."""
    folder = digits_folder(tmp_path, 12)
    for path in list(folder.glob("*/*")):
        shutil.copyfile(path, path.with_name(f"copy of {path.name}"))
    twice = prepare(scan_folder(folder), framing(model), 0.2, 0.2, 0)
    found = probes.measure(model, twice, twice.part("train"), 16, seed=0)
    assert found.images == 160
    for stage, probe in facts.probes.items():
        assert (found.probes[stage].accuracy, found.probes[stage].loss) == pytest.approx((probe.accuracy, probe.loss), abs=1e-6)
    assert found.transferability == pytest.approx(facts.transferability, abs=1e-6)
    part = twice.inner(0, "test")
    digests = np.array(part.digests)
    assert len(part.part("test")) == 40 and not set(digests[part.part("train")]) & set(digests[part.part("test")])


@pytest.mark.slow
def test_pictures_that_are_held_out_are_never_passed(facts, model, data, monkeypatch):
    """`facts` has passed the training part: with its rows in the cache, nothing but the speed is computed again."""
    seen = []
    passed = features.passed

    def watched(engine, framing, pictures):
        pictures = list(pictures)
        seen.extend(shown.place for shown in pictures)
        return passed(engine, framing, pictures)

    monkeypatch.setattr(features, "passed", watched)
    again = probes.measure(model, data, data.part("train"), 16, seed=0)
    assert again.probes == facts.probes
    assert len(seen) == 16 * (1 + probes.TIMED_BATCHES) and set(data.splits[seen]) == {"train"}


def test_a_budget_shrinks_the_sample_and_training_is_timed(model, data, monkeypatch):
    monkeypatch.setattr(probes, "training_rate", lambda *_: 7.0)
    sizes = []
    probe = probes.probe
    monkeypatch.setattr(probes, "probe", lambda rows, labels, groups: sizes.append(len(labels)) or probe(rows, labels, groups))
    found = probes.measure(model, data, data.part("train"), 16, seed=0, budget=6.0, forward=100.0)
    assert sizes == [60, 60]  # a tenth of six seconds at 100 images/s
    assert (found.images, found.training, found.budget) == (80, 7.0, 6.0)


@pytest.mark.slow
def test_timing_a_training_leaves_the_weights_alone(model, data):
    before = model.get_weights()
    assert probes.training_rate(model, data, data.part("train"), 16) > 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sample_is_stratified_and_spares_small_classes():
    labels = np.repeat([0, 1, 2], [900, 90, 3])
    chosen = probes.sample(labels, 100, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [91, 9, 3]  # 993 : 100
    assert len(set(chosen)) == len(chosen) and (probes.sample(labels, 100, seed=0) == chosen).all()
    assert (probes.sample(labels, 100, seed=1) != chosen).any()
    assert len(probes.sample(labels, 10_000, seed=0)) == 993


def test_the_training_part_is_known_without_decoding(data):
    """Where the folder says nothing, and where it has parts."""
    names = [data.paths[i] for i in data.part("train")]
    assert [file.path for file in training_files(scan_folder(data.root), 0.2, 0.2, 0)] == names


@pytest.mark.parametrize("text, expected", [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_times(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10 minutes", "0m", "-5", "1h30m"])
def test_what_is_no_time(text):
    with pytest.raises(UserError, match="must be a time such as 90s, 10m or 1.5h, found"):
        seconds(text)
