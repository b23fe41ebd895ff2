"""Files of weights: every kind is read, damaged and malicious ones are refused by name, and what fits is decided strictly."""

import os
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from helpers import KINDS, array, digest, named, pixels, randomize, write, write_legacy
from safetensors.numpy import save_file
from tensors import read, refused
from torch_files import op, pickled, torch_dict, torch_tensor, write_torch

import zoo
from zoo.weights import names
from zoo.weights.adapting import adapt_stem
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.names import mobilenet as mobilenet_names

SMALL = {"alpha": 0.25, "input_shape": (32, 32, 3)}


@pytest.fixture(scope="module")
def lenet():
    return randomize(zoo.lenet5())


@pytest.fixture(scope="module")
def mobilenet():
    return randomize(zoo.mobilenet(**SMALL, activation=None))


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


# ---------------------------------------------------------------------------------------------- reading
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind, lenet, tmp_path):
    found, expected = read(write(lenet, tmp_path / kind)), named(lenet)
    if kind in ("current.weights.h5", "model.keras"):  # variables are numbered there
        expected = {name.replace("/kernel", "/0").replace("/bias", "/1"): value for name, value in expected.items()}
    assert_equal(found, expected)


@pytest.mark.slow
def test_the_kind_is_in_the_content_not_in_the_name(lenet, tmp_path):
    for kind in KINDS:
        path = write(lenet, tmp_path / kind).rename(tmp_path / "no_extension")
        assert digest(zoo.lenet5(weights=path)) == digest(lenet)


def test_keras1_spelling(lenet, tmp_path):
    assert_equal(read(write_legacy(lenet, tmp_path / "old.h5", "keras1")), named(lenet))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_files_without_torch(legacy, tmp_path):
    numbers, halves = np.arange(12, dtype="<f4"), np.array([0.5, 2.0, -1.0], "<f2")
    counts = np.array([7], "<i8")
    content = torch_dict(
        {
            "module.a.weight": torch_tensor("FloatStorage", "0", 12, (2, 3), (3, 1), legacy=legacy),
            "module.transposed.weight": torch_tensor("FloatStorage", "0", 12, (3, 2), (1, 3), legacy=legacy),
            "module.tail.weight": torch_tensor("FloatStorage", "0", 12, (2, 2), (2, 1), offset=8, legacy=legacy),
            "module.a.running_mean": torch_tensor("HalfStorage", "1", 3, (3,), (1,), legacy=legacy),
            "module.a.num_batches_tracked": torch_tensor("LongStorage", "2", 1, (), (), legacy=legacy),
        }
    )
    path = write_torch(tmp_path / "x.pth", content, {"0": numbers, "1": halves, "2": counts}, legacy)
    assert_equal(
        read(path),
        {
            "a.weight": [[0, 1, 2], [3, 4, 5]],
            "transposed.weight": [[0, 3], [1, 4], [2, 5]],
            "tail.weight": [[8, 9], [10, 11]],
            "a.running_mean": [0.5, 2.0, -1.0],
        },
    )


# ---------------------------------------------------------------------------------------------- damaged
def torch_file(path, legacy):
    content = torch_dict({"a.weight": torch_tensor("FloatStorage", "0", 600, (20, 30), (30, 1), legacy=legacy)})
    return write_torch(path, content, {"0": np.arange(600, dtype="<f4")}, legacy)


def sound(kind, model, path):
    if kind.endswith(".pth"):
        return torch_file(path, kind == "legacy.pth")
    if kind == "compressed.npz":
        np.savez_compressed(path, **named(model))
        return path
    return write(model, path)


