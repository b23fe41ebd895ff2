"""Tables of labels as people, spreadsheets and data frames write them: each works, or is refused by cause and row."""

import json
import re
import unicodedata

import commands
import numpy as np
import pytest
from PIL import Image

from recipes.data.sources.labels import scan_labels
from recipes.errors import UserError, shown
from zoo.files import write_csv

# A picture a row: haze, road, both, river, river and road.
TAGS = (("haze",), ("road",), ("haze", "road"), ("river",), ("river", "road"))


@pytest.fixture
def photos(tmp_path):
    """Ten files, which are listed and not opened, and one in a folder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in (*(f"{i}.jpg" for i in range(10)), "more/a.jpg"):
        (folder / name).write_text(name)
    return folder


def scanned(photos, table, encoding="utf-8"):
    """The listing of a table, beside the folder."""
    file = photos.parent / "labels.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode(encoding))
    return scan_labels(photos, file)


def refusal(photos, table, encoding="utf-8"):
    """The sentence by which a table is refused, without the folder's name."""
    with pytest.raises(UserError) as caught:
        scanned(photos, table, encoding)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(str(photos.parent), "")


def labelled(*labels, header="path,labels"):
    """A table in which picture i has the i-th label, in quotes."""
    rows = [f'{i}.jpg,"{label}"' for i, label in enumerate(labels)]
    return "\n".join([header, *rows]) + "\n"


def found(listing):
    return {file.path: file.label for file in listing.files}


# Separators


@pytest.mark.fault(
    "Tables",
    "Labels are separated by something else than ;",
    "refused, naming the separator and a row",
    "they would become classes such as haze|road",
)
@pytest.mark.parametrize("separator", ["|", ",", "/", " ", "+", "&", "\t", ", ", " | ", "||", ":", "-", "_", "·", "\n"])
@pytest.mark.parametrize("tags", [TAGS, (("haze", "river"), ("haze", "road"), ("river", "road"))])
def test_labels_made_of_others_are_refused(photos, separator, tags):
    sentence = refusal(photos, labelled(*map(separator.join, tags)))
    mark = separator.strip(" ")[:1] or " "
    assert f"seems to be several, separated by '{shown(mark)}'" in sentence.replace("\\\\", "\\")
    assert "/labels.csv, line " in sentence


@pytest.mark.parametrize(
    "labels",
    [
        ("New York", "York", "Boston"),
        ("red car", "blue car", "red bus", "blue bus", "green bus"),
        ("animal/cat", "animal/dog", "plant/fern", "plant/moss"),
        ("Tomato___healthy", "Tomato___rot", "Corn_(maize)___rot"),
        ("polar bear", "bear cub", "panda"),
        ("C", "C++", "C#"),
        ("1", "1.5", "5"),
        ("left-1", "right-1", "left-2"),
    ],
)
def test_labels_with_other_characters_are_one_label_each(photos, labels):
    listing = scanned(photos, labelled(*labels))
    assert listing.classes == tuple(sorted(labels)) and listing.task.one_label


def test_tags_that_never_stand_alone_are_seen_by_their_places(photos):
    tags = ("clear primary", "haze primary", "agriculture clear primary water", "agriculture haze primary water")
    assert "separated by ' '" in refusal(photos, labelled(*tags))


def test_where_the_separator_is_used_a_blank_is_part_of_a_name(photos):
    listing = scanned(photos, labelled("ice", "cream", "ice cream;ice"))
    assert listing.classes == ("cream", "ice", "ice cream") and not listing.task.one_label
    assert "separated by '|'" in refusal(photos, labelled("ice", "cream", "ice;cream", "ice|cream"))


