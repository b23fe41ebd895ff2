"""Shared by the tests: random weights, and writers of every kind of weights file that do not use `zoo`."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

from recipes.data.digits import digit_picture, divided

ROOT = Path(__file__).parents[1]
WITHOUT_TENSORFLOW = """
import importlib.machinery, json, sys
class Refuse:  # TensorFlow can be found, since PyTorch looks for it, and not imported
    def find_spec(self, name, *_):
        if name == "tensorflow": return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return None
    def exec_module(self, module): raise ImportError("there is no TensorFlow here")
sys.meta_path.insert(0, Refuse())
"""
KINDS = ("keras2.h5", "model.h5", "current.weights.h5", "model.keras", "arrays.npz", "arrays.safetensors")


def pixels(*shape, seed=0):
    """uint8 noise: (batch, height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def digest(model):
    """A few numbers that differ when any weight does."""
    return [(float(np.sum(w)), float(np.sum(np.square(w)))) for w in model.get_weights()]


def randomize(model, seed=0, gain=1.0):
    """Random weights that keep signals in range, and statistics that no default would hide.

    A `gain` below 1 makes each residual smaller than what it is added to: with dozens of blocks, sums that double let
    rounding errors grow without bound.
    """
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        shape = variable.shape
        if variable.name in ("mean", "variance", "count"):  # of a Normalization: preprocessing is not random
            continue
        if variable.name == "moving_variance":
            value = rng.uniform(0.5, 2.0, shape)
        elif variable.name == "gamma":
            value = rng.uniform(0.7, 1.3, shape)
        elif variable.name == "kernel" and len(shape) > 1:
            inputs = np.prod(shape[:2]) if shape[-1] == 1 else np.prod(shape[:-1])  # depthwise: one map each
            value = rng.standard_normal(shape, np.float32) * np.float32(gain * np.sqrt(2 / inputs))
        else:
            value = 0.1 * rng.standard_normal(shape, np.float32)
        variable.assign(value)
    return model


def named(model):
    """{"layer/variable": array} of a flat model."""
    return {f"{layer.name}/{v.name}": array(v) for layer in model.layers for v in layer.weights}


def write_legacy(model, path, spelling="keras2", called=str):
    """The layout of Keras 1 and 2: a group a layer, the names of its arrays in an attribute, "kernel:0" and the like.

    `called` makes the layer's name in the file from its name in the model.
    """
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [called(layer.name).encode() for layer in model.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.1.6"
        for layer in model.layers:
            group, names = file.require_group(called(layer.name)), []
            for part in getattr(layer, "layers", [layer]):  # a nested model is one layer, its parts' names are in it
                for variable in part.weights:
                    name = _spelled(part, called(part.name), variable.name, spelling)
                    group[name] = array(variable)
                    names.append(name.encode())
            group.attrs["weight_names"] = names
    return path


def _spelled(layer, called, variable, spelling):
    if spelling == "keras1":
        return f"{called}_{ {'kernel': 'W', 'bias': 'b'}[variable] }_1:0"
    if "Depthwise" in type(layer).__name__ and variable == "kernel":
        variable = "depthwise_kernel"
    return f"{called}/{variable}:0"


def write(model, path):
    """Write the model's weights in the kind of file that the name stands for: one of KINDS."""
    name = Path(path).name
    if name == "keras2.h5":
        write_legacy(model, path)
    elif name == "model.h5" or name == "model.keras":
        model.save(path)
    elif name == "current.weights.h5":
        model.save_weights(path)
    elif name == "arrays.npz":
        np.savez(path, **named(model))
    else:
        save_file(named(model), path)
    return path


def python(code, *arguments, cwd, **environment):
    """Run code in a new process, without this project on its path unless asked; its standard output."""
    # JAX compiles every operation of every shape, which takes longer than what these processes compute.
    env = {**os.environ, "PYTHONPATH": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def unprivileged():
    """Root may write anywhere, so be nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def digits_folder(folder: Path, images: int) -> Path:
    """A folder of class folders: so many pictures of each of scikit-learn's digits."""
    digits = load_digits()
    for name, index in divided(images, seed=0).items():
        if name.startswith("train/"):  # the others are not written
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            digit_picture(digits.images[index]).save(path)
    return folder / "train"


def few_digits(folder: Path, images: int = 8, classes: int = 2) -> Path:
    """A folder of the first class folders alone: what the quickest command is run on."""
    digits = digits_folder(folder, images)
    for label in range(classes, 10):
        shutil.rmtree(digits / str(label))
    return digits
