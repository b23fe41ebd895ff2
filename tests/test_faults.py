"""docs/faults.md says what the tests stage."""

import faults


def test_the_page_is_what_the_marks_say():
    assert faults.PAGE.read_text(encoding="utf-8") == faults.page(), "run `python tests/faults.py`"
