"""Fresh networks begin as PyTorch's do, drop whole branches as theirs do, and have the dropouts of their papers."""

import inspect

import keras
import numpy as np
import pytest
from activations import DROP_PATH, ratios, read_pictures
from helpers import array, pixels
from parity import torchvision

import zoo
from callbacks.regularization import DropoutScheduler
from callbacks.schedules import Constant
from zoo import MODELS, analysis

STOCHASTIC = [name for name in MODELS if name.startswith(DROP_PATH)]
SMALLEST = [
    pytest.param("alexnet", "torch", marks=pytest.mark.deep),
    pytest.param("vgg11", "torch", marks=pytest.mark.deep),
    ("squeezenet1_1", "torch"),
    pytest.param("googlenet", "torch", marks=pytest.mark.deep),
    pytest.param("resnet20", "torch", marks=pytest.mark.deep),
    ("resnet18", "torch"),
    pytest.param("densenet121", "keras", marks=pytest.mark.deep),
    pytest.param("xception", "keras", marks=pytest.mark.deep),
    pytest.param("regnet_y_400mf", "torch", marks=pytest.mark.deep),
    ("mobilenet", "keras"),
    ("mobilenet_v2", "keras"),
    ("mobilenet_v3_small", "keras"),
    ("mobilenet_v4_conv_small", "timm"),
    ("efficientnet_b0", "keras"),
    pytest.param("efficientnet_b0", "torch", marks=pytest.mark.deep),
    pytest.param("efficientnet_lite0", "keras", marks=pytest.mark.deep),
    pytest.param("convnext_tiny", "keras", marks=pytest.mark.deep),
    pytest.param("convnext_atto", "timm", marks=pytest.mark.deep),
    ("convnext_v2_atto", "timm"),
    ("vit_ti_16", "timm"),
    pytest.param("swin_tiny", "torch", marks=pytest.mark.deep),
    ("hgnetv2_b0", "timm"),
    pytest.param("tiny_vit_5m", "timm", marks=pytest.mark.deep),
]
NARROW = ("resnet20", "squeezenet1_1", "mobilenet", "efficientnet_lite0")  # fresh ones differ by up to a factor of 4


@pytest.mark.slow
@pytest.mark.parametrize("name, variant", SMALLEST)
def test_activations_are_as_large_through_depth_as_in_pytorch(name, variant, shared):
    torchvision()
    pictures = read_pictures(shared / "data" / "imagenet-samples", 4)
    found = ratios(name, variant, pictures, seeds=6 if name in NARROW else 3)
    assert np.nanmax(found) < 2 and np.nanmin(found) > 0.5, found


def test_layers_of_one_shape_begin_with_different_numbers():
    model = zoo.squeezenet1_1(num_classes=2, input_shape=(32, 32, 3))
    first, second = (array(model.get_layer(f"fire{i}_expand1x1").kernel) for i in (2, 3))
    assert first.shape == second.shape and not np.any(first == second)
    assert np.std(first) == pytest.approx(np.sqrt(2 / 16), rel=0.1)  # He et al. 2015: 2 / inputs


@pytest.mark.slow
def test_a_seed_repeats_the_weights_and_clones_draw_from_the_same_distribution():
    def kernel(seed):
        keras.utils.set_random_seed(seed)
        return array(zoo.mobilenet_v2(alpha=0.35, num_classes=2, input_shape=(32, 32, 3)).get_layer("Conv_1").kernel)

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.any(kernel(1) == kernel(2))
    model = zoo.mobilenet_v2(alpha=0.35, num_classes=2, input_shape=(32, 32, 3))
    clone = keras.models.clone_model(model)
    assert np.std(array(clone.get_layer("Conv_1").kernel)) == pytest.approx(np.sqrt(2 / 1280), rel=0.02)


# ---------------------------------------------------------------------------------------------- stochastic depth
def rates(model):
    """Of every layer that drops whole branches, in the order of the blocks."""
    return [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout) and layer.noise_shape]


