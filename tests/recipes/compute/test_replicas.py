"""Training on two devices: the weights and numbers of one, on both backends; and what `--devices` refuses."""

import json

import commands
import numpy as np
import pytest
from helpers import few_digits, python

from recipes.compute import replicas
from recipes.data.batches import Batches
from recipes.errors import UserError
from recipes.settings.finetune import Recipe

# In a process of its own, with two devices: 23 pictures in batches of 8 leave 7 for the last, which is filled up to 8; 16
# pictures fill every batch, so that the statistics of batch norm are those of one device, too. With these the training is
# interrupted, and goes on.
TWO_DEVICES = """
import json, sys, tempfile, keras, numpy as np
from pathlib import Path
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
from keras import layers
from callbacks.penalties import l2_sp
from recipes.compute import replicas, runtime
from recipes.data.batches import Batches
from recipes.transfer import training
from recipes.transfer.strategies import Phase

runtime.start(0)
assert replicas.count("all", 8) == replicas.count("2", 8) == 2
draw = np.random.default_rng(0)
x, y, weights = draw.uniform(-1, 1, (23, 8, 8, 3)).astype("float32"), draw.integers(0, 3, 23), np.linspace(0.5, 1.5, 23)

def network():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    features = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, use_bias=False, name="conv")(image))
    return keras.Model(image, layers.Dense(3, "softmax", name="predictions")(
        layers.GlobalAveragePooling2D()(layers.ReLU()(features))))

def trained(devices, policy, images, folder, report=lambda row: None):
    model = network()
    phase = Phase("train", 3, 0.1, None, True, "momentum", policy, weight_decay=1e-2, average_best=2)
    part = training.prepare(model, phase, 3)
    l2_sp(part, 0.1, 0.1)
    read = lambda samples, _: x[samples]
    batches = Batches(read, y[:images], 8, 0, weights=weights[:images], multiple=devices)
    rows = training.train(part, phase, batches, None, Path(folder), report=report, whole=model, devices=devices)
    numbers = [[value for name, value in row.items() if name not in ("phase", "seconds") and value is not None] for row in rows]
    return [keras.ops.convert_to_numpy(v) for v in model.weights], numbers

def interrupt(row):
    if row["epoch"] == 2:
        raise KeyboardInterrupt

start = [keras.ops.convert_to_numpy(v) for v in network().weights]
policy, images = sys.argv[1], int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
    one, rows = trained(1, policy, images, folder)
    if policy == "adapt":
        try:
            trained(2, policy, images, other, interrupt)
        except KeyboardInterrupt:
            assert (Path(other) / "state.npz").exists()
    two, others = trained(2, policy, images, other)
found = {
    "moved": [float(np.abs(a - b).max()) for a, b in zip(start, one)],
    "apart": max(float(np.abs(a - b).max()) for a, b in zip(one, two)),
    "rows": [rows, others],
}
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend, policy, images", [("tensorflow", "adapt", 16), ("jax", "affine", 23)])
def test_two_devices_train_to_the_weights_of_one(backend, policy, images, tmp_path):
    pytest.importorskip(backend)
    path = replicas.__file__.rsplit("/recipes/", 1)[0]
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if backend == "jax" else {}
    out = python(TWO_DEVICES, policy, images, cwd=tmp_path, PYTHONPATH=path, KERAS_BACKEND=backend, **two)
    measured = json.loads(out.splitlines()[-1])
    kernel, scale, offset, mean, variance, *head = measured["moved"]
    assert min(kernel, scale, offset, *head) > 1e-3  # all of it has been trained
    assert (min(mean, variance) > 1e-3) == (policy == "adapt")
    assert measured["apart"] < 1e-5
    one, two = measured["rows"]
    assert len(one) == 3
    np.testing.assert_allclose(two, one, rtol=1e-4)  # rate, loss and accuracy


TWO = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
"""


@pytest.mark.slow
def test_a_run_on_two_devices(tmp_path):
    flags = ("--model", "lenet5", "--strategy", "large", "--epochs", 1, "--batch-size", 8, "--devices", "all")
    run = commands.zoo("finetune", few_digits(tmp_path, 12), *flags, "--output", tmp_path / "run", setup=TWO)
    assert run.poll() == 0, run.stderr
    assert "Trained on 2 devices, each with 4 pictures of every batch." in run.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["devices"] == 2 and result["strategy"]["name"] == "large"
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["devices"] == "all"
    assert "WARNING" not in run.stderr and "tensorflow" not in run.stderr.lower()


def test_a_batch_that_is_filled_up_has_the_mean_loss_that_it_had():
    losses, weights = np.arange(1.0, 12.0), np.linspace(0.5, 1.5, 11)
    plain = Batches(lambda samples, _: samples, np.arange(11), 4, 0, weights=weights)
    filled = Batches(lambda samples, _: samples, np.arange(11), 4, 0, weights=weights, multiple=4)
    for i, size in enumerate((4, 4, 3)):
        (inputs, _, counts), (more, labels, others) = plain[i], filled[i]
        assert len(inputs) == size and len(more) == 4 and (labels == more).all() and (more[:size] == inputs).all()
        assert np.isclose((losses[more] * others).mean(), (losses[inputs] * counts).mean())
        assert others[size:].tolist() == [0] * (4 - size)
    assert filled.last == (3, 4)
    measured = Batches(lambda samples, _: samples, np.arange(11), 4, 0, multiple=4, measured=True)
    every = [measured[i] for i in range(3)]
    total = sum((losses[inputs] * counts).mean() * len(inputs) for inputs, _, counts in every) / 12  # as Keras averages
    assert np.isclose(total, losses.mean())


@pytest.mark.fault(
    "Flags",
    "`--devices` that are more than there are, that a batch cannot be divided among, or on PyTorch",
    "refused in a sentence before a picture is read",
    "A run on fewer devices than were asked for would be slower than its user thinks, and PyTorch would train on one.",
)
def test_devices_that_cannot_be_had_are_refused(monkeypatch):
    assert replicas.count("1", 7) == 1  # on any backend
    assert replicas.count("all", 7) == 1
    with pytest.raises(UserError, match=r"--devices 2 .*: tensorflow sees 1 processor device and no .*--devices 1, or"):
        replicas.count("2", 8)
    with pytest.raises(UserError, match="--batch-size 32 cannot be divided among 3 devices: give a multiple of 3, such as 33"):
        Recipe("photos", devices="3")
    for wrong in ("0", "-1", "two", "1.5", "", "² "):
        with pytest.raises(UserError, match="--devices must be a whole number from 1 on, or all, found"):
            Recipe("photos", devices=wrong)
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(UserError, match="--devices all needs Keras on TensorFlow or JAX, .* torch: set KERAS_BACKEND=jax"):
        replicas.count("all", 8)
