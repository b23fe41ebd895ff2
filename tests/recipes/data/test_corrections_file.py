"""A table of corrections that grows label by label: what others wrote into it stays, and each state of it can be read."""

import pytest

from recipes.data.sources.corrections import read
from recipes.data.sources.corrections_file import NOTHING, CorrectionsFile, can_be_named
from recipes.errors import UserError

BEGUN = "path;Action;to;suggestion;reason;mine\na.jpg;;dog;relabel;looks like dog;1\nb.jpg;Leave_Out;;leave out;is blank;\n\
a.jpg;group;litter 7;;;2\nc.jpg;relabel;cat;;;\n"


def actions(table):
    return {path: [(row.action, row.to) for row in rows] for path, rows in read(table.place).rows.items()}


def test_labels_are_set_changed_and_taken_back(tmp_path):
    table = CorrectionsFile(tmp_path / "corrections.csv")
    assert table.set("x/a.jpg", ("relabel", "cat;dog")) == NOTHING and not table.wish("b.jpg")[0]
    assert table.set('=b "x", ü.jpg', ("relabel", "cat")) == NOTHING
    assert table.set("x/a.jpg", ("leave out", "")) == ("relabel", "cat;dog")
    assert actions(table) == {"x/a.jpg": [("leave out", "")], '=b "x", ü.jpg': [("relabel", "cat")]}
    assert CorrectionsFile(table.place).wishes == table.wishes
    for path in list(table.wishes):
        table.set(path, NOTHING)
    assert actions(table) == {} == table.wishes


def test_what_others_wrote_stays(tmp_path):
    place = tmp_path / "corrections.csv"
    place.write_text(BEGUN)
    table = CorrectionsFile(place)
    assert table.wishes == {"b.jpg": ("leave out", ""), "c.jpg": ("relabel", "cat")}
    table.set("a.jpg", ("relabel", "dog"))
    table.set("b.jpg", ("keep", ""))
    table.set("c.jpg", NOTHING)
    assert actions(table) == {"a.jpg": [("group", "litter 7"), ("relabel", "dog")], "b.jpg": [("keep", "")]}
    lines = place.read_text().splitlines()
    assert "a.jpg,,dog,relabel,looks like dog,1" in lines and "a.jpg,group,litter 7,,,2" in lines
    assert "b.jpg,,,leave out,is blank," in lines and not any(line.startswith("c.jpg") for line in lines)


@pytest.mark.fault(
    "Tables",
    "a person edits corrections.csv in a spreadsheet while `zoo label` writes it",
    "the next label is refused, with the reason, and the file stays as the spreadsheet wrote it",
    "one of the two would be lost without a word",
)
def test_a_table_that_somebody_else_changed_is_not_written_over(tmp_path):
    table = CorrectionsFile(tmp_path / "corrections.csv")
    table.set("a.jpg", ("relabel", "cat"))
    table.place.write_text("path,action,to\na.jpg,relabel,dog\n")
    with pytest.raises(UserError, match="changed by another program"):
        table.set("b.jpg", ("relabel", "cat"))
    assert read(table.place).rows["a.jpg"][0].to == "dog" and table.wish("b.jpg") == NOTHING


def test_names_that_a_table_cannot_hold_are_known():
    assert all(map(can_be_named, ("a.jpg", "=a.jpg", "'=a.jpg", "x y/ü\n.jpg", 'a",b.jpg', "a ")))
    assert not any(map(can_be_named, (" a.jpg", "b\udcff.jpg")))


def test_names_are_read_as_they_were_written(tmp_path):
    names = ("a.jpg", "=a.jpg", "'=a.jpg", "x y/ü\n.jpg", 'a",b.jpg', "a;b.jpg", "#c.jpg", "sep=,")
    table = CorrectionsFile(tmp_path / "corrections.csv")
    for name in names:
        table.set(name, ("relabel", "cat"))
    assert set(actions(table)) == set(names) == set(CorrectionsFile(table.place).wishes)
