"""The desk of `zoo label`: which picture comes next, what goes into the table, and what the head learns, without a network."""

import time
from pathlib import Path

import numpy as np
import pytest

from recipes.data.sources.corrections import read
from recipes.data.sources.corrections_file import CorrectionsFile
from recipes.data.sources.listing import File, Listing
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.runs.reference import Reference
from recipes.transfer.acquisition import quick_head
from recipes.transfer.pool import Pool
from recipes.web.desk import LEARNT_AT_ONCE, Desk
from recipes.web.refusals import Refusal

CLASSES = ("cat", "dog", "emu")


def desk(folder, labels, guesses, task=MULTI_CLASS, known=None, features=None):
    """A desk of pictures 0.jpg, 1.jpg, ... with these labels and probabilities."""
    files = [File(f"{i}.jpg", label, "") for i, label in enumerate(labels)]
    listing = Listing(Path("photos"), CLASSES, tuple(files), (), (), task)
    features = np.zeros((len(files), 2), "float32") if features is None else features
    pool = Pool(listing, files, [f"digest {i}" for i in range(len(files))], features, np.array(guesses, "float32"), [])
    return Desk(pool, CLASSES, task, known, CorrectionsFile(folder / "corrections.csv"))


def order(told):
    return [one["picture"] for one in told]


def written(made):
    return {path: (row.action, row.to) for path, (row,) in read(made._table.place).rows.items()}


def test_pictures_without_labels_come_first_then_what_speaks_against_a_label(tmp_path):
    guesses = [[0.9, 0.1, 0], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]
    made = desk(tmp_path, [(), (), "cat", "dog", "dog"], guesses)
    # By hand: 0.1 and 0.8 without labels; 0.8 against dog, 0.3 for cat, 0.5 for dog.
    assert order(made.next()) == [1, 0, 3, 2, 4]
    assert order(made.put(1, "skip", [])["next"]) == [0, 3, 2, 4, 1]
    assert order(made.put(0, "label", ["emu"])["next"]) == [3, 2, 4, 1]
    assert order(made.put(3, "leave out", [])["next"]) == [2, 4, 1]
    told = made.put(2, "label", ["cat"])
    assert told["was"] == {"action": "", "labels": []} and (told["progress"]["done"], told["progress"]["pictures"]) == (3, 5)
    assert written(made) == {"0.jpg": ("relabel", "emu"), "3.jpg": ("leave out", ""), "2.jpg": ("keep", "")}
    told = made.put(3, "label", ["cat"])
    assert told["was"] == {"action": "leave out", "labels": []} and written(made)["3.jpg"] == ("relabel", "cat")
    assert made.picture(2)["labels"] == ["cat"] and made.picture(2)["action"] == "label"
    assert order(made.put(0, "", [])["next"]) == [0, 4, 1] and "0.jpg" not in written(made)
    for number, action, labels in (
        (9, "label", ["cat"]),
        (1, "label", ["fox"]),
        (1, "label", []),
        (1, "label", ["cat", "dog"]),
    ):
        with pytest.raises(Refusal):
            made.put(number, action, labels)


def test_several_labels_a_picture(tmp_path):
    made = desk(tmp_path, [("cat", "emu"), ()], [[0.9, 0.2, 0.4], [0.9, 0.1, 0.45]], MULTI_LABEL)
    # By hand: 0.1 from one half, twice, without a label; emu at 0.4 speaks against it by 0.2.
    assert order(made.next()) == [1, 0]
    made.put(0, "label", ["emu", "cat"])
    made.put(1, "label", ["emu", "dog"])
    assert written(made) == {"0.jpg": ("keep", ""), "1.jpg": ("relabel", "dog;emu")}
    made.put(1, "label", [])
    assert written(made)["1.jpg"] == ("relabel", "") and made.progress()["done"] == 2
    assert made._labels() == {0: ("cat", "emu"), 1: ()}


def test_the_head_learns_on_from_labels_and_what_the_run_knew(tmp_path):
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (40, 2)).astype("float32")
    old = generator.normal(0, 1, (6, 2)).astype("float32")
    digests = tuple(f"digest {i}" if i < 2 else f"old {i}" for i in range(6))
    known = Reference(old, np.array([0, 1, 2, 0, 1, 2]), ("",) * 6, digests, np.arange(6), old[:0], False)
    made = desk(tmp_path, [()] * 40, np.full((40, 3), 1 / 3), known=known, features=features)
    truth = (features[:, 0] > 0).astype(int)
    for i in range(LEARNT_AT_ONCE):
        assert made.progress()["learnt"] == 0
        made.put(i, "label", [CLASSES[truth[i]]])
    end = time.monotonic() + 30
    while not made.progress()["learnt"] and time.monotonic() < end:
        time.sleep(0.01)
    assert made.progress()["learnt"] == LEARNT_AT_ONCE
    # What the run had learnt of the first two pictures is what a person has said now.
    expected = quick_head(
        np.concatenate([old[2:], features[:LEARNT_AT_ONCE]]),
        np.concatenate([[2, 0, 1, 2], truth[:LEARNT_AT_ONCE]]),
        3,
        MULTI_CLASS,
    ).probabilities(features)
    assert made._order.probabilities == pytest.approx(expected, abs=1e-5)
    lead = np.sort(expected, axis=1)[:, 2] - np.sort(expected, axis=1)[:, 1]
    assert order(made.next())[0] == LEARNT_AT_ONCE + int(lead[LEARNT_AT_ONCE:].argmin())
