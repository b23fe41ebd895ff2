"""Mixed precision in training: what it touches, and that nothing of it stays."""

import keras
import numpy as np
import pytest
from helpers import pixels, randomize

import zoo
from recipes.compute import devices, precision
from recipes.transfer import batch_norm


@pytest.mark.parametrize("name", ["resnet20", pytest.param("vit_ti_16", marks=pytest.mark.deep)])
@pytest.mark.slow
def test_layers_compute_in_bfloat16_and_everything_else_stays_float32(name):
    model = randomize(zoo.get_model(name, num_classes=3, weights=None, input_shape=(32, 32, 3)), gain=0.5)
    batch_norm.apply(model, "inference", 1)
    x, y = pixels(8, 32, 32, 3).astype("float32"), np.arange(8) % 3
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    plain, before = model.test_on_batch(x, y), model.predict_on_batch(x)
    with precision.computed(model, precision.MIXED):
        first = next(place for place, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Conv2D))
        found = [layer.compute_dtype for layer in model.layers]
        assert set(found[:first]) == {"float32"} and set(found[first:-1]) == {"bfloat16"} and found[-1] == "float32"
        model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
        mixed = model.train_on_batch(x, y)
        with precision.computed(model, precision.FLOAT32):  # what is asked between two epochs
            assert {layer.compute_dtype for layer in model.layers} == {"float32"}
        assert [layer.compute_dtype for layer in model.layers] == found
    assert mixed != plain and mixed == pytest.approx(plain, rel=0.05)
    assert {layer.compute_dtype for layer in model.layers} == {variable.dtype for variable in model.variables} == {"float32"}
    after = model.predict_on_batch(x)
    assert after.dtype == "float32" and np.abs(after - before).max() > 0


@pytest.mark.parametrize(
    "gpus, capability, expected",
    [([], 0.0, "float32"), (["0"], 7.5, "float32"), (["0"], 8.0, "mixed"), (["0", "1"], 9.0, "mixed")],
)
def test_auto_takes_bfloat16_where_gpus_multiply_it(gpus, capability, expected, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: gpus)
    monkeypatch.setattr(devices, "capability", lambda: capability)
    assert precision.chosen("auto") == expected
    assert [precision.chosen(name) for name in ("float32", "mixed")] == ["float32", "mixed"]


def test_a_processor_has_no_capability():
    assert devices.capability() == 0.0
