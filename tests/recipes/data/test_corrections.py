"""Tables of corrections: what a person fills in is applied to a listing, all else is refused by line."""

import json
from dataclasses import dataclass
from pathlib import Path

import commands
import pytest
from helpers import digits_folder

from recipes.data.sources import corrections
from recipes.data.sources.chosen import listed
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.labels import scan_labels
from recipes.errors import UserError


@pytest.fixture
def photos(tmp_path):
    """Three cats and three dogs to train on, and one each to test; files that are listed and not opened."""
    for name in (
        "train/cat/a",
        "train/cat/b",
        "train/cat/c",
        "train/dog/d",
        "train/dog/e",
        "train/dog/f",
        "test/cat/g",
        "test/dog/h",
    ):
        file = tmp_path / "photos" / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "photos"


def corrected(photos, *rows, header="path,action,to,suggestion,reason"):
    """The listing after the corrections of a table beside it."""
    file = photos.parent / "corrections.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return corrections.corrected(scan_folder(photos), corrections.read(file))


def refusal(photos, *rows, **options):
    """The sentence by which corrections are refused, without the folder's name."""
    with pytest.raises(UserError) as caught:
        corrected(photos, *rows, **options)
    return str(caught.value).replace(str(photos.parent), "")


def test_each_action_does_what_it_says_and_a_row_without_one_does_nothing(photos):
    listing = corrected(
        photos,
        "train/cat/a.jpg,leave out,,leave out,is blank",
        "train/cat/b.jpg,relabel,dog,relabel,looks like dog",
        "train/cat/b.jpg,Group,litter 7,,",
        "train/dog/d.jpg,keep,cat,relabel,looks like cat",
        "train/dog/e.jpg,,cat,relabel,looks like cat",
        "test/dog/h.jpg,leave_out,,,",
    )
    assert {file.path: (file.label, file.group) for file in listing.files} == {
        "train/cat/b.jpg": ("dog", "litter 7"),
        "train/cat/c.jpg": ("cat", ""),
        "train/dog/d.jpg": ("dog", ""),
        "train/dog/e.jpg": ("dog", ""),
        "train/dog/f.jpg": ("dog", ""),
        "test/cat/g.jpg": ("cat", ""),
    }
    assert [path for path, _ in listing.left_out] == ["train/cat/a.jpg", "test/dog/h.jpg"]
    assert listing.findings[-1] == "Corrections of corrections.csv: 2 left out, 1 relabelled, 1 grouped, 1 kept."
    assert listing.corrections["actions"] == {"keep": 1, "leave out": 2, "relabel": 1, "group": 1}


def test_a_relabelled_picture_is_listed_as_if_it_lay_in_the_other_class(photos, tmp_path):
    listing = corrected(photos, "train/dog/d.jpg,relabel,cat,,")
    there = photos / "train/cat/d.jpg"
    (photos / "train/dog/d.jpg").rename(there)
    assert [(f.label, f.path[-5:]) for f in listing.files] == [(f.label, f.path[-5:]) for f in scan_folder(photos).files]


def test_pictures_with_several_labels_are_relabelled(photos):
    table = photos.parent / "labels.csv"
    table.write_text("path,labels\ntrain/cat/a.jpg,x;y\ntrain/cat/b.jpg,x\ntrain/dog/d.jpg,y\ntrain/dog/e.jpg,\n")
    file = photos.parent / "corrections.csv"
    file.write_text("path,action,to\ntrain/cat/b.jpg,relabel,y; x\ntrain/dog/d.jpg,relabel,\n")
    listing = corrections.corrected(scan_labels(photos, table), corrections.read(file))
    assert [file.label for file in listing.files] == [("x", "y"), ("x", "y"), (), ()]


@pytest.mark.fault(
    "Tables",
    "A correction names a picture that is not there, or a class that is not one",
    "The line, what there is, and what it may have meant",
    "a correction that does nothing is believed to have done something",
)
def test_what_cannot_be_applied_is_refused_by_line(photos):
    assert refusal(photos, "train/cat/x.jpg,leave out,,,") == (
        "/corrections.csv, line 2: /photos has no picture train/cat/x.jpg: take the row away. Is it train/cat/c.jpg?"
    )
    assert refusal(photos, "train/cat/a.jpg,relabel,dig,,") == (
        "/corrections.csv, line 2: dig is no class of /photos: choose one of cat, dog. Is it dog?"
    )
    assert "relabel needs one class in the column to, found ''" in refusal(photos, "train/cat/a.jpg,relabel,,,")
    assert "the action must be keep, leave out, relabel, group or empty, found 'delete'" in refusal(
        photos, "train/cat/a.jpg,delete,,,"
    )
    assert "needs the group's name" in refusal(photos, "train/cat/a.jpg,group,,,")
    assert "has the action keep in /corrections.csv, line 2: keep one" in refusal(
        photos, "train/cat/a.jpg,keep,,,", "train/cat/a.jpg,relabel,dog,,"
    )
    assert "leaves no picture of cat" in refusal(
        photos,
        *(
            f"{part}/cat/{name}.jpg,leave out,,,"
            for part, name in (("train", "a"), ("train", "b"), ("train", "c"), ("test", "g"))
        ),
    )
    assert "found no column action" in refusal(photos, "train/cat/a.jpg,dog", header="path,label")


