"""Damaged weights are refused: by their values where these cannot be weights, by a digest wherever there is one."""

import contextlib
import hashlib
import io
import os
import zipfile
from pathlib import Path

import commands
import h5py
import keras
import numpy as np
import pytest
from helpers import array, digits_folder, named, randomize, write
from safetensors.numpy import load_file, save_file
from torch_files import torch_dict, torch_tensor, write_torch

import zoo
from zoo.weights import digests
from zoo.weights.catalog import ENTRIES
from zoo.weights.files import WeightsError, open_tensors

KINDS = ("keras2.h5", "current.weights.h5", "arrays.safetensors", "zip.pth", "legacy.pth")


@pytest.fixture(scope="module")
def lenet():
    return randomize(zoo.lenet5())


def refused(path, *fragments, function=lambda path: zoo.lenet5(weights=path)):
    """The one sentence with which `function` refuses the file."""
    with pytest.raises(WeightsError) as caught:
        function(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for fragment in fragments:
        assert fragment in message
    return message


def sound(kind, model, path):
    """A file of the model's weights; in PyTorch's kinds under Keras' names, for `open_tensors` does not mind."""
    if not kind.endswith(".pth"):
        return write(model, path)
    tensors, legacy = named(model), kind == "legacy.pth"
    storages = {str(i): tensor.ravel() for i, tensor in enumerate(tensors.values())}
    content = {
        name: torch_tensor("FloatStorage", str(i), tensor.size, tensor.shape, [s // 4 for s in tensor.strides], 0, legacy)
        for i, (name, tensor) in enumerate(tensors.items())
    }
    return write_torch(path, torch_dict(content), storages, legacy)


# ---------------------------------------------------------------------------------------------- values
@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "A file of weights with a value that is not a number, is infinite, or is absurd beside its tensor",
    "It is refused, naming file and tensor, and the model is as it was",
    "Such files were read, and gave an accuracy of 0.5",
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e12, 1e5])
@pytest.mark.parametrize("name", ["c1/kernel", "f6/bias"])
def test_one_value_that_no_weight_is(value, name, lenet, tmp_path):
    tensors = {n: v.copy() for n, v in named(lenet).items()}
    tensors[name].flat[3] = value
    path = tmp_path / "x.safetensors"
    save_file(tensors, path)
    model = zoo.lenet5()
    before = model.get_weights()
    refused(path, f"'{name}'", "it is damaged", "fetch or write it again", function=lambda path: zoo.load_weights(model, path))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("garbage", ["bytes", "wide", "constant", "half", "swapped"])
@pytest.mark.parametrize("name", ["c1/kernel", "c5/kernel", "predictions/kernel"])
def test_one_garbage_tensor(garbage, name, seed, lenet, tmp_path):
    rng, tensors = np.random.default_rng(seed), {n: v.copy() for n, v in named(lenet).items()}
    tensor = tensors[name]
    tensors[name] = {
        "bytes": np.frombuffer(rng.bytes(tensor.nbytes), "f4").reshape(tensor.shape),
        "wide": rng.standard_normal(tensor.shape).astype("f4") * 1e4,
        "constant": np.full(tensor.shape, 1e7, "f4"),
        "half": np.where(rng.random(tensor.shape) < 0.5, tensor, np.float32(1e10) * tensor),
        "swapped": tensor.byteswap(),
    }[garbage]
    path = tmp_path / "x.safetensors"
    save_file({n: np.ascontiguousarray(v) for n, v in tensors.items()}, path)
    refused(path, f"'{name}'", "it is damaged")


def test_a_variance_below_zero(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="c")(inputs)
    model = randomize(keras.Model(inputs, keras.layers.BatchNormalization(name="b")(x)))
    model.get_layer("b").moving_variance.assign([1, 2, -0.5, 1])
    path = write(model, tmp_path / "keras2.h5")
    refused(path, "the variance -0.5 in 'b/moving_variance'", function=lambda path: zoo.load_weights(model, path))


def test_weights_far_apart_are_no_damage(tmp_path):
    """What sound networks have: dead channels, layers at zero, layer scales of 1e-6, variances in the scale of pixels."""
    inputs = keras.Input((8, 8, 3))
    x = inputs
    for i in range(4):
        x = keras.layers.BatchNormalization(name=f"b{i}")(keras.layers.Conv2D(8, 3, padding="same", name=f"c{i}")(x))
    model = randomize(keras.Model(inputs, x))
    model.get_layer("b0").moving_variance.assign([3e5, 2e4, 1e5, 1e-30, 0, 7e3, 1e4, 5e4])
    model.get_layer("b0").moving_mean.assign([300, -200, 0, 1e-20, 0, 7, 1, 0])
    model.get_layer("b1").gamma.assign(np.zeros(8))
    model.get_layer("b2").gamma.assign(np.full(8, 1e-6))
    model.get_layer("c1").kernel.assign(np.zeros((3, 3, 8, 8)))
    model.get_layer("c2").kernel.assign(np.full((3, 3, 8, 8), 1e-20))
    model.get_layer("c3").bias.assign([60, 0, 0, 0, 0, 0, 0, 1e-9])
    path = write(model, tmp_path / "keras2.h5")
    expected = [array(v) for v in model.weights]
    zoo.load_weights(randomize(model, seed=5), path)
    for value, variable in zip(expected, model.weights, strict=True):
        np.testing.assert_array_equal(value, array(variable))


@pytest.mark.slow
def test_no_real_weights_are_refused(shared):
    for path in sorted((shared / "weights").iterdir()):
        with open_tensors(path) as tensors:
            assert all(np.isfinite(np.asarray(tensor)).all() for tensor in tensors.values()), path


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "`zoo finetune --weights FILE` with a file whose one tensor is garbage",
    "It ends with 2 and names file and tensor; an earlier run in --output stays",
    "It ended with 0 and the accuracy of a coin",
)
def test_the_command_refuses_garbage(lenet, tmp_path):
    tensors = {n: v.copy() for n, v in named(lenet).items()}
    tensors["c3/kernel"] = np.frombuffer(np.random.default_rng(0).bytes(tensors["c3/kernel"].nbytes), "f4").reshape(5, 5, 6, 16)
    path, output = tmp_path / "x.safetensors", tmp_path / "out"
    save_file(tensors, path)
    data = digits_folder(tmp_path / "digits", 3)
    sentence = commands.refused("finetune", data, "--model", "lenet5", "--weights", path, "--output", output)
    assert str(path) in sentence and "'c3/kernel'" in sentence
    assert not output.exists()


