"""The zoo without TensorFlow: the same file of weights gives the same answers under JAX and PyTorch."""

import functools
import importlib.util
import json

import keras
import numpy as np
import pytest
from helpers import ROOT, WITHOUT_TENSORFLOW, array, named, pixels, python, randomize

import zoo

# Small members, and every kind of layer and operation of the zoo among them.
MEMBERS = {
    "lenet5": {"input_shape": (32, 32, 1)},
    "squeezenet1_1": {"input_shape": (47, 65, 3)},
    "resnet20": {"input_shape": (33, 16, 3)},
    "inception_v1": {"input_shape": (32, 32, 3)},
    "mobilenet": {"variant": "keras", "alpha": 0.25, "input_shape": (None, None, 3)},
    "mobilenet_v3_small": {"variant": "torch", "input_shape": (32, 32, 4)},
    "regnet_x_400mf": {"input_shape": (32, 32, 3)},
    "convnext_v2_atto": {"input_shape": (32, 40, 3)},
    "vit_ti_16": {"input_shape": (32, 48, 3), "preprocessing": "tf"},
    "swin_tiny": {"input_shape": (64, 96, 3)},
    "hgnetv2_b0": {"input_shape": (32, 47, 3)},
    "tiny_vit_5m": {"input_shape": (32, 64, 3)},
    "dinov2_s_14_reg": {"input_shape": (14, 28, 3), "pooling": "both"},
}

# JAX compiles every operation of every shape: the others are `make deep`'s.
ON_JAX = ("lenet5", "mobilenet", "vit_ti_16")

SCRIPT = (
    WITHOUT_TENSORFLOW
    + """
import keras, numpy as np
import zoo
folder, members = sys.argv[1], json.loads(sys.argv[2])
answers = {}
for name, options in members.items():
    model = zoo.get_model(name, num_classes=7, weights=f"{folder}/{name}.npz", **options)
    x = np.load(f"{folder}/{name}.x.npy")
    answers[name] = model.predict_on_batch(x)
    zoo.freeze(model, zoo.stages(model)[0])
    if name in ("squeezenet1_1", "vit_ti_16", "dinov2_s_14_reg", "swin_tiny", "convnext_v2_atto", "tiny_vit_5m"):
        model.save(f"{folder}/{name}.keras")
        again = keras.models.load_model(f"{folder}/{name}.keras").predict_on_batch(x)
        assert np.abs(again - answers[name]).max() < 1e-5, name
    if name not in ("lenet5", "resnet20", "mobilenet", "vit_ti_16", "hgnetv2_b0"):  # JAX compiles every initialiser anew
        continue
    shape = (*options["input_shape"][:2], 4 if options["input_shape"][2] == 1 else 1)
    body = zoo.get_model(name, num_classes=0, **{**options, "input_shape": shape})
    features = body.predict_on_batch(np.repeat(x[..., :1], shape[2], axis=-1))
    assert features.ndim == 2 and np.isfinite(features).all(), name
np.savez(f"{folder}/answers.npz", **answers)
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""
)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Weights and pictures, and a function that gives the answer of this process' backend for a member."""
    folder = tmp_path_factory.mktemp("backends")

    @functools.cache  # whatever a worker of the tests is given: each member once, and no other
    def answer(name):
        model = randomize(zoo.get_model(name, num_classes=7, **MEMBERS[name]), gain=0.7)
        shape = [size or 33 for size in MEMBERS[name]["input_shape"]]
        x = pixels(2, *shape)
        np.savez(folder / f"{name}.npz", **named(model))
        np.save(folder / f"{name}.x.npy", x)
        return array(model(x))

    return folder, answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("torch", tuple(MEMBERS)),
        ("jax", ON_JAX),
        pytest.param("jax", tuple(name for name in MEMBERS if name not in ON_JAX), marks=pytest.mark.deep),
    ],
    ids=["torch", "jax", "jax-others"],
)
def test_the_same_answers(backend, names, here):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: the zoo cannot be run on it")
    assert keras.backend.backend() != backend
    folder, answer = here
    answers = {name: answer(name) for name in names}
    out = python(
        SCRIPT,
        folder,
        json.dumps({name: MEMBERS[name] for name in names}),
        cwd=folder,
        KERAS_BACKEND=backend,
        PYTHONPATH=str(ROOT),
    )
    assert out.split()[-2:] == [backend, "False"]
    with np.load(folder / "answers.npz") as there:
        assert sorted(there) == sorted(names)
        for name in names:
            np.testing.assert_allclose(there[name], answers[name], atol=1e-4, err_msg=name)