def chosen(folder, *rows):
    """The listing of a folder as a command reads it, with a table of corrections beside."""
    file = folder.parent / "corrections.csv"
    file.write_text("\n".join(["path,action,to", *rows]) + "\n")
    return listed(Labelled(folder, file))


@dataclass(frozen=True)
class Labelled:
    data: Path
    corrections: Path


def bare(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("place", ["", "100CANON/"])
def test_pictures_without_labels_get_those_of_corrections(tmp_path, place):
    folder = bare(tmp_path / "new", *(f"{place}{name}.jpg" for name in "abcdef"))
    rows = [f"{place}a.jpg,relabel,cat", f"{place}b.jpg,relabel,dog", f"{place}c.jpg,leave out,", f"{place}d.jpg,keep,"]
    listing = chosen(folder, *rows)
    assert [(f.path, f.label) for f in listing.files] == [(f"{place}a.jpg", "cat"), (f"{place}b.jpg", "dog")]
    assert listing.classes == ("cat", "dog") and listing.task.one_label
    reasons = dict(listing.left_out)
    assert reasons[f"{place}c.jpg"] == "has the action leave out in corrections.csv"
    assert {path for path, reason in reasons.items() if reason == "has no label"} == {f"{place}{x}.jpg" for x in "def"}
    several = chosen(folder, *rows[:2], f"{place}e.jpg,relabel,dog;cat", f"{place}f.jpg,relabel,")
    assert [f.label for f in several.files] == [("cat",), ("dog",), ("cat", "dog"), ()] and not several.task.one_label
    measured = listed(Labelled(folder, tmp_path / "corrections.csv"), known=("emu", "dog"))
    assert measured.classes == ("emu", "dog", "cat") and [f.label for f in measured.files] == [f.label for f in several.files]
    with pytest.raises(UserError, match="one class folder only, 100CANON" if place else "one label only, cat"):
        chosen(folder, rows[0])


def test_pictures_beside_class_folders_get_those_of_corrections(photos):
    bare(photos, "loose.jpg", "train/more.jpg", "other.jpg")
    listing = chosen(photos, "loose.jpg,relabel,dog", "train/more.jpg,relabel,cat", "train/cat/a.jpg,relabel,dog")
    found = {file.path: (file.label, file.split) for file in listing.files}
    assert found["loose.jpg"] == ("dog", "train") and found["train/more.jpg"] == ("cat", "train") and len(found) == 10
    assert listing.left_out == (("other.jpg", "lies outside the class folders"),) and listing.classes == ("cat", "dog")


def test_a_misspelt_label_makes_no_folder_one_without_labels(photos):
    with pytest.raises(UserError, match=r"dgo is no class of .* Is it dog\?"):
        chosen(photos, "train/cat/a.jpg,relabel,dgo", "train/cat/b.jpg,relabel,bird")
    plain = bare(photos.parent / "plain", *(f"{label}/{name}.jpg" for label in ("cat", "dog") for name in "ab"))
    with pytest.raises(UserError, match=r"catt is no class of .* Is it cat\?"):
        chosen(plain, "cat/a.jpg,relabel,catt", "cat/b.jpg,relabel,bird")


@pytest.mark.slow
def test_a_run_says_what_was_corrected_and_records_the_table(tmp_path):
    folder = digits_folder(tmp_path, 8)
    wrong = sorted(folder.glob("3/*.png"))[0].relative_to(folder).as_posix()
    table = tmp_path / "corrections.csv"
    table.write_text(f"path,action,to\n{wrong},leave out,\n")
    flags = ("--model", "lenet5", "--strategy", "small", "--corrections", table, "--output", tmp_path / "run")
    done = commands.zoo("finetune", folder, *flags)
    assert done.poll() == 0, done.stderr
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["counts"]["left_out"] == 1 and result["corrections"]["actions"]["leave out"] == 1
    assert result["corrections"]["sha256"] == corrections.read(table).sha256
    assert "Corrections of corrections.csv: 1 left out." in result["findings"]
    assert json.loads((tmp_path / "run/recipe.json").read_text())["corrections"] == str(table)
