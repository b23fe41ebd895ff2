"""Findings that are equal are one line."""

from pathlib import Path

import pytest
from PIL import Image

from recipes.data.dataset import prepare, warn_of_left_out
from recipes.data.images import Framing
from recipes.data.notes import grouped
from recipes.data.sources.folder import scan_folder


def test_one_picture_is_named_with_its_note():
    assert grouped([("a.gif", "animated"), ("b.png", "")]) == ["a.gif: animated."]


def test_equal_notes_are_one_line_with_a_count():
    assert grouped([(f"{i}.png", "short side of only 28 px: enlarged to 256") for i in range(70_000)]) == [
        "70,000 pictures, 0.png, 1.png and 69,998 more: short side of only 28 px: enlarged to 256."
    ]
    assert grouped([("a", "odd"), ("b", "odd")]) == ["2 pictures, a, b: odd."]


def test_notes_that_differ_in_numbers_alone_are_one_line_with_their_span():
    notes = [
        ("a", "of 9 frames; aspect 12:1"),
        ("b", "of 120 frames"),
        ("c\n", "of 1,000 frames"),
        ("d", "marker 0xd9, 3.5 bytes"),
    ]
    assert grouped([*notes, ("e", "marker 0xda, 12 bytes")]) == [
        "3 pictures, a, b and 1 more: of 9 to 1,000 frames.",
        "a: aspect 12:1.",
        "2 pictures, d, e: marker 0xd9 to 0xda, 3.5 to 12 bytes.",
    ]


@pytest.mark.fault(
    "Pictures",
    "a finding on each of many pictures, such as 28 x 28 pixels at an input of 224",
    "one line with a count, two names and the span of the numbers",
    "70,000 lines hide every other finding",
)
def test_small_pictures_are_one_finding(tmp_path):
    for label in range(2):
        (tmp_path / str(label)).mkdir()
        for i in range(6):
            Image.new("L", (20 + i, 30), 40 * i + 5 * label).save(tmp_path / str(label) / f"{i}.png")
    data = prepare(scan_folder(tmp_path), Framing(224, 256, 3), 0.2, 0.2, 0)
    assert [finding for finding in data.findings if "enlarged" in finding] == [
        "12 pictures, 0/0.png, 0/1.png and 10 more: short side of only 20 to 25 px: enlarged to 256."
    ]
    assert sorted(set(data.notes.values())) == [f"short side of only {20 + i} px: enlarged to 256" for i in range(6)]


def test_what_is_left_out_names_a_table_only_where_there_is_one(capsys):
    empty = [(f"{i}.png", f"is empty ({i} bytes)") for i in range(2)]
    warn_of_left_out(Path("photos"), empty)
    warn_of_left_out(Path("photos"), empty * 2, table="")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "warning: photos/0.png is empty (0 bytes): left out, and so is 1 more file, see files.csv."
    assert second == "warning: photos/0.png is empty (0 bytes): left out, and so are 3 more files."
