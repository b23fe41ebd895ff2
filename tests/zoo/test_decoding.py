"""Names of classes beside what others ship, and which model may say them."""

import json
import math
import zipfile

import keras
import numpy as np
import pytest
from helpers import array
from keras import layers
from parity import torchvision

import zoo
from zoo import classes

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.slow
def test_imagenet_is_what_others_say_it_is():
    published = torchvision().models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    info = pytest.importorskip("timm.data").ImageNetInfo()
    names = classes.imagenet()
    assert list(names.values()) == published and len(set(names.values())) == 1000
    assert list(names) == info.label_names() == sorted(names)
    other = {name for wordnet, name in names.items() if name not in info.label_name_to_description(wordnet, detailed=False)}
    assert other == {"crane bird", "maillot tank suit"}  # of two names that are each twice


def test_imagenet_is_in_the_order_of_the_pictures(shared):
    files = sorted(path.stem for path in (shared / "data" / "imagenet-samples").glob("*.jpg"))
    assert [file[:9] for file in files] == list(classes.imagenet())
    same = [
        file[10:].replace("_", " ").lower() == name.lower()
        for file, name in zip(files, classes.imagenet().values(), strict=True)
    ]
    assert sum(same) > 950


def test_the_likeliest_come_first():
    model = zoo.lenet5(weights="mnist")
    rows = np.array([[0, 0.2, 0, 0.5, 0, 0, 0, 0.3, 0, 0], [0.1] * 10], "float32")
    three, even = zoo.decode(rows, model, top=3)
    assert three == [("3", 0.5), ("7", pytest.approx(0.3)), ("1", pytest.approx(0.2))]
    assert [guess.name for guess in even] == ["0", "1", "2"] and even[0].probability == pytest.approx(0.1)
    assert [len(row) for row in zoo.decode(rows, model)] == [5, 5] and len(zoo.decode(rows, model, top=99)[0]) == 10
    assert zoo.decode(rows[:0], model) == []
    assert zoo.decode(keras.ops.convert_to_tensor(rows), model, top=3) == [three, even]


def test_tensors_of_another_backend():
    rows = np.eye(10, dtype="float32")[:1]
    for tensor in (pytest.importorskip("torch").tensor(rows, requires_grad=True), pytest.importorskip("jax").numpy.array(rows)):
        assert zoo.decode(tensor, zoo.lenet5(weights="mnist"), top=1) == [[("0", 1.0)]]


def test_cifar10s_names_come_with_its_weights(shared):
    model = zoo.resnet20(weights=shared / "weights" / "resnet20-12fca82f.th")
    rows = np.eye(10)
    assert tuple(row[0].name for row in zoo.decode(rows, model)) == CIFAR10
    around = keras.Sequential([keras.Input((32, 32, 3)), layers.Identity(), model])
    inputs = keras.Input((32, 32, 3))
    for wrapper in (around, keras.Model(inputs, model(inputs)), keras.Sequential([model])):
        assert zoo.decode(rows, wrapper)[3][0].name == "cat"


def test_a_runs_names_come_with_its_model(tmp_path):
    run = zoo.lenet5(weights="mnist", num_classes=2)
    assert not run.origin.classes  # the head is new
    run.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr("classes.json", json.dumps(["ant", "bee"]))
        archive.writestr("framing.json", json.dumps({"size": 32, "resize": 32, "interpolation": "bilinear"}))
    again = zoo.lenet5(weights=tmp_path / "model.keras", num_classes=2)
    assert zoo.decode([[0.25, 0.75]] @ np.eye(2), again) == [[("bee", 0.75), ("ant", 0.25)]]
    assert not zoo.lenet5(weights=tmp_path / "model.keras", num_classes=3).origin.classes
    assert not zoo.new_head(again, 2).origin.classes  # and another head
    plain = keras.models.load_model(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"lenet5 does not say what its 2 classes are: .*classes\.json inside its model"):
        zoo.decode([[0.25, 0.75]] @ np.eye(2), plain)
    assert zoo.decode([[0.25, 0.75]] @ np.eye(2), plain, classes=["ant", "bee"])[0][0].name == "bee"


@pytest.mark.slow
def test_weights_that_are_loaded_later_bring_their_names(shared, tmp_path):
    model = zoo.resnet20()
    assert not model.origin.classes
    zoo.load_weights(model, shared / "weights" / "resnet20-12fca82f.th")
    assert model.origin.classes == CIFAR10
    model.save_weights(tmp_path / "mine.weights.h5")
    zoo.load_weights(model, tmp_path / "mine.weights.h5")
    assert not model.origin.classes and model.origin.weights == str(tmp_path / "mine.weights.h5")
    assert zoo.decode(np.eye(10), model, classes="cifar10")[9][0].name == "truck"


@pytest.mark.slow
@pytest.mark.fault(
    "Models",
    "zoo.decode on logits, on NaN, on features, or for a model whose classes nobody knows",
    "refused; the sentence says what to give instead",
    "names of other classes, or a percentage of a logit, look like an answer",
)
@pytest.mark.parametrize(
    "values, options, says",
    [
        (
            np.eye(10) * 7,
            {},
            "0 or more and add up to 1 in each row, found 0 as the lowest and 7 as the sum of row 0: of logits",
        ),
        (np.eye(10) - 0.1, {}, "found -0.1 as the lowest"),
        (np.full((2, 10), math.nan), {}, "probabilities must be finite, found NaN"),
        (np.eye(10)[0], {}, r"the shape \(batch, classes\), found \(10,\): give that of one picture as probabilities\[None\]"),
        ([np.eye(10), np.eye(10)], {}, "found a list: give the first of several outputs"),
        (np.eye(7), {}, r"a column for each of the 10 classes of lenet5, found the shape \(7, 7\)"),
        (np.eye(10)[:, :9], {}, r"a column for each of the 10 classes of lenet5, found the shape \(10, 9\)"),
        (np.eye(10), {"top": 0}, "top must be a whole number from 1 up, found 0"),
        (np.eye(10), {"top": True}, "top must be a whole number from 1 up, found True"),
        (np.eye(10), {"classes": "cifar"}, "one of imagenet, cifar10, mnist, found 'cifar'"),
        (np.eye(10), {"classes": ["ant", "bee"]}, "each of the 2 classes of lenet5"),
    ],
)
def test_what_is_no_probability_is_refused(values, options, says):
    with pytest.raises(ValueError, match=says):
        zoo.decode(values, zoo.lenet5(weights="mnist"), **options)


def test_a_model_that_does_not_know_is_not_believed():
    for model in (zoo.lenet5(), zoo.new_head(zoo.lenet5(weights="mnist"), 10), keras.Sequential([layers.Dense(10)])):
        with pytest.raises(
            ValueError, match=r"does not say what its 10 classes are: give classes=, one of imagenet, .* or a list of"
        ):
            zoo.decode(np.eye(10), model)


def test_lists_of_numbers_are_probabilities_too():
    model = zoo.lenet5(weights="mnist")
    assert zoo.decode(np.eye(10).tolist(), model) == zoo.decode(np.eye(10), model)


def test_half_precision_is_near_enough():
    rows = array(keras.ops.softmax(keras.ops.cast(np.random.default_rng(0).normal(size=(4, 1000)), "float16")))
    names = zoo.decode(rows, zoo.lenet5(), top=1, classes="imagenet")
    assert [row[0].name for row in names] == [list(classes.imagenet().values())[i] for i in rows.argmax(axis=1)]
