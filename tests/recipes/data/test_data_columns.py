"""Tables as DATA: columns by name or by --columns, groups, weights, annotators, and the faults that people make in them."""

import re

import pytest

from recipes.data.sources.chosen import scan
from recipes.errors import UserError
from recipes.settings.finetune import Recipe


@pytest.fixture
def photos(tmp_path):
    """Twelve files, p0_0.jpg to p3_2.jpg, which are listed and not opened."""
    for i in range(12):
        (tmp_path / f"p{i // 3}_{i % 3}.jpg").write_text(str(i))
    return tmp_path


def listed(photos, text, **settings):
    """The listing of a table that lies beside its pictures."""
    (photos / "table.csv").write_text(text)
    return scan(Recipe(photos / "table.csv", **settings))


def refusal(photos, text, **settings):
    with pytest.raises(UserError) as caught:
        listed(photos, text, **settings)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(f"{photos}/", "")


def rows(header="path,label", *more):
    """A table of all pictures, cats and dogs in turn, with more cells as `more` says by the picture's number."""
    lines = [f"p{i // 3}_{i % 3}.jpg,{'dog' if i % 2 else 'cat'}" + "".join(f",{cell(i)}" for cell in more) for i in range(12)]
    return "\n".join([header, *lines]) + "\n"


def test_a_table_alone_is_data_with_paths_beside_it(photos):
    found = listed(photos, rows())
    assert found.root == photos and found.classes == ("cat", "dog") and len(found.files) == 12
    assert {(file.group, file.weight, file.split) for file in found.files} == {("", 1.0, "")}
    assert "is a table itself" in refusal(photos, rows(), labels=photos / "table.csv")
    with pytest.raises(UserError, match="--columns is about a table"):
        scan(Recipe(photos, columns="path=file"))


def test_columns_are_known_by_name_or_named(photos):
    more = (lambda i: ("train", "val")[i > 8], lambda i: f"patient {i // 3}", lambda i: 1 + i)
    by_name = listed(photos, rows("path,label,split,group,weight", *more))
    by_flag = listed(
        photos,
        rows("dicom,finding,fold name,who,trust,width", *more, lambda i: 640),
        columns="path=dicom, label=finding, split=fold name, group=who, weight=trust",
    )
    assert by_name.files == by_flag.files and by_name.classes == by_flag.classes
    first = next(file for file in by_name.files if file.path == "p0_1.jpg")
    assert (first.label, first.split, first.group, first.weight) == ("dog", "train", "patient 0", 2.0)
    assert any("does not name, ignored: width" in finding for finding in by_flag.findings)
    assert any("which stay together: 4" in finding for finding in by_flag.findings)
    assert any("weights from 1 to 12" in finding for finding in by_flag.findings)


@pytest.mark.fault(
    "Tables",
    "--columns names a column that is not there, or a role that there is none of",
    "refused, with the columns that there are and the nearest",
    "another column would be taken",
)
@pytest.mark.parametrize(
    "columns, sentence",
    [
        ("path=file,label=label", "table.csv has no column file, which is to be the path; found path, label."),
        ("label=Label", "has no column Label, which is to be the label; found path, label. Is it label?"),
        ("path=label,label=label", "--columns gives the column label two roles"),
        ("lable=label", "--columns knows path, label, split, group, weight, annotator, found 'lable': label?"),
        ("path", "--columns must be such as path=file,label=species, found 'path': give ROLE=NAME"),
        ("path=path,path=label", "says twice what the path is, path and label: keep one"),
        ("", "--columns must be such as"),
    ],
)
def test_wrong_columns_are_refused(photos, columns, sentence):
    assert sentence in refusal(photos, rows(), columns=columns)


