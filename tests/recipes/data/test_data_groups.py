"""Groups: a patient, a plant or a video never stands on two sides, in every division that there is."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from helpers import digits_folder

from recipes.data.dataset import prepare, training_files
from recipes.data.images import Framing
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.groups import by_pattern
from recipes.data.split import assign, leaks, united
from recipes.errors import UserError
from recipes.evaluation.folds import grouped_folds
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.transfer import logistic, repeats
from recipes.transfer.transferability import leave_one_out

SHARES = {"validation": 0.2, "test": 0.2}


def crowd(seed, groups=60, classes=3):
    """Labels, digests and units of groups of 1 to 12 pictures, a third of them with pictures of two classes."""
    rng = np.random.default_rng(seed)
    labels, units = [], []
    for group in range(groups):
        own = rng.integers(0, classes, 1 + (group % 3 == 0))
        for _ in range(rng.integers(1, 13)):
            labels.append(str(rng.choice(own)))
            units.append(f"g{group}")
    return labels, [f"{i:04}" for i in range(len(labels))], units


def sides(units, parts):
    found = defaultdict(set)
    for unit, part in zip(units, parts, strict=True):
        found[unit].add(part)
    return found.values()


@pytest.mark.parametrize("seed", range(12))
def test_no_group_is_divided_and_the_classes_keep_their_shares(seed):
    labels, digests, units = crowd(seed)
    parts = assign(labels, digests, [""] * len(labels), SHARES, seed, units)
    assert all(len(found) == 1 for found in sides(units, parts))
    counts, total = Counter(zip(labels, parts, strict=True)), Counter(labels)
    for label in total:
        for part, share in (SHARES | {"train": 0.6}).items():
            assert abs(counts[label, part] / total[label] - share) < 0.12, counts


def test_groups_of_one_picture_are_divided_as_pictures_are():
    labels, digests, _ = crowd(0)
    alone = assign(labels, digests, [""] * len(labels), SHARES, 3)
    assert assign(labels, digests, [""] * len(labels), SHARES, 3, [f"g{digest}" for digest in digests]) == alone


def test_a_division_hangs_on_content_and_seed_and_not_on_names_or_order():
    labels, digests, units = crowd(1)
    given = [""] * len(labels)
    parts = assign(labels, digests, given, SHARES, 0, units)
    renamed = [f"another {unit[::-1]}" for unit in units]
    assert assign(labels, digests, given, SHARES, 0, renamed) == parts
    turned = assign(labels[::-1], digests[::-1], given, SHARES, 0, units[::-1])
    assert turned[::-1] == parts and assign(labels, digests, given, SHARES, 1, units) != parts


def test_the_rest_of_a_group_goes_where_the_source_has_put_some_of_it():
    labels, digests, units = crowd(2)
    given = ["test" if unit in ("g1", "g2") and i % 2 else "" for i, unit in enumerate(units)]
    parts = assign(labels, digests, given, SHARES, 0, units)
    placed = {unit for unit, part in zip(units, given, strict=True) if part}
    assert placed and all(part == "test" for unit, part in zip(units, parts, strict=True) if unit in placed)
    assert all(len(found) == 1 for found in sides(units, parts))


def test_train_keeps_two_groups_of_each_class_and_each_part_gets_one():
    labels, units = ["a"] * 40 + ["b"] * 8, [f"a{i // 10}" for i in range(40)] + [f"b{i // 2}" for i in range(8)]
    parts = assign(labels, [f"{i:02}" for i in range(48)], [""] * 48, SHARES, 0, units)
    found = {
        key: len({u for u, label, p in zip(units, labels, parts, strict=True) if (label, p) == key})
        for key in set(zip(labels, parts, strict=True))
    }
    assert found == {(c, p): n for c in "ab" for p, n in (("train", 2), ("validation", 1), ("test", 1))}


def test_copies_and_groups_are_linked_through_each_other():
    assert united(["x", "y", "y", "z", "w"], ["p", "p", "q", "", ""]) == ["p", "p", "p", "z", "w"]
    assert united(["x", "x"], ["", ""]) == ["x", "x"] and united([], []) == []
    assert leaks(["train", "validation", "test"], united(["x", "y", "z"], ["p", "p", "q"])) == {1: 0}


@pytest.mark.parametrize("seed", range(6))
def test_no_fold_divides_a_group(seed):
    labels, _, units = crowd(seed)
    numbers = np.array(list(map(int, labels)))
    folds = MULTI_CLASS.folds(numbers, 5, seed, np.array(units))
    assert len(folds) == 5 and sorted(i for _, test in folds for i in test) == list(range(len(labels)))
    for train, test in folds:
        assert not {units[i] for i in train} & {units[i] for i in test}
        share = np.bincount(numbers[test]) / np.bincount(numbers)
        assert share.min() > 0.08 and share.max() < 0.35
    assert folds[0][1].tolist() != MULTI_CLASS.folds(numbers, 5, seed + 1, np.array(units))[0][1].tolist()
    rows = np.eye(3)[numbers]
    assert len(MULTI_LABEL.folds(rows, 4, seed, np.array(units))) == 4


def test_a_fold_that_leaves_training_without_a_class_is_left_out():
    strata, groups = [0] * 6 + [1] * 2, list("aabbcc") + list("dd")
    folds = grouped_folds(strata, groups, 3, 0)
    assert len(folds) == 2 and all(1 in np.array(strata)[train] for train, _ in folds)
    with pytest.raises(UserError, match="each class must stand in several groups"):
        grouped_folds([0, 0, 1, 1], list("aabb"), 2, 0)


def test_a_left_out_group_is_predicted_by_a_fit_on_the_others():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    x, groups = rng.normal(size=(30, 4)) + labels[:, None], np.array([f"{i // 3}" for i in range(30)])
    x[:, 3] = np.arange(30) // 3  # a group's own mark
    accuracy, brier = leave_one_out(x, labels, groups)
    found = []
    for penalty in np.logspace(0, -6, 13) * np.linalg.svd(x - x.mean(0))[1][0] ** 2:
        errors = []
        for group in dict.fromkeys(groups):
            test = groups == group
            # Ridge with a free bias, whose features are centred as those of all: solved as one system.
            a = np.column_stack([x - x.mean(0), np.ones(30)])
            w = np.linalg.solve(a[~test].T @ a[~test] + np.diag([penalty] * 4 + [0]), a[~test].T @ np.eye(2)[labels[~test]])
            errors.append(np.eye(2)[labels[test]] - a[test] @ w)
        error = np.concatenate(errors)
        found.append(((error**2).sum(1).mean(), ((np.eye(2)[labels] - error).argmax(1) == labels).mean()))
    assert (brier, accuracy) == pytest.approx(min(found))
    assert leave_one_out(x, labels, np.arange(30).astype(str)) == leave_one_out(x, labels)


@pytest.fixture(scope="module")
def bursts(tmp_path_factory):
    """Digits of which each three in a row are a burst."""
    root = digits_folder(tmp_path_factory.mktemp("bursts"), 18)
    for folder in root.iterdir():
        for i, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / f"burst{i // 3}-{i}.png")
    return root


def test_every_division_of_a_dataset_keeps_groups(bursts):
    listing = by_pattern(scan_folder(bursts), r"(\d/burst\d)")
    data = prepare(listing, Framing(28, 28, 1), 0.2, 0.2, 0)
    divisions = [data, data.divided(1), data.inner(0), data.inner(1, "test"), data.inner(0).inner(0)]
    divisions += list(repeats.folds(data, 3, 0))
    for one in divisions:
        used = one.splits != ""
        assert all(len(found) == 1 for found in sides(np.array(one.groups)[used], one.splits[used]))
        assert len(set(one.splits[used])) > 1
    assert data.counts("train") == dict.fromkeys(map(str, range(10)), 12) or min(data.counts("train").values()) >= 6
    names = [file.path for file in training_files(listing, 0.2, 0.2, 0)]
    assert names == [data.paths[i] for i in data.part("train")]
    train = data.part("train")
    for inner, outer in logistic.folds_of(data.task, data.labels[train], 0, data.groups_of(train)):
        assert not {*data.groups_of(train)[inner]} & {*data.groups_of(train)[outer]}


@pytest.mark.fault(
    "Divisions",
    "A class stands in too few groups to be on both sides",
    "refused, naming the class and how many there are",
    "a class would be measured that was not learnt, or the other way round",
)
def test_too_few_groups_are_refused(bursts):
    with pytest.raises(UserError, match="Class 0 in .* needs at least 4 different groups to train and to test and has 1"):
        prepare(by_pattern(scan_folder(bursts), r"(\d)/burst"), Framing(28, 28, 1), 0.2, 0.2, 0)


@pytest.mark.fault(
    "Divisions",
    "A group stands in two parts that the source itself divides",
    "its pictures in the later part are left out of what is measured, and named",
    "the model has seen the patient whom it is measured on",
)
def test_a_group_in_two_given_parts_is_left_out_of_the_later(bursts, tmp_path):
    for part, chosen in (("train", range(12)), ("val", range(9, 18))):
        for folder in bursts.iterdir():
            (tmp_path / part / folder.name).mkdir(parents=True)
            for path in folder.iterdir():
                if int(path.stem.rpartition("-")[2]) in chosen:
                    name = path.name if part == "train" else f"{path.stem}x.png"
                    # Another picture of the burst: the same pixels in another file would be a copy.
                    (tmp_path / part / folder.name / name).write_bytes(path.read_bytes() + part.encode())
    listing = by_pattern(scan_folder(tmp_path), r"(\d/burst\d)")
    for keep in (False, True):  # --keep-leaks is about copies
        data = prepare(listing, Framing(28, 28, 1), 0.2, 0.2, 0, keep)
        assert len(data.part("train")) == 120 and len(data.part("validation")) == 60 and len(data.left_out) == 30
        assert "is of the group 0/burst3, as is train/0/burst3-10.png, of another part" in {
            reason for _, reason in data.left_out
        }
    assert any("or others of their group, left out of what is measured: 30 of validation" in f for f in data.findings)