@pytest.mark.parametrize("kind", [*KINDS, "compressed.npz", "zip.pth", "legacy.pth"])
def test_truncated_files_are_named(kind, lenet, tmp_path):
    path = sound(kind, lenet, tmp_path / kind)
    content = path.read_bytes()
    for length in (0, 7, len(content) // 2, len(content) * 9 // 10, len(content) - 1):
        path.write_bytes(content[:length])
        message = refused(path, "damaged|is no HDF5" if length < 10 else "damaged|ends before its last tensor")
        assert message.startswith(f"Weights file {path} ")


@pytest.mark.parametrize("kind", ["model.keras", "compressed.npz", "arrays.safetensors", "zip.pth", "legacy.pth"])
@pytest.mark.slow
def test_damaged_bytes_give_no_other_error(kind, lenet, tmp_path):
    """HDF5's own library hangs on some damaged files, so bytes within HDF5 structures are left alone."""
    path, rng = sound(kind, lenet, tmp_path / kind), np.random.default_rng(1)
    content, refusals = path.read_bytes(), 0
    for attempt in range(200):
        damaged = bytearray(content)
        start = 0 if attempt % 2 else len(content) - 500  # where the structure is
        for position in rng.integers(start, start + 500, 5):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read(path)
        except WeightsError as error:
            refusals += 1
            assert str(path) in str(error)
    assert refusals > 50


def test_damage_found_while_values_are_read(lenet, tmp_path):
    """HDF5 notices a damaged block when it is decompressed, long after the file was opened."""
    path = tmp_path / "compressed.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"c1"]
        group = file.create_group("c1")
        group.attrs["weight_names"] = [b"c1/kernel:0", b"c1/bias:0"]
        for name, tensor in (("c1/kernel:0", np.ones((5, 5, 1, 6))), ("c1/bias:0", np.ones(6))):
            dataset = group.create_dataset(name, data=tensor, compression="gzip")
        chunk = dataset.id.get_chunk_info(0)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    inputs = keras.Input((32, 32, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(6, 5, name="c1")(inputs))
    refused(path, "is damaged", lambda path: zoo.load_weights(model, path))


def test_what_is_no_weights_file(tmp_path):
    page = tmp_path / "page.h5"
    page.write_text("<!DOCTYPE html><html>Please log in</html>")
    refused(page, "is no HDF5, Keras, NumPy, safetensors or PyTorch file")
    refused(tmp_path, "There is no weights file")
    refused(tmp_path / "missing.h5", "There is no weights file")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(3)
    refused(tmp_path / "other.h5", "was not written by Keras")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2, 3], 2))
    refused(tmp_path / "list.pkl", "is a pickle, but not a PyTorch checkpoint")


# ---------------------------------------------------------------------------------------------- malicious
class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_nothing_in_a_pickle_is_executed(legacy, tmp_path):
    victim = tmp_path / "executed"
    harm = pickle.dumps({"a.weight": Malicious(f"touch {victim}")}, 2)
    pickle.loads(harm)
    assert victim.exists()  # the pickle works
    victim.unlink()
    path = write_torch(tmp_path / "x.pth", harm, {}, legacy)
    assert "system, which a file of weights does not need" in refused(path, "was not opened further")
    path.write_bytes(harm)
    refused(path, "was not opened further")
    for module, name in (("builtins", "eval"), ("torch", "load"), ("torch._utils", "os.system"), ("numpy", "load")):
        content = b"\x80\x02}(" + pickled("a.weight") + op(module, name) + pickled((f"{victim}",)) + b"Ru."
        refused(write_torch(path, content, {}, legacy), f"asks for {module}.{name}")
    assert not victim.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_tensor_may_not_reach_beyond_its_storage(legacy, tmp_path):
    for shape, stride, offset in (((20, 30), (30, 1), 1), ((601,), (1,), 0), ((2,), (-1,), 5), ((2, 2), (599, 2), 0)):
        tensor = torch_tensor("FloatStorage", "0", 600, shape, stride, offset, legacy)
        path = write_torch(tmp_path / "x.pth", torch_dict({"a": tensor}), {"0": np.zeros(600, "<f4")}, legacy)
        refused(path, "reaches beyond its storage")
    tensor = torch_tensor("FloatStorage", "0", 2**31 - 1, (2**31 - 1,), (1,), 0, legacy)
    refused(write_torch(path, torch_dict({"a": tensor}), {"0": np.zeros(9, "<f4")}, legacy), "damaged|ends before")


@pytest.mark.parametrize("link", [lambda path: h5py.ExternalLink("secret.h5", path), h5py.SoftLink], ids=["external", "soft"])
@pytest.mark.parametrize("layout", ["keras2.h5", "model.h5", "current.weights.h5"])
def test_hdf5_links_are_refused(layout, link, lenet, tmp_path):
    write(lenet, tmp_path / layout).rename(tmp_path / "secret.h5")
    whole = {"keras2.h5": "", "model.h5": "model_weights", "current.weights.h5": "layers"}[layout]
    group = {"keras2.h5": "c1", "model.h5": "model_weights/c1", "current.weights.h5": "layers/conv2d"}[layout]
    within = {"keras2.h5": "c1/kernel:0", "model.h5": "lenet5/c1/kernel", "current.weights.h5": "vars/0"}[layout]
    for target in filter(None, (whole, group, f"{group}/{within}")):
        path = write(lenet, tmp_path / layout)
        with h5py.File(path, "r+") as file:
            if target not in file:  # the name of a model within its file is Keras' affair
                target = next(f"{group}/{name}" for name in datasets(file[group]) if "kernel" in name)
            file.move(target, "elsewhere")
            file[target] = link("/elsewhere" if link is h5py.SoftLink else f"/{target}")
        refused(path, "not safe to read")


