"""Which level of the folders the classes are: parts by other names, folders around them, and levels above them."""

import os

import pytest

from recipes.data.sources.folder import scan_folder
from recipes.data.sources.levels import part_of
from recipes.errors import UserError

# Parts and where each lies, by a few of its files; the classes are always cat and dog.
PARTS = {
    "Training Testing": {"train": "Training", "test": "Testing"},
    "TRAIN test": {"train": "TRAIN", "test": "test"},
    "training_set test_set": {"train": "training_set", "test": "test_set"},
    "TrainSet ValidationSet TestSet": {"train": "TrainSet", "validation": "ValidationSet", "test": "TestSet"},
    "train dev test": {"train": "train", "validation": "dev", "test": "test"},
    "training evaluation": {"train": "training", "validation": "evaluation"},
    "train eval": {"train": "train", "validation": "eval"},
    "images_train images_val": {"train": "images_train", "validation": "images_val"},
    "train2017 val2017": {"train": "train2017", "validation": "val2017"},
    "traindata testdata": {"train": "traindata", "test": "testdata"},
    "zip files' own folders": {"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
    "the same folder in each": {"train": "train/images", "test": "test/images"},
}
CLASSES = {
    "names with a part's in them": ("steam_train", "test_tube", "car"),
    "two of them": ("train_station", "test_tube"),
    "activities": ("training", "running", "testing"),
    "servers": ("dev", "prod"),
    "years": ("2019", "2020"),
}
REFUSED = {
    "years": ("2019/cat/1 2019/dog/2 2020/cat/3 2020/dog/4", ("2019, 2020", "cat, dog", "D/2019/cat")),
    "sites, and a stray picture": ("Bonn/cat/1 Bonn/dog/2 Bonn/cover.jpg Ulm/cat/3 Ulm/dog/4", ("Bonn, Ulm", "cat, dog")),
    "years with readme files": ("2019/cat/1 2019/dog/2 2019/LICENSE 2020/cat/3 2020/dog/4 docs/readme.txt", ("2019, 2020",)),
    "first letters": ("a/ant/1 a/ape/2 b/bee/3", ("a, b", "D/a/ant")),
    "levels": ("animals/cat/1 animals/dog/2 vehicles/car/3", ("animals, vehicles",)),
    "two levels": ("x/2019/cat/1 x/2020/cat/2 y/2019/dog/3", ("x, y", "D/x/2019")),
    "parts in another language": (
        "entrenamiento/cat/1 entrenamiento/dog/2 prueba/cat/3 prueba/dog/4",
        ("train, val and test",),
    ),
    "folds": ("fold1/cat/1 fold1/dog/2 fold2/cat/3 fold2/dog/4", ("fold1, fold2",)),
    "years in train": ("train/2019/cat/1 train/2019/dog/2 train/2020/cat/3 test/2019/cat/4", ("D/train", "2019, 2020")),
    "parts in each class": ("cat/train/1 cat/test/2 dog/train/3 dog/test/4", ("cat, dog", "test, train", "D/test/cat")),
    "parts beside pictures": ("cat/1 cat/test/2 dog/3 dog/test/4", ("move D/cat/test to D/test/cat",)),
    "pictures and masks": ("cat/images/1 cat/masks/2 dog/images/3 dog/masks/4", ("images, masks",)),
    "classes of pictures and of masks": ("images/cat/1 images/dog/2 masks/cat/3 masks/dog/4", ("cat, dog", "D/images")),
    "one class a year": ("2019/cat/1 2020/dog/2", ("2019, 2020", "D/2019/cat")),
    "one part by another name, and more": ("Training/cat/1 Training/dog/2 extra/3.jpg", ("Training", "extra")),
    "no train": ("Testing/cat/1 Dev/cat/2", ("no train/",)),
    "two parts of one kind": ("train/cat/1 train/dog/2 test1/cat/3 test2/cat/4", ("two folders for test, test1, test2",)),
    "folders around the classes": ("archive/data/cat/1 archive/data/dog/2", ("give D/archive/data",)),
    "folders around the parts": ("archive/train/cat/1 archive/train/dog/2 archive/test/cat/3", ("give D/archive.",)),
}


def make(root, paths):
    """Files whose content is no picture."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("no picture")
    return root


@pytest.mark.fault(
    "Folders",
    "parts under other usual names: Training and Testing, seg_train and seg_test, dev, eval",
    "they are taken for the parts that they are, and that is said",
    "else the classes would be Training and Testing",
)
@pytest.mark.parametrize("where", PARTS.values(), ids=PARTS)
def test_parts_under_other_names(where, tmp_path):
    make(tmp_path, [f"{folder}/{label}/{split}.jpg" for split, folder in where.items() for label in ("cat", "dog")])
    found = scan_folder(tmp_path)
    assert found.classes == ("cat", "dog")
    assert {(file.split, file.path) for file in found.files} == {
        (split, f"{folder}/{label}/{split}.jpg") for split, folder in where.items() for label in ("cat", "dog")
    }
    names = {folder.partition("/")[0] for folder in where.values()}
    said = [finding for finding in found.findings if finding.startswith("Taken for parts by their names")]
    assert len(said) == (not {name.lower() for name in names} <= {"train", "val", "test"})
    assert all(name in finding for finding in said for name in names)


def test_what_lies_beside_a_part_s_classes_is_left_out_by_name(tmp_path):
    make(
        tmp_path,
        ["Training/cat/1.jpg", "Training/dog/2.jpg", "Training/x.jpg", "Testing/cat/3.jpg", "Testing/list.csv", "a.csv"],
    )
    expected = [(path, "lies outside the class folders") for path in ("a.csv", "Training/x.jpg", "Testing/list.csv")]
    assert list(scan_folder(tmp_path).left_out) == expected


@pytest.mark.parametrize("names", CLASSES.values(), ids=CLASSES)
def test_classes_that_are_called_like_parts_stay_classes(names, tmp_path):
    found = scan_folder(make(tmp_path, [f"{name}/1.jpg" for name in names]))
    assert found.classes == tuple(sorted(names)) and found.findings == () and {file.split for file in found.files} == {""}


@pytest.mark.parametrize("inner", ["images", "IMG", "{}"])
def test_one_folder_in_each_class_that_says_nothing_is_passed_through(inner, tmp_path):
    paths = [f"{name}/{inner.format(name)}/1.jpg" for name in ("cat", "dog")]
    found = scan_folder(make(tmp_path, [*paths, "cat/boxes.txt"]))
    assert found.classes == ("cat", "dog") and {file.path for file in found.files} == {*paths, "cat/boxes.txt"}


def test_folders_beside_pictures_belong_to_the_class(tmp_path):
    found = scan_folder(make(tmp_path, ["cat/1.jpg", "cat/more/2.jpg", "dog/old/3.jpg", "dog/new/4.jpg"]))
    assert found.classes == ("cat", "dog") and len(found.files) == 4


@pytest.mark.fault(
    "Folders",
    "a level above the classes (years, sites, first letters), or parts below each class",
    "refused; the lower folders are named, and what to do",
    "what lies above the classes would be learnt instead of them, with a report",
)
@pytest.mark.parametrize(("paths", "words"), REFUSED.values(), ids=REFUSED)
def test_another_level_than_the_classes_is_refused(paths, words, tmp_path):
    paths = [path if "." in path else f"{path}.jpg" for path in paths.replace("LICENSE", "LICENSE.").split()]
    make(tmp_path, [path.removesuffix(".") for path in paths])
    with pytest.raises(UserError) as caught:
        scan_folder(tmp_path)
    said = str(caught.value).replace(os.fspath(tmp_path), "D")
    assert said.isprintable() and all(word in said for word in words), said


@pytest.mark.fault(
    "Folders",
    "test/ without labels, as competitions give it: pictures side by side, or in one folder",
    "refused: leave it out, and predict on it, with the command",
    "nobody has the labels that were asked for",
)
@pytest.mark.parametrize(
    "paths",
    [
        "test/1.jpg",
        "test/unknown/1.jpg",
        "test/images/1.jpg",
        "val/1.jpg",
        "Testing/1.jpg",
        "test/test/1.jpg",
        "test/1.png test/a.csv",
    ],
)
def test_a_part_without_labels(paths, tmp_path):
    make(tmp_path, ["train/cat/1.jpg", "train/dog/2.jpg", *paths.split(), "sample_submission.csv"])
    with pytest.raises(UserError) as caught:
        scan_folder(tmp_path)
    part = tmp_path / paths.partition("/")[0]
    assert str(caught.value).endswith(f"leave them out (move the folder away), and predict on them: zoo predict RUN {part}")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[(name, "train") for name in ("train", "Training", "seg_train", "TrainImages", "train2017", "01-train", "TRAINSET")],
        *[(name, "validation") for name in ("val", "Valid", "validation_set", "dev", "eval", "valset")],
        *[(name, "test") for name in ("test", "Testing", "test_images", "testSet", "asl_alphabet_test")],
        *[
            (name, None)
            for name in ("cat", "invalid", "trainval", "train_test", "latest", "contest", "restrain", "data", "set", "")
        ],
    ],
)
def test_part_of(name, split):
    assert part_of(name) == split
