"""The sentences that a report opens with, on results made by hand."""

import numpy as np
import pytest

from recipes.evaluation.metrics import label_metrics, metrics
from recipes.report.opening import baseline, difference, opening


def measured(confusion: list[list[int]], names: str = "abcdef") -> dict:
    """The measures of a part, from how many images of each class (rows) were taken for each (columns)."""
    table = np.array(confusion)
    truth, taken = (np.repeat(place, table.ravel()) for place in (np.indices(table.shape)[i].ravel() for i in (0, 1)))
    guesses = np.full((len(truth), len(table)), 0.01)
    guesses[np.arange(len(truth)), taken] = 0.9
    return metrics(truth, guesses, list(names[: len(table)]))


def result(train, held_out, split="test", counts=None, **more) -> dict:
    parts = {"train": measured(train)} if train else {}
    parts[split] = measured(held_out)
    names = [row["name"] for row in parts[split]["classes"]]
    counts = counts or [row["images"] for row in (parts.get("train") or parts[split])["classes"]]
    return {"metrics": parts, "class_counts": {"train": dict(zip(names, counts, strict=True))}, "classes": names} | more


def text(of: dict, split: str = "test", measure: str = "accuracy") -> str:
    found = opening(of, split, measure)
    return "\n".join([*found.found, *(sentence for sentence, _ in found.steps)])


def test_a_result_that_is_good_everywhere_says_so_and_asks_for_nothing():
    said = opening(result([[300, 0], [0, 300]], [[300, 0], [0, 300]]), "test", "accuracy")
    assert said.found == (
        "The accuracy of 100.0 % is to be compared with the 50.0 % that always answering “a”, the class with most training "
        "images, would give: 50.0 points more.",
        "On the training images the accuracy is 100.0 %: no difference to the test images is shown (-0.6 to +0.6 points).",
        "No image of this part is classified wrongly.",
    )
    assert said.steps == ()
    million = opening(result([[10**6, 0], [0, 10**6]], [[10**6, 0], [0, 10**6]]), "test", "accuracy").found[1]
    assert million.endswith("is shown (+0.0 to +0.0 points).")


def test_what_does_no_better_than_the_largest_class_is_not_praised():
    said = text(result([[90, 10], [50, 50]], [[40, 10], [12, 8]], counts=[700, 100]))
    assert "68.6 % is to be compared with the 71.4 % that always answering “a”" in said
    assert "these 70 images do not show that the model is better than that" in said
    # The interval, 57.0 to 78.2 %, holds what the largest class alone gives, although the accuracy lies above it.
    assert "do not show" in text(result([[90, 10], [50, 50]], [[45, 5], [12, 8]], counts=[700, 100]))


def test_the_baseline_is_that_of_the_class_most_often_trained_on_wherever_it_is_measured():
    known = result([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[10, 0, 0], [0, 30, 0], [0, 0, 60]], counts=[50, 20, 20])
    assert baseline(known, "test", "accuracy")[0] == pytest.approx(0.1)
    assert baseline(known, "test", "balanced_accuracy")[0] == pytest.approx(1 / 3)
    assert baseline(known, "test", "macro_f1") is None


def test_several_labels_are_compared_with_a_ranking_by_chance():
    labels = np.array([[1, 0], [1, 1], [1, 0], [0, 1]])
    scores = label_metrics(labels, np.where(labels, 0.9, 0.1), ["a", "b"])
    of = {"metrics": {"test": scores}, "class_counts": {"train": {"a": 3, "b": 2}}, "classes": ["a", "b"]}
    assert baseline(of, "test", "mean_average_precision") == (pytest.approx((0.75 + 0.5) / 2), "a ranking by chance")
    assert "100.0 % is to be compared with the 62.5 % that a ranking by chance would give" in text(
        of, measure="mean_average_precision"
    )


def test_the_gap_between_parts_has_the_interval_of_newcombe():
    # Newcombe 1998, table II, example (a): 56/70 - 48/80, method 10.
    from recipes.evaluation.intervals import wilson

    shares = [(k / n, *wilson(k, n)) for k, n in ((56, 70), (48, 80))]
    assert difference(*shares) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    said = text(result([[99, 1], [1, 99]], [[80, 20], [20, 80]]))
    assert "On the training images the accuracy is 99.0 %: 19.0 points more (13.4 to 25.1)" in said
    assert "learnt by heart" in said
    assert "images are easier than those" in text(result([[60, 40], [40, 60]], [[99, 1], [1, 99]]))


def test_the_weakest_classes_and_the_most_frequent_mistake_are_named():
    held_out = [[50, 0, 0], [0, 45, 5], [0, 30, 20]]
    of = result([[60, 0, 0], [0, 60, 0], [0, 0, 60]], held_out, counts=[60, 60, 12])
    said = opening(of, "test", "accuracy")
    assert any(line.startswith("The weakest class is “c” (40.0 % of 50 images found, 27.6 % to 53.8 %)") for line in said.found)
    assert "“c” taken for “b”: 30 of the 50 images of that class, and of 35 mistakes in all." in said.found[-1]
    assert ("Add pictures of “c”: 12 to train on, where the largest class has 60.", "counts") in said.steps
    of["class_counts"]["train"]["c"] = 60
    assert "Look at the mistakes with “c”, and add pictures of the kind that fails." in text(of)


def test_mistakes_that_are_as_frequent_are_not_hidden():
    assert "No mistake is made twice: the 2 wrong answers are of 2 kinds." in text(result(None, [[9, 1], [1, 9]]))
    assert "; 1 other pair as often" in text(result(None, [[9, 3], [3, 9]]))


@pytest.mark.parametrize(
    "phases, advice",
    [([], "train more of it (--strategy auto), or try a larger network"), ([{}], "only: try a larger network")],
)
def test_what_is_not_even_learnt_asks_for_a_larger_network(phases, advice):
    of = result([[60, 40], [40, 60]], [[60, 40], [40, 60]], strategy={"phases": phases})
    assert "Even the training images are answered at 60.0 %" in text(of) and advice in text(of)


def test_suspects_come_first_and_few_images_ask_for_more():
    of = result([[20, 0], [0, 20]], [[9, 1], [2, 8]], suspects=[{}, {}])
    steps = opening(of, "test", "accuracy").steps
    assert steps[0] == (
        "Look at the 2 labels that are probably wrong: right labels cost less than a better network.",
        "suspects",
    )
    assert "20 tell the accuracy to within" in steps[-1][0] and len(steps) <= 4


def test_the_training_part_alone_asks_for_images_kept_apart():
    of = {
        "metrics": {"train": measured([[9, 1], [1, 9]])},
        "class_counts": {"train": {"a": 10, "b": 10}},
        "classes": ["a", "b"],
    }
    said = text(of, "train")
    assert "On the training images" not in said and "Keep images apart to measure with" in said


def test_a_long_name_does_not_fill_the_page():
    of = result(None, [[7, 3], [0, 10]])
    of["metrics"]["test"]["classes"][0]["name"] = 300 * "x"
    assert f"“{39 * 'x'}…”" in text(of) and 40 * "x" not in text(of)