def datasets(group):
    found = []
    group.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize("storage", ["external", "virtual"])
def test_hdf5_data_outside_the_file_are_refused(storage, lenet, tmp_path):
    path = write_legacy(lenet, tmp_path / "weights.h5")
    (tmp_path / "secret").write_bytes(bytes(600))
    with h5py.File(path, "r+") as file:
        del file["c1/c1/kernel:0"]
        if storage == "external":
            file.create_dataset("c1/c1/kernel:0", (5, 5, 1, 6), "f4", external=[(str(tmp_path / "secret"), 0, 600)])
        else:
            layout = h5py.VirtualLayout((5, 5, 1, 6), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (5, 5, 1, 6), "f4")
            file.create_virtual_dataset("c1/c1/kernel:0", layout)
    refused(path, "keeps 'c1/kernel:0' outside the file")


def test_hdf5_links_inside_a_keras_archive_are_refused(lenet, tmp_path):
    path = write(lenet, tmp_path / "current.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["layers"]
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/layers")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.write(path, "model.weights.h5")
    refused(tmp_path / "model.keras", "'layers' as a link to elsewhere")


# ---------------------------------------------------------------------------------------------- what fits
@pytest.mark.slow
def test_another_architecture_is_told_in_one_sentence(lenet, mobilenet, tmp_path):
    path = write(lenet, tmp_path / "arrays.npz")
    message = refused(path, "does not fit mobilenet", lambda path: zoo.mobilenet(**SMALL, variant="keras", weights=path))
    assert f"it lacks {len(mobilenet.weights) - 2} of the model's variables (conv1/kernel, conv1_bn/gamma" in message
    assert "1 shapes differ" not in message and "predictions/kernel is 256 × 1000, in the file 84 × 10" in message
    assert "8 of its tensors have no place in the model (c1/bias, c1/kernel, c3/bias" in message
    assert "\n" not in message and message.endswith("with the same width and input size.")


@pytest.mark.slow
def test_classifier_is_the_only_exception(mobilenet, tmp_path):
    def load(path, **options):
        return zoo.mobilenet(**SMALL, variant="keras", weights=path, **options)

    whole = write(mobilenet, tmp_path / "arrays.npz")
    body = {name: value for name, value in named(mobilenet).items() if not name.startswith("predictions/")}
    notop = tmp_path / "notop.safetensors"
    save_file(body, notop)
    for path in (whole, notop):
        for num_classes in (0, 3):
            found = named(load(path, num_classes=num_classes))
            assert_equal({name: found[name] for name in body}, body)
            assert found.keys() - body.keys() == ({"predictions/kernel", "predictions/bias"} if num_classes else set())
    assert digest(load(whole, num_classes=1000)) == digest(mobilenet)  # it fits: loaded
    refused(notop, "lacks 2 of the model's variables.*pass num_classes to start with a new classifier", load)

    save_file({**body, "extra/kernel": np.ones(3)}, notop)
    refused(notop, r"1 of its tensors have no place in the model \(extra/kernel\)", lambda p: load(p, num_classes=3))
    del body["conv_pw_13_bn/gamma"]
    save_file(body, notop)
    refused(notop, r"lacks 1 of .* \(conv_pw_13_bn/gamma\)", lambda p: load(p, num_classes=3))


def test_nothing_is_assigned_when_something_does_not_fit(lenet, tmp_path):
    model, path = zoo.lenet5(), tmp_path / "x.npz"
    np.savez(path, **{**named(lenet), "f6/bias": np.ones(85)})
    before = digest(model)
    refused(path, "1 shapes differ .f6/bias is 84, in the file 85", lambda path: zoo.load_weights(model, path))
    assert digest(model) == before


def test_half_precision_is_widened(lenet, tmp_path):
    halves = {name: value.astype(np.float16) for name, value in named(lenet).items()}
    save_file(halves, tmp_path / "half.safetensors")
    np.savez(tmp_path / "half.npz", **halves)
    for kind in ("half.safetensors", "half.npz"):
        model = zoo.lenet5(weights=tmp_path / kind)
        assert {str(v.dtype) for v in model.weights} == {"float32"}
        assert_equal(named(model), halves)


@pytest.mark.parametrize(
    "variant, kind",
    [
        pytest.param("keras", "current.weights.h5", marks=pytest.mark.slow),
        pytest.param("keras", "model.keras", marks=pytest.mark.slow),
        pytest.param("torch", "current.weights.h5", marks=pytest.mark.slow),
        pytest.param("torch", "model.keras", marks=pytest.mark.slow),
    ],
)
def test_own_files_load_back(variant, kind, tmp_path):
    options = {"alpha": 0.35, "input_shape": (32, 32, 3), "num_classes": 4, "variant": variant}
    model = randomize(zoo.mobilenet_v2(**options, dropout=0.3, l2=1e-4))
    again = zoo.mobilenet_v2(**options, weights=write(model, tmp_path / kind))
    x = pixels(2, 32, 32, 3)
    np.testing.assert_array_equal(array(again(x)), array(model(x)))
    assert again.origin.variant == variant and again.origin.weights == str(tmp_path / kind)


# ---------------------------------------------------------------------------------------------- stem
def test_the_stem_by_hand():
    kernel = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 3, 1)
    assert adapt_stem(kernel, 1).ravel().tolist() == [111]
    assert adapt_stem(kernel, 2).ravel().tolist() == [1.5, 15]
    assert adapt_stem(kernel, 4).ravel().tolist() == [0.75, 7.5, 75, 0.75]
    assert adapt_stem(kernel, 4, reverse=True).ravel().tolist() == [75, 7.5, 0.75, 75]
    assert adapt_stem(kernel[:, :, :1], 3).ravel().tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.slow
