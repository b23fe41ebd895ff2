"""What gives a class away: sizes, cameras and parts that differ, and those that do not."""

import numpy as np
import pytest

from recipes.data.differences import Described, differences, looked_up, sizes_of, small_classes


def pictures(count=200, seed=0, **columns):
    """Pictures of two classes and two parts; what is not given is drawn at random."""
    rng = np.random.default_rng(seed)
    drawn = {
        "label": rng.choice(["ants", "bees"], count),
        "part": rng.choice(["train", "test"], count, p=[0.8, 0.2]),
        "width": rng.integers(200, 400, count),
        "height": rng.integers(200, 400, count),
        "camera": rng.choice(["", "Canon EOS", "NIKON D70"], count),
    } | columns
    return [Described(*values) for values in zip(*drawn.values(), strict=True)]


def found(*args, **kwargs):
    return {(difference.source, difference.target) for difference in differences(pictures(*args, **kwargs))}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn_at_random_tells_nothing(seed):
    assert found(seed=seed) == set()


LABELS = np.repeat(["ants", "bees"], 100)


def test_a_size_that_gives_the_class_away():
    (told,) = differences(pictures(label=LABELS, width=np.where(LABELS == "ants", 640, 500), height=[480] * 200))
    assert (told.source, told.target, told.accuracy) == ("size", "class", 1.0)
    assert told.chance == pytest.approx(0.5, abs=0.05) and told.p == 0.005
    assert "640 x 480 px" in told.sentence and "100 % right" in told.sentence and "ants" in told.sentence


def test_a_camera_that_gives_the_class_away_in_most_cases():
    camera = np.where((LABELS == "ants") ^ (np.arange(200) % 10 == 0), "Canon EOS", "NIKON D70")
    (told,) = differences(pictures(label=LABELS, camera=camera))
    assert (told.source, told.target) == ("camera", "class") and told.accuracy == pytest.approx(0.9)


def test_parts_of_other_sizes_and_classes():
    part = np.where(np.arange(200) % 5 == 0, "test", "train")
    assert found(part=part, width=np.where(part == "test", 100, 300)) == {("size", "part")}
    label = np.where(part == "test", "ants", np.where(np.arange(200) % 2 == 0, "ants", "bees"))
    assert found(part=part, label=label) == {("class", "part")}


def test_unequal_classes_are_no_difference():
    assert found(label=np.where(np.arange(200) < 180, "ants", "bees")) == set()


def test_where_nothing_is_told_nothing_is_asked():
    alike = pictures(part=[""] * 200, width=[32] * 200, height=[32] * 200, camera=[""] * 200)
    assert differences(alike) == []


def test_a_picture_is_looked_up_among_the_others():
    """Each with a key of its own: nothing is known, and nothing right."""
    truth = np.arange(10) % 2
    assert looked_up(np.arange(10), truth) == 0.5  # ties between two classes
    assert looked_up(truth, truth) == 1.0
    assert looked_up(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) < 0.5  # each key has one of either: the other is seen


def test_many_sizes_are_ranges():
    sizes = sizes_of(pictures())
    assert len(set(sizes)) <= 64 and all(" to " in size for size in sizes)


def test_small_classes_count_what_is_trained_on():
    few = pictures(label=["a"] * 150 + ["b"] * 30 + ["c"] * 20, part=["train"] * 155 + ["test"] * 35 + ["train"] * 10)
    assert small_classes(few) == {"b": 5, "c": 10}


def test_sizes_of_which_most_are_the_smallest_are_sorted():
    sizes = sizes_of(pictures(20, width=[60] * 11 + list(range(61, 70)), height=[80] * 20))
    assert set(sizes[:12]) == {"60 to 61 x 80 px"} and len(set(sizes)) > 2 and sizes[-1].endswith("69 x 80 px")
