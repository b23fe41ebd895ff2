"""A verdict is as certain as the intervals are, and no more."""

from recipes.evaluation.verdict import verdict_over_seeds


def test_the_verdict_keeps_to_the_intervals():
    """Student's t for two degrees of freedom is 4.3027: means of 0.9, 0.8, 0.5 with half widths of 0.0248."""
    scores = {"a": [0.89, 0.9, 0.91], "b": [0.79, 0.8, 0.81], "c": [0.49, 0.5, 0.51]}
    assert verdict_over_seeds(scores, "accuracy") == (
        "a has the best accuracy, 0.9 (95 % interval 0.8752 to 0.9248), and no other interval reaches it."
    )
    scores["b"] = [0.86, 0.87, 0.88]
    assert "a has the best accuracy" in verdict_over_seeds(scores, "accuracy")
    assert "its interval overlaps with that of b: these data" in verdict_over_seeds(scores, "accuracy")
    assert verdict_over_seeds(scores | {"c": [0.1, None, 0.2]}, "loss", min).startswith("b has the best loss, 0.87 ")
    assert "a single seed gives no interval" in verdict_over_seeds({"a": [0.5], "b": [0.4]}, "accuracy")
    assert verdict_over_seeds({"a": [None]}, "loss", min) == "No loss can be compared: every one has diverged."