@pytest.mark.fault(
    "Tables",
    "A weight is negative, zero, infinite, missing or no number",
    "refused with its line",
    "a loss would become NaN, or a picture be learnt the wrong way round",
)
@pytest.mark.parametrize("cell", ["-1", "0", "nan", "NaN", "inf", "", "much", "1e400"])
def test_a_weight_is_a_number_above_zero(photos, cell):
    text = rows("path,label,weight", lambda i: cell if i == 4 else 1)
    assert f"table.csv, line 6: weight must be a number above 0, found {cell!r}" in refusal(photos, text)


def test_a_decimal_comma_is_read(photos):
    text = (
        rows("path,label,weight", lambda i: "0.5" if i else "2.0").replace(",", ";").replace(".5", ",5").replace("2.0", "2,0")
    )
    assert {file.path: file.weight for file in listed(photos, text).files}["p0_0.jpg"] == 2.0


@pytest.mark.fault(
    "Tables",
    "A label is empty in a column called label, class or category",
    "refused with its line; in a column called labels it is a picture of none of the classes",
    "one hole would make a problem with several labels of one with one",
)
def test_an_empty_label_is_refused_where_each_picture_has_one(photos):
    text = rows().replace("p1_0.jpg,dog", "p1_0.jpg,")
    assert "table.csv, line 5: label is empty: fill it in" in refusal(photos, text)
    assert not listed(photos, text.replace("label", "labels")).task.one_label


@pytest.mark.fault(
    "Tables",
    "A class stands in val or test alone",
    "refused with the line",
    "a class that nothing learns is measured",
)
def test_a_class_that_training_lacks_is_refused(photos):
    split = ("path,label,split", lambda i: ("train", "val")[i > 8])
    text = rows(*split).replace("p3_2.jpg,dog", "p3_2.jpg,wolf")
    assert "table.csv, line 13: the label wolf stands in no row of train" in refusal(photos, text)
    text = rows(*split).replace("p3_0.jpg,dog", "p3_0.jpg,cat").replace("p3_2.jpg,dog", "p3_2.jpg,cat")
    assert any("validation has no pictures of some classes: dog" in finding for finding in listed(photos, text).findings)


def test_missing_files_are_counted(photos):
    text = rows().replace("p2", "q2")
    assert "line 8: there is no file q2_0.jpg in" in (sentence := refusal(photos, text))
    assert "So it is with 2 more of 12 rows." in sentence


def test_pictures_outside_are_said(photos):
    outside = photos.parent / f"{photos.name}.jpg"
    outside.write_text("x")
    found = listed(photos, rows() + f"{outside},cat\n")
    assert any(f"outside of {photos}: 1, such as {outside}" in finding for finding in found.findings)


def test_what_windows_and_spreadsheets_write_is_read(photos):
    (photos / "more").mkdir()
    (photos / "more" / "a b.jpg").write_text("x")
    lines = [
        '\ufeff"path";"label";"comment"',
        '"more\\a b.jpg";"cat";"two',
        'lines; and ""quotes"""',
        "p0_0.jpg;dog;",
        "p0_1.jpg;dog;",
    ]
    text = "\r\n".join(lines)
    found = listed(photos, text, columns="label=label")
    assert {file.path: file.label for file in found.files} == {"more/a b.jpg": "cat", "p0_0.jpg": "dog", "p0_1.jpg": "dog"}
    assert "line 4: label is empty" in refusal(photos, text.replace("p0_0.jpg;dog", "p0_0.jpg;"), columns="label=label")


# Groups


