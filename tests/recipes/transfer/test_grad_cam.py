"""Heat maps against what can be computed otherwise: by hand, by differences, and on the other backends."""

import json

import keras
import numpy as np
import pytest
from helpers import ROOT, array, pixels, python, randomize
from PIL import Image

import zoo
from recipes.errors import UserError
from recipes.transfer import grad_cam, gradients
from recipes.transfer.combined import combine
from recipes.transfer.grad_cam import GradCam

# Every kind of ending: an average and a dense layer, a layer between, a convolution, a flat map, tokens, and one of them alone.
MEMBERS = {
    "lenet5": {"input_shape": (32, 32, 1)},
    "squeezenet1_1": {"input_shape": (47, 47, 3)},
    "mobilenet": {"alpha": 0.25, "input_shape": (64, 64, 3)},
    "mobilenet_v3_small": {"input_shape": (64, 64, 3)},
    "vit_ti_16": {"input_shape": (48, 48, 3)},
    "hgnetv2_b0": {"input_shape": (64, 64, 3)},
    "dinov2_s_14_reg": {"input_shape": (28, 28, 3), "pooling": "both"},
}
COSTLY = {"hgnetv2_b0", "dinov2_s_14_reg"}


def member(name, seed=0, classes=3):
    keras.utils.set_random_seed(seed)
    return randomize(zoo.get_model(name, num_classes=classes, weights=None, **MEMBERS[name]), seed, gain=0.8)


def enlarged(values, size):
    return np.stack([np.asarray(Image.fromarray(one).resize((size, size), Image.BILINEAR)) for one in values])


def test_behind_an_average_a_map_is_the_maps_times_the_kernel_and_nothing_is_differentiated(monkeypatch):
    model, x = member("mobilenet"), pixels(2, 64, 64, 3)
    maps = array(zoo.features(model, ["stage5"])(x))
    kernel = array(model.get_layer("predictions").kernel)
    by_hand = [enlarged((maps @ kernel)[..., label], 64) for label in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(gradients, "by_inputs", None)
        explainer = GradCam(model)
        found = explainer.heat(x, np.array([[2, 0], [1, 0]]))
    assert explainer.stages == ("stage5",)
    told = keras.Model(model.input, [explainer.class_maps, model.output])
    np.testing.assert_allclose(array(told(x)[0]), maps @ kernel, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 0], [by_hand[2][0], by_hand[1][1]], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], by_hand[0], rtol=1e-4, atol=1e-4)
    # The mean of a map is what the picture gives the class's logit, but for the bias.
    logits = array(grad_cam.without_activation(model)(x)) - array(model.get_layer("predictions").bias)
    np.testing.assert_allclose((maps @ kernel).mean(axis=(1, 2)), logits, rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(grad_cam, "averaged_kernel", lambda tail: None)
    np.testing.assert_allclose(GradCam(model).heat(x, np.array([[2, 0], [1, 0]])), found, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_derivatives_are_those_of_differences():
    model = member("mobilenet_v3_small")
    tail = zoo.split(grad_cam.without_activation(model), "stage4")[1]
    tail = keras.Model([tail.inputs[0]], tail.outputs[0])
    rng = np.random.default_rng(0)
    x, along = (rng.normal(size=(2, *tail.inputs[0].shape[1:])).astype("float32") for _ in range(2))
    chosen = np.eye(3)[[2, 1]]
    slope = (gradients.by_inputs(tail, [x], chosen)[0] * along).sum()
    step = 1e-3
    up, down = ((array(tail([x + sign * step * along])) * chosen).sum() for sign in (1, -1))
    assert slope == pytest.approx((up - down) / (2 * step), rel=0.02)


@pytest.mark.slow
def test_where_only_a_class_token_is_read_the_stage_before_is_taken():
    model, x = member("vit_ti_16"), pixels(2, 48, 48, 3)
    assert GradCam(model).stages == ("stage3",)
    assert GradCam(model).heat(x, np.zeros((2, 1), int)).any()
    assert not GradCam(model, "stage4").heat(x, np.zeros((2, 1), int)).any()
    averaged = zoo.vit_ti_16(num_classes=3, weights=None, pooling="average", input_shape=(48, 48, 3))
    assert GradCam(averaged).stages == ("stage4",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.deep) if name in ("hgnetv2_b0", "dinov2_s_14_reg") else name for name in MEMBERS],
)
def test_any_network_has_a_map_and_says_which_stages_it_could_look_at(name, tmp_path):
    model, x = member(name), pixels(2, *MEMBERS[name]["input_shape"])
    heat = GradCam(model).heat(x, np.array([[0, 1], [2, 1]]))
    assert heat.shape == (2, 2, *x.shape[1:3]) and np.isfinite(heat).all()
    assert heat.reshape(4, -1).std(axis=1).max() > 0  # random weights: some classes of SqueezeNet are below its last ReLU
    with pytest.raises(UserError, match="There is no stage 'fc7' to look at: choose one of stage1"):
        GradCam(model, "fc7")
    model.save(tmp_path / "model.keras")
    again = GradCam(keras.models.load_model(tmp_path / "model.keras")).heat(x, np.array([[0, 1], [2, 1]]))
    np.testing.assert_allclose(again, heat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["linear", "dropout", "hidden", "cosine"])