def timms(name, rate):
    timm = pytest.importorskip("timm", reason="timm is not installed: its networks cannot be compared")
    model = timm.create_model(name, drop_path_rate=rate)
    return [module.drop_prob for module in model.modules() if type(module).__name__ == "DropPath"]


def torchvisions(name, rate):
    model = torchvision().models.get_model(name, weights=None, stochastic_depth_prob=rate)
    return [module.p for module in model.modules() if type(module).__name__ == "StochasticDepth"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, theirs, reference",
    [
        ("vit_ti_16", timms, "vit_tiny_patch16_224"),
        ("convnext_tiny", torchvisions, "convnext_tiny"),
        ("convnext_v2_atto", timms, "convnextv2_atto"),
        ("mobilenet_v4_conv_medium", timms, "mobilenetv4_conv_medium"),
        ("swin_tiny", timms, "swin_tiny_patch4_window7_224"),
        ("tiny_vit_5m", timms, "tiny_vit_5m_224"),
        ("efficientnet_b0", torchvisions, "efficientnet_b0"),
        ("efficientnet_v2_s", torchvisions, "efficientnet_v2_s"),
    ],
)
def test_rates_grow_with_depth_as_in_pytorch(name, theirs, reference):
    torchvision()
    expected = theirs(reference, 0.3)
    found = rates(analysis.blueprint(MODELS[name], drop_path_rate=0.3))
    # Theirs are there in blocks without a shortcut, too, where nothing uses them.
    if name.startswith(("efficientnet", "mobilenet")):
        assert found == pytest.approx([rate for rate in expected if any(abs(rate - one) < 1e-9 for one in found)])
        assert 0.25 < found[-1] < 0.3
    else:
        assert found == pytest.approx([rate for rate in expected if rate])  # the first block's is 0
        assert found[-1] == pytest.approx(0.3)


def test_the_default_rates_are_the_papers():
    default = {name: inspect.signature(MODELS[name]).parameters["drop_path_rate"].default for name in STOCHASTIC}
    assert {rate for name, rate in default.items() if name.startswith("efficientnet")} == {0.2}
    assert {rate for name, rate in default.items() if name.startswith(("vit", "deit3", "dinov2"))} == {0.0}
    # Liu et al. 2021, appendix A2.1
    assert [default[f"swin_{size}"] for size in ("tiny", "small", "base", "base_384")] == [0.2, 0.3, 0.5, 0.5]
    # timm's of 2023
    assert {rate for name, rate in default.items() if name.startswith("hgnetv2")} == {0.0}
    assert [default[f"tiny_vit_{size}"] for size in ("5m", "11m", "21m", "21m_384", "21m_512")] == [0.0, 0.1, 0.2, 0.1, 0.1]
    sizes = ("tiny", "small", "base", "large", "xlarge")  # Liu et al. 2022, tables 5 and 6
    assert [default[f"convnext_{size}"] for size in sizes] == [0.1, 0.4, 0.5, 0.5, 0.2]
    small = [f"{kind}_{size}" for kind in ("convnext", "convnext_v2") for size in ("atto", "femto", "pico", "nano")]
    assert [default[name] for name in small] == [0.0] * 4 + [0.1] * 4  # no recipe; ConvNeXt-V2's TRAINING.md
    assert [default[f"mobilenet_v4_conv_{size}"] for size in ("small", "medium", "large")] == [0.0, 0.075, 0.2]
    assert all("drop_path_rate" in MODELS[name].__doc__ for name in STOCHASTIC)


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "0.2", True, None])
def test_a_rate_that_is_none_is_refused_before_anything_is_built_or_fetched(rate):
    for name in STOCHASTIC:
        with pytest.raises(ValueError, match=rf"^{name}: drop_path_rate must be .*found {rate!r}\.$"):
            zoo.get_model(name, weights="imagenet", drop_path_rate=rate)