@pytest.mark.fault(
    "Tables",
    "A blank stands before a quoted cell, or labels are written as a list",
    "the blank does not count; the list is refused",
    "quotes and brackets would become part of the classes' names",
)
def test_quotes_become_no_part_of_a_name(photos):
    listing = scanned(photos, 'path, labels\n0.jpg, "haze;road"\n1.jpg, road\n2.jpg, "haze"\n')
    assert found(listing) == {"0.jpg": ("haze", "road"), "1.jpg": ("road",), "2.jpg": ("haze",)}
    for label in ("['haze']", "[haze; road]", "'haze'", "“haze”", '{""haze""}'):
        sentence = refusal(photos, labelled("road", label, "road;haze"))
        assert "line 3: the label" in sentence and "quotes or brackets" in sentence
    assert "line 3: this row cannot be read as CSV" in refusal(photos, 'path,labels\n0.jpg,road\n1.jpg,"haze"x\n')


# Encodings, delimiters, and what is no table

PLAIN = "path,labels\n" + "".join(f"{i}.jpg,{label}\n" for i, label in enumerate(["täglich", "road", "täglich", "road"]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_save_is_read(photos, encoding, delimiter, end):
    text = PLAIN.replace(",", delimiter).replace("\n", end)
    for written in (text, f"sep={delimiter}{end}{text}", end + text + delimiter + end):
        listing = scanned(photos, written, encoding)
        assert listing.classes == ("road", "täglich") and listing.task.one_label
        assert found(listing) == {"0.jpg": "täglich", "1.jpg": "road", "2.jpg": "täglich", "3.jpg": "road"}


def test_a_semicolon_separates_columns_and_in_quotes_labels(photos):
    listing = scanned(photos, 'path;labels\n0.jpg;"haze;road"\n1.jpg;road\n2.jpg;haze\n')
    assert found(listing) == {"0.jpg": ("haze", "road"), "1.jpg": ("road",), "2.jpg": ("haze",)}
    sentence = refusal(photos, "path;labels\n0.jpg;haze;road\n1.jpg;road\n")
    assert "line 2: 2 columns were expected, as in the first line, found 3. A cell that holds ';'" in sentence


@pytest.mark.fault(
    "Tables",
    "The file is not UTF-8, or is no text",
    "refused, naming the byte and its row, or the kind of file",
    "another code page would give classes wrong names",
)
@pytest.mark.parametrize(
    "data, sentence",
    [
        (PLAIN.encode("cp1252"), "line 2: the byte 0xE4 is no UTF-8, but perhaps the Windows code page .cp1252."),
        (PLAIN.encode("utf-16-le"), "line 1: a zero byte, so this is no text, or UTF-16 without its byte-order mark"),
        (PLAIN.encode("utf-16")[:-1], "line 5: the byte 0x0A is no UTF-16"),
        (PLAIN.encode().replace(b"2.jpg", b"2.\0pg"), "line 4: a zero byte"),
        (b"PK\x03\x04" + bytes(30), "an Excel or OpenDocument table"),
        (b"\xd0\xcf\x11\xe0" + bytes(30), "an Excel table of the old kind"),
        (b"PAR1" + bytes(30), "cannot be read as a Parquet table"),
        (b"\x1f\x8b" + bytes(30), "a gzip archive"),
        (b"", "found nothing"),
        (b"0.jpg,road\n1.jpg,haze\n", "needs a first line with path, .* found 0.jpg, road"),
        (b"path,labels\n\n,\n", "lists no picture"),
        (b'path,labels\n0.jpg,road\n1.jpg,"haze\n2.jpg,road\n', "line 3: this row cannot be read as CSV"),
        (b"path,labels\n0.jpg,road\n1.jpg\n", "line 3: 2 columns were expected, as in the first line, found 1"),
        (b"path,labels\n0.jpg,road\n\n\n,road\n", "line 5: the row names no picture"),
        (b"path,labels,labels\n0.jpg,road,haze\n", "two columns of one name in its first line, labels"),
        (b"image,file,labels\n0.jpg,1.jpg,haze\n", "several columns that may be the one called path, image, file"),
    ],
)
def test_what_is_no_such_table_is_refused_by_row(photos, data, sentence):
    assert re.search(sentence, refusal(photos, data))


@pytest.mark.parametrize("header", ["Path,Labels", "filename,tags", "image,label", "File Name,class", "img_path,category"])
def test_usual_names_of_the_two_columns_are_known(photos, header):
    assert found(scanned(photos, labelled("road", "haze", header=header))) == {"0.jpg": "road", "1.jpg": "haze"}


# Columns


def flags(name, values=("0", "1")):
    """A table with a column a class and one more, which is the second value in the last two of eight rows."""
    rows = [f"{i}.jpg,{i % 2},{(i // 2) % 2},{values[i > 5]}" for i in range(8)]
    return "\n".join([f"path,cat,dog,{name}", *rows]) + "\n"


@pytest.mark.fault(
    "Tables",
    "A column of 0 and 1 says which pictures are held out (is_valid, is_test)",
    "it divides the pictures, which is said",
    "it would become a class, and the division be ignored",
)
@pytest.mark.parametrize(
    "name, part",
    [
        ("is_valid", "validation"),
        ("isValid", "validation"),
        ("Is Validation", "validation"),
        ("is_test", "test"),
        ("in_test", "test"),
    ],
)
@pytest.mark.parametrize("values", ["01", ("False", "True"), ("0.0", "1.0")])
def test_a_flag_of_a_part_divides(photos, name, part, values):
    listing = scanned(photos, flags(name, values))
    assert listing.classes == ("cat", "dog")
    assert [file.split for file in listing.files] == ["train"] * 6 + [part] * 2
    assert any(f"divides the pictures itself: {part} where it is 1, else train" in finding for finding in listing.findings)


@pytest.mark.parametrize("name", ["split", "Set", "subset", "partition", "data_split", "Phase", "usage"])
def test_a_column_of_parts_divides_whatever_it_is_called(photos, name):
    listing = scanned(photos, flags(name, ("train", "Valid")))
    assert listing.classes == ("cat", "dog")
    assert [file.split for file in listing.files] == ["train"] * 6 + ["validation"] * 2
    assert f"line 2: {name} must be train, val, test or empty, found '0'" in refusal(photos, flags(name))


@pytest.mark.fault(
    "Tables",
    "A column of 0 and 1 is called like a fold, a flag or a measure (fold, flipped, is_train, width)",
    "refused, naming it",
    "it would become a class",
)
@pytest.mark.parametrize(
    "name",
    "is_train train test val holdout fold kfold fold_0 valid_set flipped is_flipped horizontal_flip augmented duplicate width "
    "ImageHeight id index image_id verified patient".split()
    + ["Unnamed: 3", ""],
)
def test_a_foreign_column_is_no_class(photos, name):
    sentence = refusal(photos, flags(name))
    assert (name in sentence and "like what is no class" in sentence) or "column 4 has no name" in sentence


@pytest.mark.parametrize("name", ["train station", "test tube", "is_cat", "blurred", "male", "island", "setter", "partridge"])
def test_a_class_is_a_class(photos, name):
    assert scanned(photos, flags(name)).classes == tuple(sorted(["cat", "dog", name]))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "id", "row_number"])
