"""The division of pictures by content, and what is said of copies."""

import hashlib
from collections import Counter

import pytest

from recipes.data.split import assign, check_counts, leaks, minimum
from recipes.errors import UserError

BOTH = {"validation": 0.2, "test": 0.1}


def digests_of(count, start=0):
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


def divide(digests, fractions=BOTH, seed=0, labels=None, given=None):
    return assign(labels or ["a"] * len(digests), digests, given or [""] * len(digests), fractions, seed)


def test_ten_pictures_by_hand():
    """One of ten to test, two to validation: the first three by sha256 of "seed:digest"."""
    digests = digests_of(10)
    ranked = sorted(digests, key=lambda digest: hashlib.sha256(f"7:{digest}".encode()).hexdigest())
    place = dict(zip(digests, divide(digests, seed=7), strict=True))
    assert [place[digest] for digest in ranked] == ["test", "validation", "validation"] + ["train"] * 7


def test_shares_hold_in_every_class():
    labels = ["a"] * 100 + ["b"] * 50
    parts = Counter(zip(labels, divide(digests_of(150), labels=labels), strict=True))
    assert parts == {
        ("a", "test"): 10,
        ("a", "validation"): 20,
        ("a", "train"): 70,
        ("b", "test"): 5,
        ("b", "validation"): 10,
        ("b", "train"): 35,
    }


def test_order_of_listing_does_not_matter():
    digests = digests_of(40)
    assert divide(digests[::-1]) == divide(digests)[::-1]


def test_seeds_differ_and_are_repeatable():
    digests = digests_of(40)
    assert divide(digests, seed=1) == divide(digests, seed=1) != divide(digests, seed=2)


@pytest.mark.parametrize("count", range(20, 60))
def test_one_more_file_moves_at_most_two_others(count):
    """Once each border between parts may shift by one picture; FAULTS: a seeded shuffle moved 35 of 50."""
    before, after = divide(digests_of(count)), divide(digests_of(count + 1))
    assert sum(one != other for one, other in zip(before, after, strict=False)) <= 2


def test_copies_stay_together_and_count_once():
    digests = digests_of(10)
    assert divide(digests * 3) == divide(digests) * 3


def test_a_picture_of_two_classes_goes_where_its_first_class_puts_it():
    digests = digests_of(20)
    alone = divide(digests)
    labels = ["b"] * 30 + ["a"] * 20
    together = divide(digests_of(30, start=10) + digests, labels=labels)
    assert together[30:] == alone
    assert together[:10] == alone[10:]
    assert Counter(together[:30]) == {"test": 3, "validation": 6, "train": 21}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 2}),
        (3, {"train": 2, "test": 1}),
        (4, {"train": 2, "test": 1, "validation": 1}),
        (6, {"train": 4, "test": 1, "validation": 1}),
    ],
)
def test_small_classes_keep_two_to_train_and_give_one_to_each_part(count, expected):
    assert Counter(divide(digests_of(count))) == expected


def test_large_shares_leave_two_to_train_and_one_to_validation():
    assert Counter(divide(digests_of(5), {"test": 0.8, "validation": 0.1})) == {
        "train": 2,
        "test": 2,
        "validation": 1,
    }


def test_no_shares_train_all():
    assert set(divide(digests_of(5), {})) == set(divide(digests_of(5), {"test": 0.0})) == {"train"}


def test_what_the_folder_gave_stays():
    digests = digests_of(20)
    given = ["validation"] * 5 + [""] * 15
    parts = divide(digests, {"test": 0.2}, given=given)
    assert parts[:5] == ["validation"] * 5
    assert Counter(parts[5:]) == {"test": 3, "train": 12}


def test_a_copy_of_a_given_picture_goes_with_it():
    digests = digests_of(10)
    parts = divide([*digests, digests[3]], {"validation": 0.2}, given=[""] * 10 + ["test"])
    assert parts[3] == parts[10] == "test"


@pytest.mark.parametrize("fractions", [{"val": 0.2}, {"test": -0.1}, {"test": 0.5, "validation": 0.5}, {"test": 1}])
def test_impossible_shares_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions"):
        divide(digests_of(5), fractions)


def test_minimum():
    assert minimum({}) == 2 and minimum({"test": 0.1}) == 3 and minimum(BOTH) == 4
    assert minimum({"test": 0.1, "validation": 0}) == 3


def test_small_classes_are_refused_by_name():
    check_counts({"a": 4, "b": 9}, 4, "photos")
    with pytest.raises(UserError, match="Class b in photos needs at least 4 different .* has 1: add"):
        check_counts({"a": 4, "b": 1}, 4, "photos")
    with pytest.raises(UserError, match=r"Class c .* has 0 \(classes with too few: 2\)"):
        check_counts({"a": 4, "b": 1, "c": 0}, 4, "photos")


def test_a_leak_is_a_copy_of_what_an_earlier_part_has():
    splits = ["test", "train", "validation", "test", "", "train", "validation"]
    digests = ["x", "x", "x", "y", "x", "y", "z"]
    assert leaks(splits, digests) == {0: 1, 2: 1, 3: 5}
    assert leaks(["test", "validation", "validation"], ["x", "x", "x"]) == {0: 1}
    assert leaks(["", "train", "train"], ["x", "x", "x"]) == {} and leaks([], []) == {}