@pytest.mark.slow
def test_branches_are_dropped_whole_and_survive_saving(tmp_path):
    options = dict(num_classes=2, input_shape=(32, 32, 3), activation=None, preprocessing="tf")
    model = zoo.get_model("vit_ti_16", drop_path_rate=0.5, **options)
    drop = model.get_layer("block12_drop2")
    dropped = array(drop(np.ones((64, 5, 192), np.float32), training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert all(len(np.unique(picture)) == 1 for picture in dropped)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert rates(loaded) == rates(model) and len(rates(model)) == 22
    model.save_weights(tmp_path / "with.weights.h5")
    without = zoo.get_model("vit_ti_16", drop_path_rate=0, weights=tmp_path / "with.weights.h5", **options)
    assert rates(without) == []
    without.save_weights(tmp_path / "without.weights.h5")
    back = zoo.get_model("vit_ti_16", drop_path_rate=0.5, weights=tmp_path / "without.weights.h5", **options)
    x = pixels(2, 32, 32, 3)
    for other in (loaded, without, back):
        np.testing.assert_allclose(array(other(x)), array(model(x)), atol=1e-5)


# ---------------------------------------------------------------------------------------------- dropout
def plain(model):
    """Name: rate of every layer that drops single numbers."""
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout) and not layer.noise_shape]
    return {layer.name: layer.rate for layer in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, first, second", [("alexnet", "fc6", "fc7"), ("vgg11", "fc1", "fc2"), ("vgg16_bn", "fc1", "fc2")]
)
def test_both_hidden_dense_layers_of_alexnet_and_vgg_are_dropped(name, first, second):
    assert plain(analysis.blueprint(MODELS[name])) == {}
    model = analysis.blueprint(MODELS[name], dropout=0.5)
    assert plain(model) == {f"{first}_dropout": 0.5, "dropout": 0.5}
    between = model.get_layer(f"{first}_dropout")
    assert between.input is model.get_layer(first).output and model.get_layer(second).input is between.output
    assert model.get_layer("dropout").input is model.get_layer("pre_logits").output
    assert "dropout=0.5 is the paper's" in MODELS[name].__doc__
    body = analysis.blueprint(MODELS[name], num_classes=0, dropout=0.5)
    assert plain(body) == {f"{first}_dropout": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception_v1", "googlenet"])
def test_googlenet_has_the_papers_two_rates(name):
    assert plain(analysis.blueprint(MODELS[name], aux=True)) == {}
    model = analysis.blueprint(MODELS[name], aux=True, dropout=0.4, aux_dropout=0.7)
    assert plain(model) == {"dropout": 0.4, "aux1_dropout": 0.7, "aux2_dropout": 0.7}
    assert "dropout=0.4 and aux_dropout=0.7 are the paper's" in MODELS[name].__doc__
    with pytest.raises(ValueError, match=rf"^{name}: aux_dropout must be a number in \[0, 1\), found 1.5\.$"):
        MODELS[name](aux=True, aux_dropout=1.5)
    with pytest.raises(ValueError, match=rf"^{name}: aux_dropout needs auxiliary classifiers, aux=True\.$"):
        MODELS[name](aux_dropout=0.7)


@pytest.mark.slow
def test_a_schedule_reaches_both_dropouts():
    model = zoo.alexnet(num_classes=2, input_shape=(67, 67, 3), dropout=0.5)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = pixels(2, 67, 67, 3), np.arange(2)
    found = [
        model.fit(x, y, callbacks=callbacks, verbose=0).history["loss"][0]
        for callbacks in ([], [DropoutScheduler(Constant(0.0))])
    ]
    expected = model.evaluate(x, y, verbose=0)  # nothing is dropped here
    assert found[1] == pytest.approx(expected, rel=1e-4) and abs(found[0] - expected) > 1e-3 * expected