# ---------------------------------------------------------------------------------------------- digests
def mutants(content: bytes, count: int, seed: int):
    """Copies with one damage each: a bit, a byte, sixteen random bytes, a block of zeros, a missing end."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        damaged = bytearray(content)
        place = int(rng.integers(len(content) - 64))
        if i % 5 == 0:
            damaged[place] ^= 1 << int(rng.integers(8))
        elif i % 5 == 1:
            damaged[place] = (damaged[place] + int(rng.integers(1, 256))) % 256
        elif i % 5 == 2:
            damaged[place : place + 16] = rng.bytes(16)
        elif i % 5 == 3:
            damaged[place : place + 64] = bytes(64)
        else:
            del damaged[place:]
        if bytes(damaged) != content:
            yield bytes(damaged)


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "A file of weights with `NAME.sha256` beside it, of which a bit, a byte, a block or the end was damaged",
    "Every damage is refused before the file is opened",
    "Half of the damaged files were read with other values",
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_found_by_the_digest_beside_it(kind, lenet, tmp_path):
    path = sound(kind, lenet, tmp_path / kind)
    assert digests.write(path) == tmp_path / f"{kind}.sha256"
    with open_tensors(path) as tensors:
        assert len(tensors) == 10
    content = path.read_bytes()
    for damaged in mutants(content, 244, seed=1):
        path.write_bytes(damaged)
        refused(
            path, "is not what was written", f"{kind}.sha256", "write it again", function=lambda p: open_tensors(p).__enter__()
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arrays.safetensors", "legacy.pth", "zip.pth"])
def test_without_a_digest_a_damage_is_an_error_or_looks_like_weights(kind, lenet, tmp_path):
    """No other error, nothing that is not finite or absurd; what is left are small changes and zeros."""
    path = sound(kind, lenet, tmp_path / kind)
    content, expected, silent, total = path.read_bytes(), named(lenet), 0, 0
    for damaged in mutants(content, 244, seed=2):
        path.write_bytes(damaged)
        total += 1
        with contextlib.suppress(WeightsError), open_tensors(path) as tensors:
            found = {name: np.asarray(tensor) for name, tensor in tensors.items()}
            assert all(np.isfinite(v).all() and np.abs(v, dtype="f8").max() < 1e5 for v in found.values() if v.dtype == "f4")
            silent += not (
                found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)
            )
    print(f"{kind}: {silent} of {total} damaged files were read with other values")
    assert silent == 0 if kind == "zip.pth" else silent < 0.6 * total  # each file of a zip has a checksum


def test_the_note_of_sha256sum_is_understood(lenet, tmp_path):
    path = write(lenet, tmp_path / "arrays.npz")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    note = tmp_path / "arrays.npz.sha256"
    for text in (f"{digest}  arrays.npz\n", f"{digest.upper()} *arrays.npz", f"SHA256 (arrays.npz) = {digest}\n"):
        note.write_text(text)
        zoo.lenet5(weights=path)
    note.write_text("nothing")
    refused(path, "arrays.npz.sha256 beside it, which holds no sha256")
    note.write_bytes(os.urandom(100))
    refused(path, "holds no sha256")


@pytest.mark.fault(
    "Weights",
    "A file, given by its path, that has the name of a published one and other content",
    "It is refused with both digests: fetch it again, or rename it",
    "The catalog's digest was compared for downloads alone",
)
@pytest.mark.parametrize("kind", ["sha256", "sha256-prefix", "md5"])
def test_a_published_file_given_by_its_path(kind, lenet, tmp_path):
    entry = next(entry for entry in ENTRIES if entry.hash.partition(":")[0] == kind)
    path = tmp_path / entry.file
    save_file(named(lenet), path)
    own = hashlib.new("md5" if kind == "md5" else "sha256", path.read_bytes()).hexdigest()
    refused(path, f"its {kind} is {own}", f"published is {entry.hash.partition(':')[2]}", "or rename it")
    assert zoo.lenet5(weights=path.rename(tmp_path / "own.safetensors"))


def test_published_files_given_by_their_path_are_read(shared, tmp_path):
    model = zoo.resnet20(weights=shared / "weights" / "resnet20-12fca82f.th")
    damaged = tmp_path / "resnet20-12fca82f.th"
    content = bytearray((shared / "weights" / damaged.name).read_bytes())
    content[-100] ^= 1  # the last bit of a number
    damaged.write_bytes(content)
    refused(damaged, "published is 12fca82f", function=lambda path: zoo.resnet20(weights=path))
    assert model.count_params()


def test_the_shipped_weights_are_compared_with_the_catalog(monkeypatch, tmp_path):
    (shipped,) = (Path(zoo.__file__).parent / "pretrained").glob("*.safetensors")
    tensors = load_file(shipped)
    tensors["c1/bias"] = tensors["c1/bias"] + np.float32(1e-3)
    (tmp_path / "pretrained").mkdir()
    save_file(tensors, tmp_path / "pretrained" / shipped.name)
    monkeypatch.setattr("zoo.weights.places.__file__", str(tmp_path / "weights" / "places.py"))
    with pytest.raises(WeightsError, match="is not the file of that name in the catalog"):
        zoo.lenet5(weights="mnist")


@pytest.mark.slow
@pytest.mark.fault(
    "Models",
    "`model.keras` of a run whose weights were replaced by others of the same shapes, with sound checksums",
    "`zoo predict` and `--weights` refuse it by the digest that the run wrote beside it",
    "It answered, otherwise than was reported",
)
def test_a_runs_model_is_compared_with_its_digest(tmp_path):
    data, output = digits_folder(tmp_path / "digits", 4), tmp_path / "out"
    run = commands.zoo("finetune", data, "--model", "lenet5", "--weights", "mnist", "--strategy", "small", "--output", output)
    assert run.poll() == 0
    path = output / "model.keras"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (output / "model.keras.sha256").read_text().split() == [digest]
    picture = next(data.rglob("*.png"))
    path.write_bytes(altered(path, tmp_path))
    sentence = commands.refused("predict", output, picture)
    assert f"{path} is not what was written" in sentence and "model.keras.sha256" in sentence
    refused(path, "is not what was written", function=lambda path: zoo.lenet5(weights=path))
    (output / "model.keras.sha256").unlink()  # as the sentence says, for who changed it
    assert "reference.npz belongs to another model" in commands.refused("predict", output, picture)
    (output / "reference.npz").unlink()  # and so does this one
    assert commands.zoo("predict", output, picture).poll() == 0


def altered(path, folder) -> bytes:
    """The archive with another bias, written as a program would."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        biases = []
        file.visititems(lambda name, item: biases.append(name) if isinstance(item, h5py.Dataset) and item.ndim == 1 else None)
        file[biases[0]][0] += 0.5
    members["model.weights.h5"] = content.getvalue()
    with zipfile.ZipFile(folder / "altered", "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return (folder / "altered").read_bytes()