def test_any_head_has_a_map_and_a_linear_ones_say_what_it_adds_up(head):
    body = zoo.mobilenet(num_classes=0, weights=None, alpha=0.25, input_shape=(64, 64, 3))
    model, x = randomize(zoo.new_head(body, 3, head=head)), pixels(2, 64, 64, 3)
    explainer = GradCam(model)
    assert (explainer.kernel is not None) == (head == "linear")
    assert explainer.heat(x, np.array([[0], [1]])).any()


@pytest.mark.slow
def test_maps_of_several_backbones_are_added_as_the_head_adds_what_they_say(tmp_path):
    bodies = [
        randomize(zoo.mobilenet(num_classes=0, weights=None, alpha=0.25, input_shape=(64, 64, 3)), 1),
        randomize(zoo.squeezenet1_1(num_classes=0, weights=None, input_shape=(47, 47, 3)), 2),
    ]
    model, x = randomize(zoo.new_head(combine(bodies, ["a", "b"]), 3), 3), pixels(2, 64, 64, 3)
    kernel = array(model.get_layer("predictions").kernel)
    maps = [array(one) for one in zoo.features(model, ["a_stage5", "b_stage3"])(x)]
    wide = maps[0].shape[-1]
    by_hand = sum(enlarged((one @ part)[..., 2], 64) for one, part in zip(maps, (kernel[:wide], kernel[wide:]), strict=True))
    for found in (model, _reloaded(model, tmp_path)):
        heat = GradCam(found).heat(x, np.full((2, 1), 2))[:, 0]
        np.testing.assert_allclose(heat, by_hand, rtol=1e-3, atol=1e-3 * np.abs(by_hand).max())
    with pytest.raises(UserError, match="--stage is for a run of one backbone"):
        GradCam(model, "stage3")


def _reloaded(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def test_a_network_without_stages_is_refused_by_name():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")], name="own")
    with pytest.raises(UserError, match="own has no stage that knows where"):
        GradCam(model)


BACKENDS = """
import json, sys
import keras, numpy as np
from recipes.transfer.grad_cam import GradCam
answers = {}
for name, shape in json.loads(sys.argv[2]).items():
    model = keras.models.load_model(f"{sys.argv[1]}/{name}.keras")
    x = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype("uint8")
    answers[name] = GradCam(model).heat(x, np.array([[0, 1], [2, 1]]))
np.savez(f"{sys.argv[1]}/{keras.backend.backend()}.npz", **answers)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_maps_are_the_same_on_every_backend(backend, tmp_path):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    names = ("lenet5", "mobilenet")  # one that is differentiated, and one that is not
    models = {name: member(name) for name in names}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    shapes = json.dumps({name: MEMBERS[name]["input_shape"] for name in names})
    python(BACKENDS, tmp_path, shapes, cwd=tmp_path, KERAS_BACKEND=backend, PYTHONPATH=str(ROOT))
    with np.load(tmp_path / f"{backend}.npz") as found:
        for name, model in models.items():
            x = np.random.default_rng(0).integers(0, 256, (2, *MEMBERS[name]["input_shape"])).astype("uint8")
            expected = GradCam(model).heat(x, np.array([[0, 1], [2, 1]]))
            np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