def test_groups_are_a_column_or_a_part_of_the_path(photos):
    text = rows("path,label,patient", lambda i: i // 3)
    by_column = listed(photos, text, groups="patient")
    by_path = listed(photos, rows(), groups=r"p(\d)_")
    assert [file.group for file in by_column.files] == [file.group for file in by_path.files]
    assert {file.group for file in by_path.files} == set("0123")
    some = listed(photos, rows(), groups=r"p([01])_")
    assert any("none in 6 paths, such as p2_0.jpg: each is a group of its own" in finding for finding in some.findings)
    two = listed(photos, rows(), groups=r"p(\d)_(\d)")
    assert {file.group for file in two.files} == {f"{i}/{j}" for i in range(4) for j in range(3)}


@pytest.mark.fault(
    "Tables",
    "--groups is no column and no such expression: no part in brackets, no match, one group for all",
    "refused, saying what it was taken for",
    "pictures of one patient would stand on two sides",
)
@pytest.mark.parametrize(
    "groups, sentence",
    [
        ("patient", "--groups patient is no column of table.csv, and a regular expression without a part in brackets"),
        ("q(\\d)", "--groups q(\\\\d) matches no path, such as p0_0.jpg"),
        ("(p)", "--groups (p) names one group for all pictures, p,"),
        ("p(\\d", "--groups must be a column or a regular expression"),
        (" ", "--groups is empty"),
    ],
)
def test_wrong_groups_are_refused(photos, groups, sentence):
    assert sentence.replace("\\\\", "\\") in refusal(photos, rows(), groups=groups)


def test_a_column_that_is_called_like_no_class_may_be_the_group(photos):
    text = "path,cat,dog,patient\n" + "".join(f"p{i // 3}_{i % 3}.jpg,{i % 2},{1 - i % 2},{i // 3}\n" for i in range(12))
    assert "give --groups patient if pictures of one patient belong together" in refusal(photos, text)
    assert listed(photos, text, groups="patient").classes == ("cat", "dog")


# Several annotators


def votes(photos, *lines, header="path,label,annotator"):
    found = listed(photos, "\n".join([header, *lines]) + "\n")
    return found, {file.path: (file.label, pytest.approx(file.weight)) for file in found.files}


def test_a_picture_has_the_label_of_most_and_counts_by_their_share(photos):
    found, files = votes(
        photos,
        *("p0_0.jpg,cat,ann", "p0_0.jpg,cat,bob", "p0_0.jpg,dog,cyd"),
        *("p0_1.jpg,dog,ann", "p0_2.jpg,cat,ann", "p0_2.jpg,dog,bob", "p1_0.jpg,cat,ann"),
    )
    assert files == {"p0_0.jpg": ("cat", 2 / 3), "p1_0.jpg": ("cat", 1), "p0_1.jpg": ("dog", 1)}
    assert found.left_out == (("p0_2.jpg", "has no label that most annotators give (cat 50 %, dog 50 %)"),)
    assert any("1 to 3 annotators a picture; they differ on 2 of 4 pictures" in finding for finding in found.findings)


def test_a_vote_may_have_a_weight_and_a_lost_label_is_said(photos):
    lines = ("p0_0.jpg,cat,ann,3", "p0_0.jpg,wolf,bob,1", "p0_1.jpg,dog,ann,1", "p0_2.jpg,cat,ann,1")
    found, files = votes(photos, *lines, header="path,label,annotator,weight")
    assert files == {"p0_0.jpg": ("cat", 0.75), "p0_2.jpg": ("cat", 1), "p0_1.jpg": ("dog", 1)}
    assert found.classes == ("cat", "dog") and any("by the votes of most: wolf" in finding for finding in found.findings)


def test_of_several_labels_each_is_voted_on(photos):
    _, files = votes(
        photos,
        *("p0_0.jpg,cat;dog,ann", "p0_0.jpg,cat,bob", "p0_0.jpg,cat,cyd", "p0_1.jpg,dog,ann", "p0_2.jpg,,ann"),
        header="path,labels,annotator",
    )
    assert files == {"p0_0.jpg": (("cat",), (1 + 2 / 3) / 2), "p0_1.jpg": (("dog",), 1), "p0_2.jpg": ((), 1)}


@pytest.mark.fault(
    "Tables",
    "The votes on one picture do not go together: an annotator twice, or rows in two parts or groups",
    "refused with both lines",
    "a person would count twice, or the picture stand on two sides",
)
@pytest.mark.parametrize(
    "line, sentence",
    [
        ("p0_0.jpg,dog,ann,train,1", "line 4: p0_0.jpg has a second row of the annotator ann, first in line 2"),
        ("p0_0.jpg,cat,bob,val,1", "line 4: the split of p0_0.jpg is 'validation', and 'train' in line 2"),
        ("p0_0.jpg,cat,bob,train,", "line 4: the group of p0_0.jpg is 'empty', and '1' in line 2"),
    ],
)
def test_votes_that_do_not_go_together_are_refused(photos, line, sentence):
    text = f"path,label,annotator,split,group\np0_0.jpg,cat,ann,train,1\np0_1.jpg,dog,ann,train,1\n{line}\n"
    assert sentence in refusal(photos, text)


def test_rows_without_annotators_are_no_votes(photos):
    sentence = refusal(photos, rows() + "p0_0.jpg,dog\n")
    assert re.search("line 14: p0_0.jpg is listed a second time, first in line 2. Keep one; .* in a column annotator", sentence)


# Parquet


def parquet(photos, **columns):
    """The listing of a Parquet table beside its pictures."""
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), photos / "table.parquet")
    return scan(Recipe(photos / "table.parquet"))


