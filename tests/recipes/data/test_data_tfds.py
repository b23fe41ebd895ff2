"""TensorFlow Datasets as DATA: a real builder that is prepared from a folder, with no network, and mocked ones."""

import io
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, WITHOUT_TENSORFLOW, few_digits, python
from PIL import Image

from recipes import cli
from recipes.data.dataset import prepare
from recipes.data.images import Framing
from recipes.data.sources.chosen import scan
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError
from recipes.settings.finetune import Recipe

pytestmark = pytest.mark.slow

BUILDERS = {}


def build(root, data_dir, title, with_names=True):
    """Prepare a data set of a folder of parts with class folders, in an order of its own, as TFDS shuffles."""
    import tensorflow_datasets as tfds

    if title not in BUILDERS:  # TFDS knows a name once
        classes = sorted(path.name for path in (root / "train").iterdir())

        class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            name, VERSION = title, tfds.core.Version("1.0.0")

            def _info(self):
                features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=classes)}
                features |= {"image/filename": tfds.features.Text()} if with_names else {}
                features = tfds.features.FeaturesDict(features)
                return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

            def _split_generators(self, manager):
                return {path.name: self._generate_examples(path) for path in sorted(root.iterdir())}

            def _generate_examples(self, folder):
                for path in sorted(folder.glob("*/*")):
                    more = {"image/filename": path.name} if with_names else {}
                    yield f"{path.parent.name}/{path.name}", {"image": path, "label": path.parent.name} | more

        BUILDERS[title] = Prepared
    BUILDERS[title](data_dir=str(data_dir)).download_and_prepare()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Parts of digits in folders, and the folder of the same as a data set of TFDS."""
    folder = tmp_path_factory.mktemp("tfds")
    for label in few_digits(folder / "whole", 9, classes=3).iterdir():
        for i, path in enumerate(sorted(label.iterdir())):
            place = folder / "parts" / ("val" if i in (1, 5) else "train") / label.name
            place.mkdir(parents=True, exist_ok=True)
            path.rename(place / path.name)
    build(folder / "parts", folder / "data", "zoo_digits")
    return folder


def listed(digits, splits="", name="zoo_digits", **settings):
    return scan(Recipe(Path(f"tfds:{name}{splits}"), data_dir=digits / "data", **settings))


def refusal(digits, splits="", name="zoo_digits"):
    with pytest.raises(UserError) as caught:
        listed(digits, splits, name)
    assert str(caught.value).isprintable()
    return str(caught.value)


def same(found, folder):
    """Whether two listings have the same pictures, labels and parts in the same order."""
    assert [(f.label, f.split) for f in found.files] == [(f.label, f.split) for f in folder.files]
    for one, other in zip(found.files, folder.files, strict=True):
        assert (found.root / one.path).read_bytes() == (folder.root / other.path).read_bytes()
    return found.classes == folder.classes and found.task is folder.task


def test_a_data_set_is_the_folder_that_it_was_made_of(digits):
    folder = scan_folder(digits / "parts")
    assert same(found := listed(digits), folder)
    assert [file.path for file in found.files] == [file.path for file in folder.files]
    assert found.findings == ("tfds:zoo_digits: train from train, validation from val.",)
    assert same(scan(Recipe(digits / "data" / "zoo_digits" / "1.0.0")), folder)  # the folder itself
    assert same(listed(digits, name="zoo_digits:1.0.0"), folder)


def test_it_is_divided_as_the_folder_is(digits):
    framing = Framing(28, 28, 1)
    one = prepare(listed(digits, ":train"), framing, 0.2, 0.2, 3)
    other = prepare(scan_folder(digits / "parts" / "train"), framing, 0.2, 0.2, 3)
    assert one.digests == other.digests and one.splits.tolist() == other.splits.tolist()
    assert one.labels.tolist() == other.labels.tolist() and not set(one.splits) - {"train", "validation", "test"}
    grouped = listed(digits, groups=r"([0-9])\.png$")
    assert all(file.group for file in grouped.files)


def test_its_pictures_are_stored_once(digits):
    root = listed(digits).root
    stamp = next(root.glob("*/*/*")).stat().st_mtime_ns
    assert listed(digits).root == root and next(root.glob("*/*/*")).stat().st_mtime_ns == stamp
    assert listed(digits, ":train[:50%]").root != root


@pytest.mark.parametrize(
    "splits, parts",
    [
        (":train,val", {"train": 21, "validation": 6}),
        (":train+val", {"": 27}),
        (":val", {"": 6}),
        (":train[:15],test=train[15:]", {"train": 15, "test": 6}),
        (":train=val, val=train[:10%]", {"train": 6, "validation": 2}),
        (":1.0.0:train[:15], test=val", {"train": 15, "test": 6}),
    ],
)
def test_splits_are_said_as_tfds_reads_them(digits, splits, parts):
    found = listed(digits, splits)
    assert Counter(file.split for file in found.files) == parts


@pytest.mark.fault(
    "Data sets",
    "tfds:NAME names a data set, a split or a part that there is none of, or leaves open which part a split is",
    "refused, with the splits that there are",
    "a part would be measured that was trained on",
)
@pytest.mark.parametrize(
    "splits, sentence",
    [
        (":dev", "tfds:zoo_digits:dev: there is no split 'dev', only train, val."),
        (":train,later=val", "a part is train, val or test, found 'later'."),
        (":train,train[:10%]", "which part is train[:10%]? Say it of each, as in tfds:NAME:train=train[:80%]"),
        (":val,test=train", "nothing says what to train on, of the splits train, val: give tfds:NAME:train=SPLIT"),
        (":train[:3%],val", "train has no picture of "),
        (":train[:x],val", "tfds:zoo_digits:train[:x],val: train[:x] is no split that TensorFlow Datasets reads"),
        (":2.0.0", "is no data set that TensorFlow Datasets knows or has prepared"),
    ],
)
def test_wrong_splits_are_refused(digits, splits, sentence):
    assert sentence in refusal(digits, splits)


def test_an_unknown_data_set_is_refused(digits):
    assert "tfds:zoo_nothing is no data set that TensorFlow Datasets knows" in refusal(digits, name="zoo_nothing")
    assert "there is no name" in refusal(digits, name="")
    with pytest.raises(UserError, match="--data-dir is about tfds:NAME"):
        scan(Recipe(digits / "parts", data_dir=digits / "data"))
    with pytest.raises(UserError, match="has labels itself"):
        listed(digits, labels=digits / "labels.csv")


def test_a_data_set_that_is_damaged_is_refused(digits, tmp_path):
    place = tmp_path / "prepared"
    shutil.copytree(digits / "data" / "zoo_digits" / "1.0.0", place)
    for file in place.glob("*train*"):
        file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match="prepared cannot be read .*: prepare it again"):
        scan(Recipe(place))
    (place / "features.json").write_text("{")
    with pytest.raises(UserError, match="is no data set that TensorFlow Datasets knows or has prepared"):
        scan(Recipe(place))


def test_without_names_of_files_the_content_orders_them(digits):
    build(digits / "parts", digits / "data", "zoo_nameless", with_names=False)
    found, folder = listed(digits, name="zoo_nameless"), scan_folder(digits / "parts")
    content = [(f.split, f.label, (folder.root / f.path).read_bytes()) for f in folder.files]
    assert sorted((f.split, f.label, (found.root / f.path).read_bytes()) for f in found.files) == sorted(content)
    assert all(file.path.endswith(".png") for file in found.files)


def of_features(title, features, examples, data_dir):
    """Prepare a data set of one split from features and examples."""
    import tensorflow_datasets as tfds

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name, VERSION = title, tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features(tfds.features)))

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples)

    Made(data_dir=str(data_dir)).download_and_prepare()
    return scan(Recipe(Path(data_dir / title / "1.0.0")))


def test_pixels_that_are_stored_as_such_and_labels_that_are_missing(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype("uint8")
    found = of_features(
        "zoo_pixels",
        lambda kinds: {"pixels": kinds.Tensor(shape=(5, 4, 3), dtype=np.uint8), "label": kinds.ClassLabel(num_classes=3)},
        [{"pixels": pixels[i], "label": i % 2 if i < 5 else -1} for i in range(6)],
        tmp_path,
    )
    assert found.classes == ("0", "1") and [reason for _, reason in found.left_out] == ["has no label"]
    read = {np.asarray(Image.open(found.root / file.path)).tobytes(): file.label for file in found.files}
    assert read == {pixels[i].tobytes(): str(i % 2) for i in range(5)}
    assert any("without a picture in these splits, left out: 2" in finding for finding in found.findings)


def test_several_labels_and_names_that_lead_elsewhere(tmp_path):
    def picture(i):
        Image.new("L", (8, 8), 10 * i).save(buffer := io.BytesIO(), "PNG")
        return io.BytesIO(buffer.getvalue())

    names = ["../a.png", "/etc/b.png", "same.png", "same.png", "more/.c", "x:y?.png"]
    found = of_features(
        "zoo_tags",
        lambda kinds: {
            "image": kinds.Image(shape=(8, 8, 1)),
            "tags": kinds.Sequence(kinds.ClassLabel(names=["cat", "dog"])),
            "file_name": kinds.Text(),
        },
        [{"image": picture(i), "tags": ["cat", "dog"][: i % 3], "file_name": name} for i, name in enumerate(names)],
        tmp_path,
    )
    assert not found.task.one_label and found.classes == ("cat", "dog")
    assert sorted(file.path for file in found.files) == sorted(
        ["a.png", "b.png", "same.png", "same 2.png", "more/_.c", "x_y_.png"]
    )
    assert {file.label for file in found.files} == {(), ("cat",), ("cat", "dog")}
    assert all((found.root / file.path).resolve().is_relative_to(found.root.resolve()) for file in found.files)


def test_what_is_no_data_set_of_classes_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"must have one picture .* and one label a row, found .*text \(Text\)"):
        of_features(
            "zoo_texts",
            lambda kinds: {"text": kinds.Text(), "label": kinds.ClassLabel(num_classes=2)},
            [{"text": "a", "label": 0}],
            tmp_path,
        )


def test_the_layout_of_its_image_folders_is_that_of_parts(digits):
    import tensorflow_datasets as tfds

    parts = digits / "parts"
    builder = tfds.folder_dataset.ImageFolder(str(parts))
    found = scan_folder(parts)
    counts = Counter(file.split for file in found.files)
    named = {"train": "train", "val": "validation"}
    assert {named[name]: split.num_examples for name, split in builder.info.splits.items()} == counts
    assert tuple(builder.info.features["label"].names) == found.classes


def test_a_known_data_set_is_read_by_its_own_info(tmp_path):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=12):
        whole = scan(Recipe(Path("tfds:beans"), data_dir=tmp_path))
        found = scan(Recipe(Path("tfds:beans:train,validation,test"), data_dir=tmp_path))
    with tfds.testing.mock_data(num_examples=20):
        more = scan(Recipe(Path("tfds:mnist:train,test"), data_dir=tmp_path))
    assert set(found.classes) <= {"angular_leaf_spot", "bean_rust", "healthy"} and len(whole.files) == 12
    assert Counter(file.split for file in found.files) == {"train": 12, "validation": 12, "test": 12}
    assert len(more.files) == 40 and set(more.classes) <= set(map(str, range(10)))
    with Image.open(more.root / more.files[0].path) as picture:
        assert picture.size == (28, 28)


@pytest.mark.fault(
    "Data sets",
    "tfds:NAME is asked for where TensorFlow is not installed",
    "refused, saying what to install; folders, tables and archives need none",
    "a traceback of an import",
)
@pytest.mark.slow
def test_without_tensorflow_a_sentence_says_what_is_needed(digits, tmp_path):
    code = f"{WITHOUT_TENSORFLOW}\nfrom recipes import cli\nsys.exit(cli.main(sys.argv[1:]) != 2)"
    arguments = ("finetune", "tfds:zoo_digits", "--model", "lenet5", "--output", tmp_path / "run")
    code = code.replace("sys.exit(", "sys.stderr = sys.stdout\nsys.exit(")
    said = python(code, *arguments, cwd=tmp_path, PYTHONPATH=ROOT, KERAS_BACKEND="jax")
    assert (
        "zoo: tfds:zoo_digits is read by TensorFlow Datasets, which needs TensorFlow and more" in said and "pip install" in said
    )


def test_nothing_of_tfds_is_imported_before_it_is_needed(tmp_path):
    code = "import sys, recipes.data.sources.chosen\nprint('tensorflow_datasets' in sys.modules, 'tensorflow' in sys.modules)"
    assert python(code, cwd=tmp_path, PYTHONPATH=ROOT).split() == ["False", "False"]


@pytest.mark.slow
def test_a_run_on_a_data_set_gives_the_numbers_of_the_folder(shared, tmp_path):
    root, weights = shared / "data" / "hymenoptera", shared / "weights" / "mobilenet_0.25_128_imagenet_uint8_dequantized.h5"
    build(root, tmp_path / "data", "zoo_hymenoptera")
    arguments = ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "128", "--weights", weights, "--strategy", "small"]
    results = []
    for name, data in (("folder", [root]), ("tfds", ["tfds:zoo_hymenoptera", "--data-dir", tmp_path / "data"])):
        given = ["finetune", *data, *arguments, "--mirror", "no", "--augment", "none", "--output", tmp_path / name]
        assert cli.main([str(one) for one in given]) == 0
        results.append(json.loads((tmp_path / name / "result.json").read_text()))
    one, other = results
    assert one["metrics"] == other["metrics"] and one["metrics"]["validation"]["images"] == 153
    assert other["data"] == "tfds:zoo_hymenoptera" and "tfds:zoo_hymenoptera" in other["command"]
    again = cli.read_settings("finetune", ["--recipe", str(tmp_path / "tfds" / "recipe.json")] + ["tfds:zoo_hymenoptera"])
    assert again.data == Path("tfds:zoo_hymenoptera") and again.data_dir == tmp_path / "data"