def test_grey_is_what_its_three_equal_channels_were(mobilenet, tmp_path):
    path = write(mobilenet, tmp_path / "keras2.h5")
    gray = zoo.mobilenet(alpha=0.25, input_shape=(32, 32, 1), weights=path, activation=None)
    x = pixels(3, 32, 32, 1)
    expected = array(mobilenet(np.repeat(x, 3, axis=-1)))
    assert np.abs(array(gray(x)) - expected).max() < 1e-4 * np.ptp(expected)


@pytest.mark.slow
def test_bgr_stem_meets_rgb_channels(tmp_path):
    """A caffe-style kernel sees blue first; with four channels the graph does not flip, so the kernel must."""
    model = randomize(zoo.resnet50(num_classes=2, input_shape=(32, 32, 3)))
    path = write(model, tmp_path / "current.weights.h5")
    kernel = array(model.get_layer("conv1_conv").kernel)
    four = zoo.resnet50(num_classes=2, input_shape=(32, 32, 4), weights=path)
    expected = np.stack([kernel[:, :, c] for c in (2, 1, 0, 2)], axis=2) * 0.75
    np.testing.assert_allclose(array(four.get_layer("conv1_conv").kernel), expected, rtol=1e-6)


@pytest.mark.slow
def test_torch_stem_and_counters(tmp_path):
    """PyTorch's channels come second; an .npz written from a state_dict has counters, which are no weights."""
    model = randomize(zoo.mobilenet_v2(variant="torch", num_classes=2, input_shape=(32, 32, 3)))
    tensors = {"features.0.1.num_batches_tracked": np.array(7)}
    for layer in model.layers:
        for variable in layer.weights:
            tensor = array(variable)
            axes = (2, 3, 0, 1) if "depthwise" in layer.name else (3, 2, 0, 1)
            tensor = tensor.transpose(axes) if tensor.ndim == 4 else tensor.T
            key = names.TORCH_VARIABLES[variable.name]
            tensors[f"{mobilenet_names.torchvision_v2(layer.name)}.{key}"] = tensor
    path = tmp_path / "state_dict.npz"
    np.savez(path, **tensors)
    three, one, four = (zoo.mobilenet_v2(weights=path, num_classes=2, input_shape=(32, 32, c)) for c in (3, 1, 4))
    assert digest(three) == digest(model)
    kernel = array(model.get_layer("Conv1").kernel)
    np.testing.assert_allclose(array(one.get_layer("Conv1").kernel), kernel.sum(2, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(array(four.get_layer("Conv1").kernel), kernel[:, :, [0, 1, 2, 0]] * 0.75, rtol=1e-6)
