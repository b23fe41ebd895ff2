"""A file of weights comes back in its own form, with its own preprocessing, or is refused; never in another, silently."""

import json
import re
import zipfile

import keras
import numpy as np
import pytest
from helpers import array, named, pixels, randomize
from keras import applications, layers
from safetensors.numpy import save_file

import zoo
from zoo.weights.files import WeightsError
from zoo.weights.forms import difference, layers_of
from zoo.weights.names import TORCH_VARIABLES, vit
from zoo.weights.saved import Saved, described

slow = pytest.mark.slow
DEEP = [pytest.mark.slow, pytest.mark.deep]
SMALL = {"mobilenet_v2": {"alpha": 0.35}, "mobilenet_v3_small": {}, "efficientnet_b0": {}}
X = pixels(3, 32, 32, 3)


def built(name, variant=None, classes=4, size=32, **options):
    """A small network with random values."""
    return randomize(zoo.get_model(name, variant=variant, input_shape=(size, size, 3), num_classes=classes, **options))


def torch_file(model, rename, path):
    """Write a model's values under PyTorch's names, in PyTorch's order of axes."""
    tensors = {}
    for layer in model.layers:
        for variable in layer.weights:
            value, module = array(variable), rename(layer.name)
            if value.ndim == 4:
                value = value.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (3, 2, 0, 1))
            elif variable.name == "kernel":
                value = value.T
            key = module[variable.name] if isinstance(module, dict) else f"{module}.{TORCH_VARIABLES[variable.name]}"
            tensors[key] = np.ascontiguousarray(value)
    save_file(tensors, path)
    return path


def refused(sentence, build, **options):
    """The builder refuses, in one sentence that says this."""
    with pytest.raises(WeightsError, match=sentence) as error:
        build(**options)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------------------------------------- saved models
def test_what_a_layer_sees_is_known_of_a_file_and_in_memory():
    """Or one that pads before a convolution would differ from itself: ResNet's files of keras.applications were refused."""
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Conv2D(4, 7, 2, name="conv")(layers.ZeroPadding2D(3, name="pad")(inputs)))
    in_file, ours = described(json.loads(model.to_json())["config"]), layers_of(model)
    assert in_file["conv"].inputs == ours["conv"].inputs == ("pad",)
    assert difference(ours, Saved(in_file, has_settings=True)) is None


@slow
@pytest.mark.fault(
    "Weights",
    "A saved model as the next backbone",
    "It comes back in its own form, with its preprocessing and input size, read off the file",
    "Two forms of a network have the same names and shapes, and answer differently.",
)
@pytest.mark.parametrize(
    "name, variant, kind",
    [
        ("mobilenet_v2", "torch", "keras"),
        pytest.param("mobilenet_v2", "torch", "h5", marks=slow),
        pytest.param("mobilenet_v2", "keras", "keras", marks=slow),
        pytest.param("mobilenet_v3_small", "timm", "keras", marks=slow),
        *[pytest.param("mobilenet_v3_small", "torch", kind, marks=DEEP) for kind in ("keras", "h5")],
        *[
            pytest.param("efficientnet_b0", *case, marks=DEEP)
            for case in (("torch", "keras"), ("torch", "h5"), ("keras", "h5"))
        ],
    ],
)
def test_a_saved_model_comes_back_as_it_was(name, variant, kind, tmp_path):
    path, options = tmp_path / f"saved.{kind}", SMALL[name]
    model = built(name, variant, **options)
    model.save(path)
    again = zoo.get_model(name, num_classes=4, weights=path, **options)
    assert again.origin.variant == variant and again.input_shape == (None, 32, 32, 3)
    assert again.origin.preprocessing == ("tf" if name.startswith("mobilenet") and variant == "keras" else "torch")
    np.testing.assert_array_equal(array(again(X)), array(model(X)))
    body = zoo.get_model(name, num_classes=0, weights=path, **options)
    np.testing.assert_array_equal(array(body(X)), array(zoo.split(model, "pre_logits")[0](X)))