def test_a_column_that_counts_the_rows_is_ignored_and_said(photos, name):
    for table in (flags("fox"), labelled("road", "haze", "road")):
        plain = scanned(photos, table)
        lines = table.splitlines()
        counted = [f"{name},{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]
        listing = scanned(photos, "\n".join(counted))
        assert listing.classes == plain.classes and listing.files == plain.files
        assert any("that count its rows, ignored: " + (name or "without a name") in finding for finding in listing.findings)


def test_commas_at_the_end_of_lines_are_nothing(photos):
    listing = scanned(photos, "path,labels,,\n0.jpg,road,,\n1.jpg,haze\n2.jpg,road,,,,\n,,,\n")
    assert found(listing) == {"0.jpg": "road", "1.jpg": "haze", "2.jpg": "road"}
    assert "column 3 has no name" in refusal(photos, "path,labels,\n0.jpg,road,haze\n1.jpg,haze,\n")


def test_whole_numbers_and_words_are_flags_and_nothing_else(photos):
    listing = scanned(photos, "path,cat,dog\n0.jpg,1.0,0\n1.jpg,False,TRUE\n2.jpg,1,1.00\n")
    assert found(listing) == {"0.jpg": ("cat",), "1.jpg": ("dog",), "2.jpg": ("cat", "dog")}
    for cell in ("2", "0.5", "-1", "yes", "", "nan", "10"):
        assert f"line 3: column dog must be 0 or 1, found {cell!r}" in refusal(
            photos, f"path,cat,dog\n0.jpg,1,0\n1.jpg,0,{cell}\n"
        )


# Paths


@pytest.mark.parametrize(
    "written, path",
    [
        ("./1.jpg", "1.jpg"),
        ("more\\a.jpg", "more/a.jpg"),
        (".\\more\\a.jpg", "more/a.jpg"),
        ("more//a.jpg", "more/a.jpg"),
        ("more/../1.jpg", "1.jpg"),
        ("../photos/1.jpg", "1.jpg"),
        ("{}/photos/more/a.jpg", "more/a.jpg"),
        ("../other.jpg", "{}/other.jpg"),
        ("{}/other.jpg", "{}/other.jpg"),
        ("1.jpg ", "1.jpg"),
        ("1.JPG", "1.jpg"),
        ("More\\A.jpg", "more/a.jpg"),
    ],
)
def test_a_path_finds_its_picture_however_it_is_written(photos, written, path):
    (photos.parent / "other.jpg").write_text("outside")
    written, path = (text.format(photos.parent) for text in (written, path))
    listing = scanned(photos, f"path,labels\n0.jpg,road\n{written},haze\n")
    assert found(listing) == {"0.jpg": "road", path: "haze"}
    assert any("the disk writes otherwise" in finding for finding in listing.findings) == ("M" in written or "JPG" in written)


@pytest.mark.fault(
    "Tables",
    "The table and the disk write an accent in two Unicode forms, or a name in another case",
    "the one file that can be meant is taken, which is said; where two can be, refused",
    "what looks the same is not found",
)
def test_two_unicode_forms_of_a_name_are_one(photos):
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    (photos / apart).write_text("accent")
    listing = scanned(photos, f"path,labels\n0.jpg,road\n{composed},haze\n")
    assert found(listing) == {"0.jpg": "road", apart: "haze"}
    assert any("1, such as '\\xe9.jpg' for 'e\\u0301.jpg'" in finding for finding in listing.findings)
    (photos / composed).write_text("another")
    assert found(scanned(photos, f"path,labels\n0.jpg,road\n{composed},haze\n{apart},haze\n")).keys() == {
        "0.jpg",
        composed,
        apart,
    }
    assert "line 3: there is no file" in refusal(photos, f"path,labels\n0.jpg,road\n{composed.upper()},haze\n")
    twice = scanned(photos, labelled("caf" + composed[0], "cafe\u0301", "road"))
    assert twice.classes == ("caf\xe9", "road")


@pytest.mark.fault(
    "Tables",
    "One picture stands in two rows, also spelt two ways",
    "refused, naming both rows",
    "it would count twice, perhaps with other labels",
)
@pytest.mark.parametrize("again", ["0.jpg", "./0.jpg", "0.JPG", "more/../0.jpg", "../photos/0.jpg", "{}/photos/0.jpg"])
def test_a_picture_has_one_row(photos, again):
    again = again.format(photos.parent)
    sentence = refusal(photos, f"path,labels\n0.jpg,road\n1.jpg,haze\n{again},road\n")
    assert "line 4: " in sentence and "a second time, first in line 2" in sentence


@pytest.mark.parametrize("path", ["nope.jpg", "more", "/nope/0.jpg", 300 * "x", "C:\\photos\\0.jpg"])
def test_a_path_without_a_picture_is_refused_by_row(photos, path):
    assert "line 3: there is no file" in refusal(photos, f"path,labels\n0.jpg,road\n{path},haze\n")


def test_a_name_without_its_ending_is_refused_with_the_whole_one(photos):
    assert "line 3: there is no file 1 in /photos; paths must be relative to that folder. Is it 1.jpg?" in refusal(
        photos, "image_id,label\n0.jpg,road\n1,haze\n"
    )


# Kinds of problem


@pytest.mark.fault(
    "Tables",
    "Each picture has exactly one label",
    "classes exclude each other, as those of folders do; the screen says so",
    "a sigmoid for each class would give a picture none or several",
)
def test_one_label_each_is_a_problem_of_one_label(photos):
    for table in (labelled("road", "haze", "road"), "path,haze,road\n0.jpg,0,1\n1.jpg,1,0\n2.jpg,0,1\n"):
        listing = scanned(photos, table)
        assert listing.task.one_label and found(listing) == {"0.jpg": "road", "1.jpg": "haze", "2.jpg": "road"}
        assert listing.findings[0].endswith("gives each picture one label: classes exclude each other.")
    for table in (labelled("road", "haze", ""), "path,haze,road\n0.jpg,0,1\n1.jpg,1,0\n2.jpg,0,0\n"):
        listing = scanned(photos, table)
        assert not listing.task.one_label and found(listing)["2.jpg"] == ()
        assert "0 to 1 labels: each class is learnt by itself; 1 of 3 have none" in listing.findings[0]


def test_a_part_without_a_label_is_refused(photos):
    sentence = refusal(photos, "path,labels,split\n0.jpg,road,train\n1.jpg,haze,train\n2.jpg,,test\n3.jpg,,test\n")
    assert "no picture of the part test has a label: leave those rows out, and predict on the pictures" in sentence


# Through the command


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Twelve grey pictures of two classes, dark and light, in class folders, with their digits' order."""
    folder = tmp_path_factory.mktemp("drawn") / "photos"
    rng = np.random.default_rng(0)
    for kind, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(100 * kind, 100 * kind + 60, (28, 28))
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{i}.png")
    return folder


def run(folder, output, *more):
    arguments = ("--model", "lenet5", "--strategy", "small", "--mirror", "no", "--output", output)
    return commands.zoo("finetune", folder, *arguments, *more)


@pytest.mark.slow
def test_a_table_of_one_label_each_gives_what_class_folders_give(drawn, tmp_path):
    table = tmp_path / "labels.csv"
    rows = [{"path": f"{path.parent.name}/{path.name}", "labels": path.parent.name} for path in drawn.glob("*/*.png")]
    write_csv(table, rows[::-1])
    by_folder = run(drawn, tmp_path / "one", "--head", "cosine", "--balance", "weights")
    by_table = run(drawn, tmp_path / "two", "--head", "cosine", "--balance", "weights", "--labels", table)
    assert by_folder.poll() == by_table.poll() == 0, by_folder.stderr + by_table.stderr
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["metrics"] == two["metrics"] and one["class_counts"] == two["class_counts"]
    assert (tmp_path / "one" / "files.csv").read_bytes() == (tmp_path / "two" / "files.csv").read_bytes()
    for out in (by_folder.stdout, by_table.stdout):
        assert f"{drawn}: 2 classes, one for each picture: dark, light." in out
    assert "gives each picture one label: classes exclude each other." in by_table.stdout
    predicted = commands.zoo("predict", tmp_path / "two", drawn / "dark" / "0.png")
    assert "  dark " in predicted.stdout and "  light " in predicted.stdout  # of all classes: they exclude each other


@pytest.mark.slow
def test_a_separator_is_refused_by_the_command_and_nothing_is_lost(drawn, tmp_path):
    table = tmp_path / "labels.csv"
    cells = [("dark", "dark"), ("light", "light"), ("dark", "dark|light")]
    table.write_text("path,labels\n" + "".join(f"{folder}/{i}.png,{label}\n" for i, (folder, label) in enumerate(cells)))
    arguments = (drawn, "--labels", table, "--model", "lenet5", "--output", tmp_path / "run")
    assert f"{table}, line 4: the label 'dark|light' seems to be several, separated by '|'" in commands.refused(
        "finetune", *arguments
    )
    table.write_text(table.read_text().replace("|", ";"))
    for flag, value in (("--head", "cosine"), ("--balance", "weights")):
        assert f"{flag} " in (sentence := commands.refused("finetune", *arguments, flag, value)) and "any number" in sentence
    assert not (tmp_path / "run").exists()
