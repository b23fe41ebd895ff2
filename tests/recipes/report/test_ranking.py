"""The chart of `zoo rank`, measured as it is drawn."""

import io
import itertools

from recipes.report.ranking import accuracy_and_speed, heaps

ROWS = [
    ("one", 34.0, 0.955),
    ("one + another + a third whose name is long", 8.0, 0.946),
    ("another", 15.5, 0.928),
    ("a third whose name is long", 15.6, 0.9285),
    ("a fourth", 0.4, 0.928),
]


def test_no_label_lies_over_another_and_every_name_is_there():
    rows = [{"candidate": n, "images/s": s, "accuracy": a, "low": a - 0.06, "high": a + 0.03} for n, s, a in ROWS]
    figure = accuracy_and_speed(rows, rows[:1])
    figure.savefig(io.BytesIO())  # lays it out
    (plot,) = figure.axes
    names = figure.texts
    assert [label.get_text() for label in plot.texts] == ["1", "2", "3, 4", "5"]
    assert names[0].get_text().splitlines() == [f"{i}  {name}" for i, (name, _, _) in enumerate(ROWS, 1)]
    boxes = [text.get_window_extent() for text in (*plot.texts, plot.xaxis.label, *names)]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= figure.bbox.y0 for box in boxes)


def test_a_single_dot_is_a_heap():
    import numpy as np

    assert heaps(np.array([3.0]), np.array([0.5])) == [[0]]