@pytest.mark.slow
def test_preprocessing_of_ones_own_survives(tmp_path):
    statistics = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    model = built("mobilenet_v2", "torch", alpha=0.35, preprocessing=statistics)
    scaled = np.pad((X / 255 - statistics[0]) / statistics[1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = keras.Model(model.get_layer("Conv1_pad").output, model.output)(scaled)
    np.testing.assert_allclose(array(model(X)), array(expected), atol=1e-5)
    model.save(tmp_path / "own.keras")
    again = zoo.mobilenet_v2(alpha=0.35, num_classes=4, weights=tmp_path / "own.keras")
    assert again.origin.preprocessing == "0.4,0.5,0.6/0.2,0.3,0.1"
    np.testing.assert_allclose(array(again(X)), array(model(X)), atol=1e-6)


def test_the_frame_of_a_run_is_kept(tmp_path):
    model = randomize(zoo.lenet5(input_shape=(24, 24, 1)))
    model.save(tmp_path / "run.keras")
    with zipfile.ZipFile(tmp_path / "run.keras", "a") as archive:
        archive.writestr("framing.json", json.dumps({"size": 24, "resize": 31, "channels": 1, "interpolation": "bicubic"}))
    origin = zoo.lenet5(weights=tmp_path / "run.keras").origin
    assert (origin.size, origin.resize, origin.interpolation) == (24, 31, "bicubic")
    with zipfile.ZipFile(tmp_path / "run.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("framing.json", '{"size": "large"}')
    refused(r"run.keras has a framing.json that does not say", zoo.lenet5, weights=tmp_path / "run.keras")


def test_the_terms_of_a_run_are_kept(tmp_path):
    randomize(zoo.lenet5()).save(tmp_path / "run.keras")
    assert zoo.lenet5(weights=tmp_path / "run.keras").origin.license is None
    with zipfile.ZipFile(tmp_path / "run.keras", "a") as archive:
        archive.writestr("origin.json", json.dumps({"model": "lenet5", "license": "CC-BY-NC-4.0", "citations": ["Somebody"]}))
    origin = zoo.lenet5(weights=tmp_path / "run.keras").origin
    assert (origin.license, origin.citations) == ("CC-BY-NC-4.0", ("Somebody",))
    with zipfile.ZipFile(tmp_path / "run.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("origin.json", '["MIT"]')
    refused(r"run.keras has an origin.json that does not say", zoo.lenet5, weights=tmp_path / "run.keras")


@slow
@pytest.mark.parametrize("head", ["dropout", "hidden", "cosine"])
def test_a_run_with_any_head_is_a_backbone(head, tmp_path):
    model = randomize(zoo.new_head(zoo.lenet5(), 3, head=head))
    model.save(tmp_path / "run.keras")
    body = zoo.lenet5(num_classes=0, weights=tmp_path / "run.keras")
    x = pixels(2, 32, 32, 1)
    np.testing.assert_array_equal(array(body(x)), array(zoo.split(model, "pre_logits")[0](x)))


@slow
@pytest.mark.fault(
    "Weights",
    "A saved model with another option than the builder's, such as LeNet-5 with ReLU for the one with tanh",
    "Refused: the sentence names the first layer that differs",
    "Names and shapes are the same: only the file's own description tells.",
)
@pytest.mark.parametrize("kind", ["x.keras", "x.weights.h5"])
def test_a_saved_model_of_other_options(kind, tmp_path):
    model = randomize(zoo.lenet5(modern=True))
    (model.save_weights if "weights" in kind else model.save)(tmp_path / kind)
    sentence = r"is of another network than lenet5: beside its variant 'keras', (c\d|f6|s\d) "
    refused(sentence, zoo.lenet5, weights=tmp_path / kind)
    refused(sentence, lambda: zoo.load_weights(zoo.lenet5(), tmp_path / kind))
    x = pixels(2, 32, 32, 1)
    again = zoo.lenet5(modern=True, weights=tmp_path / kind)
    np.testing.assert_array_equal(array(again(x)), array(model(x)))


@pytest.mark.slow
def test_what_the_file_says_is_not_overruled(tmp_path):
    path, options = tmp_path / "x.keras", {"alpha": 0.35, "num_classes": 4}
    built("mobilenet_v2", "torch", alpha=0.35).save(path)
    refused("for variant 'torch' of mobilenet_v2, found 'keras'", zoo.mobilenet_v2, weights=path, variant="keras", **options)
    refused("needs the preprocessing torch, found tf", zoo.mobilenet_v2, weights=path, preprocessing="tf", **options)
    assert zoo.mobilenet_v2(weights=path, variant="timm", **options).origin.variant == "timm"  # which is the same network
    before = zoo.mobilenet_v2(**options, input_shape=(32, 32, 3))
    refused("for variant 'torch' of mobilenet_v2, found 'keras'", lambda: zoo.load_weights(before, path))


# ---------------------------------------------------------------------------------------------- weights alone
@pytest.mark.fault(
    "Weights",
    "A file of weights alone that fits two forms of a network",
    "Refused: the sentence names both and the flag --variant",
    "The first form was taken, and its answers were a little wrong.",
)
@slow
@pytest.mark.parametrize("kind", ["x.weights.h5", "x.npz"])
def test_bare_weights_that_fit_two_forms(kind, tmp_path):
    model, path = built("mobilenet_v3_small", "timm"), tmp_path / kind
    if kind == "x.npz":
        np.savez(path, **named(model))
    else:
        model.save_weights(path)
    options = {"num_classes": 4, "weights": path, "input_shape": (32, 32, 3)}
    refused(r"fits the variants .*torch and timm of .*variant= \(--variant", zoo.mobilenet_v3_small, **options)
    refused(r"--preprocessing on the command line\)", zoo.mobilenet_v3_small, variant="timm", **options)
    again = zoo.mobilenet_v3_small(variant="timm", preprocessing="torch", **options)
    np.testing.assert_array_equal(array(again(X)), array(model(X)))


@slow
def test_bare_weights_of_one_form_whose_files_see_different_pixels(tmp_path):
    """torchvision's and timm's EfficientNet-B0 are the same network, and some of timm's files see -1..1."""
    model, path = built("efficientnet_b0", "timm", preprocessing="tf"), tmp_path / "x.weights.h5"
    model.save_weights(path)
    options = {"num_classes": 4, "weights": path, "input_shape": (32, 32, 3)}
    refused("fits the variants torch and timm of efficientnet_b0", zoo.efficientnet_b0, **options)
    refused("tf, as imagenet_timm_ra4", zoo.efficientnet_b0, variant="timm", **options)
    again = zoo.efficientnet_b0(variant="timm", preprocessing="tf", **options)
    np.testing.assert_array_equal(array(again(X)), array(model(X)))


@pytest.mark.slow
def test_bare_weights_whose_layers_tell_the_form(tmp_path):
    """Keras lists layers without weights, too: only PyTorch's form of MobileNetV2 has those that pad."""
    model, path = built("mobilenet_v2", "torch", alpha=0.35), tmp_path / "x.weights.h5"
    model.save_weights(path)
    again = zoo.mobilenet_v2(alpha=0.35, num_classes=4, weights=path, input_shape=(32, 32, 3))
    assert again.origin.variant == "torch"
    np.testing.assert_array_equal(array(again(X)), array(model(X)))


# ---------------------------------------------------------------------------------------------- other programs' models
@slow
def test_models_of_keras_applications(tmp_path):
    theirs = randomize(applications.MobileNetV2(alpha=0.35, weights=None, classes=4, input_shape=(32, 32, 3)))
    theirs.save(tmp_path / "theirs.keras")
    ours = zoo.mobilenet_v2(alpha=0.35, num_classes=4, weights=tmp_path / "theirs.keras")
    assert (ours.origin.variant, ours.origin.preprocessing, ours.input_shape) == ("keras", "tf", (None, 32, 32, 3))
    expected = array(theirs(applications.mobilenet_v2.preprocess_input(X.astype("float32"))))
    np.testing.assert_allclose(array(ours(X)), expected, atol=1e-5)


@slow
def test_preprocessing_inside_a_model_of_keras_applications(tmp_path):
    """Untrained, its EfficientNet divides by 255 and no more: that is not what its published weights see."""
    theirs = randomize(applications.EfficientNetB0(weights=None, classes=4, input_shape=(32, 32, 3)))
    theirs.save(tmp_path / "theirs.keras")
    ours = zoo.efficientnet_b0(num_classes=4, weights=tmp_path / "theirs.keras")
    assert (ours.origin.variant, ours.origin.preprocessing) == ("keras", "unit")
    np.testing.assert_allclose(array(ours(X)), array(theirs(X.astype("float32"), training=False)), atol=1e-5)


def guide(prepare):
    """The layout of Keras' guide to transfer learning: preparation, a network as a layer, a new head."""
    base = randomize(applications.MobileNetV2(alpha=0.35, weights=None, include_top=False, input_shape=(32, 32, 3)))
    inputs = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base(prepare(layers.RandomFlip()(inputs)), training=False))
    return keras.Model(inputs, layers.Dense(2, name="predictions")(layers.Dropout(0.2)(x)))


@slow
def test_a_model_as_in_keras_own_guide(tmp_path):
    theirs = guide(layers.Rescaling(1 / 255))
    theirs.save(tmp_path / "guide.keras")
    ours = zoo.mobilenet_v2(alpha=0.35, num_classes=2, activation=None, weights=tmp_path / "guide.keras")
    assert ours.origin.preprocessing == "unit"
    np.testing.assert_allclose(array(ours(X)), array(theirs(X.astype("float32"), training=False)), atol=1e-5)


@pytest.mark.fault(
    "Weights",
    "A saved model that prepares pixels by an operation that is no list of numbers",
    "Refused: the sentence names the layer and the flag --preprocessing",
    "The usual preprocessing of the network may be another.",
)
@slow
def test_preparation_that_cannot_be_read(tmp_path):
    theirs, path = guide(lambda x: keras.ops.log(x + 1.0)), tmp_path / "guide.keras"
    theirs.save(path)
    options = {"alpha": 0.35, "num_classes": 2, "activation": None, "weights": path}
    refused(r"prepares pixels by '.*' .*|.*--preprocessing on the command line", zoo.mobilenet_v2, **options)
    assert zoo.mobilenet_v2(preprocessing="tf", **options).origin.preprocessing == "tf"


# ---------------------------------------------------------------------------------------------- preprocessing
@pytest.mark.fault(
    "Weights",
    "A file by path of a network whose published files need different preprocessing (DeiT and Google's ViT)",
    "Refused: the sentence lists the choices, with files that need each, and the flag --preprocessing",
    "The network's usual preprocessing was applied to all.",
)
@pytest.mark.slow
def test_files_that_may_need_another_preprocessing(tmp_path):
    model = built("vit_ti_16", preprocessing="torch")
    path, options = torch_file(model, vit.timm, tmp_path / "mine.safetensors"), {"num_classes": 4, "input_shape": (32, 32, 3)}
    said = refused(r"preprocessing= \(--preprocessing on the command line\)", zoo.vit_ti_16, weights=path, **options)
    assert re.search(r"tf, as imagenet_timm_augreg\S+.*; torch, as imagenet_timm_deit", said)
    again = zoo.vit_ti_16(weights=path, preprocessing="torch", **options)
    np.testing.assert_allclose(array(again(X)), array(model(X)), atol=1e-5)
    # By its published name the file is known.
    deit = path.rename(tmp_path / "deit_tiny_patch16_224.fb_in1k.safetensors")
    again = zoo.vit_ti_16(weights=deit, **options)
    assert (again.origin.preprocessing, again.origin.resize) == ("torch", 248)
    np.testing.assert_allclose(array(again(X)), array(model(X)), atol=1e-5)


@pytest.mark.slow
def test_timms_card_beside_a_file_is_read(tmp_path):
    path = torch_file(built("vit_ti_16"), vit.timm, tmp_path / "model.safetensors")
    card = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.25], "input_size": [3, 32, 32], "crop_pct": 0.8}
    card = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": card | {"interpolation": "bicubic"}}
    (tmp_path / "config.json").write_text(json.dumps(card))
    origin = zoo.vit_ti_16(num_classes=4, weights=path).origin
    assert (origin.size, origin.resize, origin.interpolation) == (32, 40, "bicubic")
    assert origin.preprocessing == "0.5,0.4,0.3/0.2,0.2,0.25"
    (tmp_path / "config.json").write_text('{"pretrained_cfg": {}}')
    refused("config.json of weights file model.safetensors cannot be read", zoo.vit_ti_16, num_classes=4, weights=path)


@slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_transform_input(name, tmp_path):
    """Only its published weights see -1..1: a model that was not made of them is fed as all others are."""
    from zoo.weights.names import inception

    rename = {"googlenet": inception.torchvision_v1, "inception_v3": inception.torchvision_v3}[name]
    model = zoo.get_model(name, variant="torch", num_classes=2, input_shape=(75, 75, 3))
    path = torch_file(model, rename, tmp_path / "mine.safetensors")
    refused("tf, as imagenet_t.*torch, as ", zoo.get_model, name=name, num_classes=2, weights=path)
    options = {"num_classes": 2, "weights": path, "preprocessing": "torch"}
    assert zoo.get_model(name, **options).origin.preprocessing == "torch"


def test_a_published_file_is_known_by_its_content(shared, tmp_path):
    path = tmp_path / "renamed.bin"
    path.write_bytes((shared / "weights" / "resnet20-12fca82f.th").read_bytes())
    refused("needs the preprocessing torch, found unit", zoo.resnet20, weights=path, preprocessing="unit")
    assert zoo.resnet20(weights=path).origin.preprocessing == "torch"


@pytest.mark.slow
def test_pytorch_names_of_two_forms(tmp_path):
    """timm gives its ports of TensorFlow's networks the names of its own, which pad otherwise."""
    model = built("mobilenet_v3_small", "keras", alpha=0.5)
    path = torch_file(model, model.origin.torch_names["timm"], tmp_path / "mine.safetensors")
    options = {"alpha": 0.5, "num_classes": 4, "input_shape": (32, 32, 3), "weights": path}
    refused(r"fits the variants timm and keras of mobilenet_v3_small", zoo.mobilenet_v3_small, **options)
    refused("is for variant 'timm' of mobilenet_v3_small, found 'torch'", zoo.mobilenet_v3_small, variant="torch", **options)
    again = zoo.mobilenet_v3_small(variant="keras", preprocessing="tf", **options)
    np.testing.assert_allclose(array(again(X)), array(model(X)), atol=1e-5)


@pytest.mark.parametrize("wrong", ["half", "1,2/3", "0,0,0/0,0,0", "0.5,0.5,0.5/0.5,0.5,nan", 0.5, ((1, 2), (3, 4))])
def test_what_is_no_preprocessing(wrong):
    with pytest.raises(ValueError, match="preprocessing must be one of caffe, .*, or the mean and the deviation"):
        zoo.lenet5(preprocessing=wrong)


# ---------------------------------------------------------------------------------------------- by name alone
@pytest.mark.fault(
    "Models",
    "A builder's first argument without its name, such as zoo.mobilenet_v2(10)",
    "Refused: the sentence says num_classes=10",
    "It meant the width of one network, an auxiliary classifier of another.",
)
@pytest.mark.parametrize("name", zoo.MODELS)
def test_builders_take_options_by_name_alone(name):
    with pytest.raises(TypeError, match=f"{name} takes its options by name, such as num_classes=10, found 10 without"):
        zoo.MODELS[name](10)


def test_a_header_whose_length_begins_as_a_zip_does_tells_no_form(tmp_path):
    model = randomize(zoo.lenet5(num_classes=4))
    save_file(named(model), tmp_path / "model.safetensors")
    raw = (tmp_path / "model.safetensors").read_bytes()
    end, length = 8 + int.from_bytes(raw[:8], "little"), int.from_bytes(b"PK\0\0\0\0\0\0", "little")
    header = raw[8:end].ljust(length)  # blanks may follow a header
    (tmp_path / "padded.safetensors").write_bytes(length.to_bytes(8, "little") + header + raw[end:])
    again = zoo.lenet5(num_classes=4, weights=tmp_path / "padded.safetensors")
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