def test_a_parquet_table_says_what_one_of_text_says(photos):
    paths = [f"p{i // 3}_{i % 3}.jpg" for i in range(12)]
    one = parquet(
        photos,
        path=paths,
        label=["dog" if i % 2 else "cat" for i in range(12)],
        split=["train" if i < 9 else None for i in range(12)],
        group=[i // 3 for i in range(12)],
        weight=[1.0 + i for i in range(12)],
        __index_level_0__=list(range(12)),
    )
    more = (lambda i: "train" if i < 9 else "", lambda i: i // 3, lambda i: 1 + i)
    assert one.files == listed(photos, rows("path,label,split,group,weight", *more)).files
    flags = parquet(photos, path=paths, cat=[i % 2 == 0 for i in range(12)], dog=[float(i % 3 == 0) for i in range(12)])
    assert flags.classes == ("cat", "dog") and flags.files[0].label == ("cat", "dog") and flags.files[1].label == ()
    lists = parquet(photos, path=paths, labels=[["cat", "dog"][: i % 3] for i in range(12)])
    assert lists.files[2].label == ("cat", "dog") and not lists.task.one_label
    (photos / "table.parquet").rename(photos / "table.txt")  # by its content, whatever it is called
    assert scan(Recipe(photos / "table.txt")).files == lists.files


@pytest.mark.fault(
    "Tables",
    "A Parquet table is damaged, or holds the pictures themselves",
    "refused, with the row",
    "a traceback of the reader",
)
def test_what_is_no_such_parquet_table_is_refused(photos):
    with pytest.raises(UserError, match="row 2: weight must be a number above 0, found ''"):
        parquet(photos, path=["p0_0.jpg", "p0_1.jpg"], label=["cat", "dog"], weight=[1.0, None])
    with pytest.raises(UserError, match="row 3: p0_0.jpg is listed a second time, first in row 1"):
        parquet(photos, path=["p0_0.jpg", "p0_1.jpg", "p0_0.jpg"], label=["cat", "dog", "cat"])
    with pytest.raises(UserError, match="row 1: image holds a structure, such as a picture itself: save the pictures as files"):
        parquet(photos, image=[{"bytes": b"x", "path": "a"}], label=["cat"])
    with pytest.raises(UserError, match="row 1: labels has the item 'a;b', with ';' in it"):
        parquet(photos, path=["p0_0.jpg"], labels=[["a;b"]])
    for data in (b"PAR1", b"PAR1" + bytes(40), (photos / "table.parquet").read_bytes()[:-9]):
        (photos / "table.parquet").write_bytes(data)
        with pytest.raises(UserError, match="table.parquet cannot be read as a Parquet table .*: save it again"):
            scan(Recipe(photos / "table.parquet"))
    (photos / "table.parquet").write_bytes(b"path,label")
    with pytest.raises(UserError, match="table.parquet lists no picture"):
        scan(Recipe(photos / "table.parquet"))
