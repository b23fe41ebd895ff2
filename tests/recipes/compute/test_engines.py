"""Engines against Keras' own `predict_on_batch`: every family, every backend, and what happens where one cannot be had."""

import re
import sys

import keras
import numpy as np
import pytest
from families import CASES
from helpers import array, pixels, python, randomize

import zoo
from recipes.compute import engines
from recipes.errors import UserError

NEAR = 1e-5


@pytest.fixture
def network(request):
    """A small network with batch norms, of a name that no other test's has."""
    model = randomize(zoo.mobilenet(num_classes=0, weights=None, alpha=0.25, input_shape=(32, 32, 3)))
    return keras.Model(model.input, model.output, name=re.sub(r"\W", "_", request.node.name))


def relative(found, expected):
    """The largest difference between two arrays, in shares of the largest value."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("engine", ["keras", "openvino"])
@pytest.mark.parametrize("name, size", CASES)
def test_every_family_gives_the_rows_of_keras(name, size, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    model = zoo.get_model(name, num_classes=0, weights=None, input_shape=(size, size, 3))
    randomize(model, gain=0.5)
    cuts = [model.get_layer(zoo.stages(model)[0]).output, model.output]
    body = keras.Model(model.input, cuts)
    x = pixels(3, size, size, 3)
    built = engines.build(body, 3, engine)
    assert built.name == engine and built.batch_size == 3
    for found, expected in zip(built.run(x), map(array, body.predict_on_batch(x)), strict=True):
        assert np.ptp(expected) > 1e-3  # there is something to compare
        assert relative(found, expected) <= NEAR


OTHER_BACKENDS = """
import numpy as np, keras, zoo
from helpers import pixels, randomize
from recipes.compute import engines
model = randomize(zoo.lenet5(num_classes=0, weights=None))  # small, for JAX compiles every initialiser
x = pixels(4, *model.input_shape[1:])
engine = engines.build(model, 4)
(found,), expected = engine.run(x), keras.ops.convert_to_numpy(model.predict_on_batch(x))
print(engine.name, np.abs(found - expected).max() / np.abs(expected).max() <= 1e-5)
try:
    engines.build(model, 4, "openvino")
except engines.UserError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_have_an_engine_of_their_own(backend, tmp_path):
    pytest.importorskip(backend)
    path = f"{engines.__file__.rsplit('/recipes/', 1)[0]}:{sys.modules['helpers'].__file__.rsplit('/', 1)[0]}"
    out = python(OTHER_BACKENDS, cwd=tmp_path, PYTHONPATH=path, KERAS_BACKEND=backend).splitlines()
    assert out[0] == "keras True"
    assert out[1] == (
        f"--engine openvino: networks reach it through TensorFlow, and Keras computes on {backend}: set "
        "KERAS_BACKEND=tensorflow, or leave --engine out."
    )


def test_a_batch_is_as_large_as_was_asked_for_at_most(network):
    assert engines.build(network, 5, "keras").batch_size == 5
    assert engines.build(network, 500, "keras").batch_size == engines.MAX_BATCH["keras"]


@pytest.mark.fault(
    "Runs",
    "OpenVINO cannot compute a network, or answers otherwise than Keras",
    "one sentence, and Keras computes it; `--engine openvino` is refused with the reason",
    "its converter does not know every operation, and an engine must not change a result",
)
@pytest.mark.parametrize("fault", ["raises", "differs"])
def test_what_openvino_cannot_do_keras_does(network, fault, monkeypatch, capsys):
    openvino = pytest.importorskip("openvino")
    if fault == "raises":
        monkeypatch.setattr(openvino, "Core", lambda: (_ for _ in ()).throw(RuntimeError("no such operation\nmore of it")))
        reason = "no such operation"
    else:
        monkeypatch.setattr(engines, "MAX_DIFFERENCE", 0.0)
        reason = "it answers otherwise than Keras"
    with pytest.raises(UserError, match=rf"--engine openvino cannot compute {network.name} \({reason}\): leave it out\."):
        engines.build(network, 2, "openvino")
    x = pixels(2, 32, 32, 3)
    built = engines.build(network, 2)
    assert built.name == "keras" == engines.planned("auto", network)
    assert relative(built.run(x)[0], array(network.predict_on_batch(x))) <= NEAR
    assert engines.build(network, 2).name == "keras"  # which is not said again
    assert capsys.readouterr().err == f"note: OpenVINO cannot compute {network.name} ({reason}): Keras does.\n"


def test_an_engine_that_is_not_installed(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert engines.planned("auto", network) == "keras"
    with pytest.raises(UserError, match=r"it is not installed: pip install 'keras-transfer-zoo\[openvino\]', or leave"):
        engines.planned("openvino", network)


def test_openvino_is_for_processors(network, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(engines.devices, "gpus", lambda: ["0"])
    assert engines.planned("auto", network) == "keras"
    assert engines.build(network, 500).batch_size == 500
    with pytest.raises(UserError, match="there is a graphics card"):
        engines.planned("openvino", network)
