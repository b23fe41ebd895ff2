"""A compiled network gives what the network gives, for any number of pictures, with the weights that it has then."""

import importlib.util

import keras
import numpy as np
import pytest
from helpers import ROOT, array, pixels, python, randomize

import zoo
from recipes.compute.compiling import BATCH_SIZE, compiled

OTHERS = """
import sys
import keras
import numpy as np
from recipes.compute.compiling import compiled
model, x = keras.models.load_model(sys.argv[1]), np.load(sys.argv[2])
for count in (1, 3, 18):
    (found,) = compiled(model)(x[:count])
    assert found.shape == (count, 3)
np.save(sys.argv[3], found)
"""


def network():
    keras.utils.set_random_seed(0)
    return randomize(zoo.lenet5(num_classes=3), 0)


def test_a_compiled_network_answers_as_it_does_called():
    model, x = network(), pixels(BATCH_SIZE + 2, 32, 32, 1)
    both = keras.Model(model.input, [model.output, model.get_layer("pre_logits").output])
    call = compiled(both)
    for count in (1, 3, BATCH_SIZE + 2):
        for found, expected in zip(call(x[:count]), both(x[:count]), strict=True):
            np.testing.assert_allclose(found, array(expected), rtol=1e-4, atol=1e-6)
    model.set_weights([weights / 2 for weights in model.get_weights()])
    np.testing.assert_allclose(call(x)[0], array(model(x)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_answer_the_same(tmp_path, backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    model, x = network(), pixels(18, 32, 32, 1)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    names = [str(tmp_path / name) for name in ("model.keras", "x.npy", "found.npy")]
    python(OTHERS, *names, cwd=ROOT, PYTHONPATH=str(ROOT), KERAS_BACKEND=backend)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), array(model(x)), rtol=1e-3, atol=1e-5)
