"""LeNet-5 from a random start, on few digits of scikit-learn in MNIST's folders."""

import csv
import json

import keras
import numpy as np
import pytest
from helpers import array

import zoo
from recipes import cli
from recipes.data.digits import write_digits
from recipes.data.images import Framing, decode
from recipes.lecture import lenet_mnist


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    return write_digits(folder, images=20, seed=0)


@pytest.mark.slow
def test_the_table_the_weights_and_the_resumption(digits, tmp_path, capsys):
    command = ["lenet_mnist", str(digits), "--output", str(tmp_path / "run"), "--epochs", "6", "--seeds"]

    def left() -> tuple[list[dict], dict[str, list[dict]]]:
        with open(tmp_path / "run" / "table.csv") as file:
            return list(csv.DictReader(file)), json.loads((tmp_path / "run" / "result.json").read_text())["seeds"]

    assert cli.main([*command, "1"]) == 0
    rows, first = left()
    assert [row["form"] for row in rows] == ["plain", "distorted"]
    capsys.readouterr()
    assert cli.main([*command, "2", "--forms", "plain"]) == 0  # one seed more: the other is there
    assert capsys.readouterr().out.count("95 % interval") == 1
    rows, again = left()
    seeds = again["plain"]
    assert seeds[0] == first["plain"][0] and [row["form"] for row in rows] == ["plain"]
    assert float(rows[0]["median test error %"]) == pytest.approx(100 * np.median([s["error"] for s in seeds]))
    assert len({s["wrong"] for s in seeds + first["distorted"]}) > 1  # other seeds, other networks
    assert all(s["losses"][-1] < 0.9 * s["losses"][0] for s in seeds)

    # The file of weights, in a network of its own, errs as often as the table says.
    model = zoo.lenet5(modern=True, weights=tmp_path / "run" / "plain-1.safetensors")
    pictures = sorted((digits / "test").glob("*/*.png"))
    pixels = np.stack([decode(path.read_bytes(), Framing(28, 28, 1))[0] for path in pictures])
    guesses = model.predict(np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0))), verbose=0).argmax(axis=1)
    assert np.sum(guesses != [int(path.parent.name) for path in pictures]) == seeds[1]["wrong"]
    assert (tmp_path / "run" / "errors.png").stat().st_size > 5000


@pytest.mark.parametrize("shape, filters", [((32, 32, 1), 6), ((9, 14, 3), 4)])
def test_a_banded_convolution_is_the_convolution(shape, filters):
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    plain, banded = (kind(filters, (5, 3), activation="relu") for kind in (keras.layers.Conv2D, lenet_mnist.Banded))
    plain.build((None, *shape))
    plain.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in plain.weights])
    banded.build((None, *shape))
    banded.set_weights(plain.get_weights())
    np.testing.assert_allclose(array(banded(x)), array(plain(x)), atol=1e-4)


@pytest.mark.slow
def test_choices_leave_the_test_part_alone(digits, tmp_path):
    command = ["lenet_mnist", str(digits), "--output", str(tmp_path / "run"), "--epochs", "1", "--seeds", "1"]
    assert cli.main([*command, "--validation", "0.25", "--forms", "1998"]) == 0
    (measured,) = json.loads((tmp_path / "run" / "result.json").read_text())["seeds"]["1998"]
    assert (measured["part"], measured["images"]) == ("validation", 50)


@pytest.mark.slow
def test_other_data_is_refused(digits, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(digits / "train")
    assert cli.main(["lenet_mnist", str(tmp_path / "data"), "--output", str(tmp_path / "run")]) == 2
    assert "must hold train/ and test/ with ten classes each, as MNIST does" in capsys.readouterr().err
    assert cli.main(["lenet_mnist", str(digits), "--seeds", "0"]) == 2
    assert "--seeds must be positive, found 0" in capsys.readouterr().err
