"""Engines: what computes a frozen network's outputs, batch after batch, as fast as this machine can.

Keras' `predict_on_batch` passes a graph that must be ready to train. A network that is only asked can be frozen: its weights
become constants, with batch norms in the kernels before them; JAX compiles it as a whole; PyTorch keeps nothing for
gradients; and OpenVINO, an extra, computes it by kernels of its own. What they give differs from Keras' in the order of sums
alone, by less than 1e-5 of the largest (tests/recipes/compute/test_engines.py holds every family to it).
"""

import importlib.util
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.compute import devices
from recipes.compute.graphs import constant
from recipes.compute.machine import cores
from recipes.errors import UserError, shown
from recipes.settings.shared import EngineName

if TYPE_CHECKING:
    import keras

KERAS, OPENVINO = "keras", "openvino"
# Raised with any change of what engines compute, be it of the last bit: rows of one place are of one engine.
VERSION = 2
# Threads that each pass a batch: while one reads its pictures, or waits in a part that runs on one core, another computes.
CALLERS = 2
# Of each engine on a processor, as measured (benchmarks/engines.py): what larger ones leave between two layers no longer fits
# into its caches.
MAX_BATCH = {KERAS: 16, OPENVINO: 8}
# Of the largest value, between OpenVINO's and Keras' answer to noise: more is no order of sums, but a fault.
MAX_DIFFERENCE = 1e-4
# OpenVINO computes in bfloat16 where a processor can, unless it is told otherwise; and ties its threads to cores, where others
# decode pictures.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": CALLERS, "ENABLE_CPU_PINNING": False}

# Networks, by name, that OpenVINO could not compute in this process.
_refused: set[str] = set()

# From pixels `(batch, height, width, channels)`, uint8, to the network's outputs, `(batch, ...)` each.
Pass = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Engine:
    """A network that passes batches of one size; several threads may call it at once.

    Args:
        name: of what computes, as the cache's keys and result.json have it.
        batch_size: pictures in each batch.
        run: passes one batch.
    """

    name: str
    batch_size: int
    run: Pass

    def outputs(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Pass a batch, `(pictures, height, width, channels)`, that may be smaller: each output is `(pictures, ...)`.

        It is filled up with its own first picture: another size would compile the graph again.
        """
        missing = self.batch_size - len(pixels)
        full = np.concatenate([pixels, np.repeat(pixels[:1], missing, axis=0)]) if missing else pixels
        return [output[: len(pixels)] for output in self.run(full)]


def planned(engine: EngineName, model: "keras.Model") -> str:
    """Name the engine that a setting asks for on this machine, as far as that is known before it is built.

    Raises:
        UserError: it asks for OpenVINO, which cannot be had.
    """
    if engine == KERAS or (engine == "auto" and model.name in _refused):
        return KERAS
    reason = _why_not()
    if reason and engine == OPENVINO:
        raise UserError(f"--engine openvino: {reason}, or leave --engine out.")
    return KERAS if reason else OPENVINO


def build(model: "keras.Model", batch_size: int, engine: EngineName = "auto") -> Engine:
    """Build the engine of a network for batches of this size at most; what `auto` takes falls back to Keras, with a sentence.

    Raises:
        UserError: --engine openvino cannot compute this network.
    """
    name = planned(engine, model)
    size = batch_size if devices.gpus() else min(batch_size, MAX_BATCH[name])
    if name == KERAS:
        return Engine(KERAS, size, _of_backend(model, size))
    try:
        return Engine(OPENVINO, size, _of_openvino(model, size))
    except Exception as error:  # its converter and its compiler raise almost anything
        reason = shown((str(error).strip().splitlines() or [type(error).__name__])[0])
        if engine == OPENVINO:
            raise UserError(f"--engine openvino cannot compute {model.name} ({reason}): leave it out.") from error
        _refused.add(model.name)
        print(f"note: OpenVINO cannot compute {model.name} ({reason}): Keras does.", file=sys.stderr)
        return build(model, batch_size, KERAS)


def plain(model: "keras.Model", batch_size: int) -> Engine:
    """Take Keras' `predict_on_batch`, a batch at a time: for weights that change, which would be frozen for a few answers."""
    import keras

    one_by_one = threading.Lock()  # Keras' states are no threads' business

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        with one_by_one:
            return [np.asarray(output) for output in keras.tree.flatten(model.predict_on_batch(pixels))]

    return Engine(KERAS, batch_size, run)


def _why_not() -> str:
    """Say why OpenVINO cannot be used, with the remedy; "" where it can."""
    import keras

    if (backend := keras.backend.backend()) != "tensorflow":
        return f"networks reach it through TensorFlow, and Keras computes on {backend}: set KERAS_BACKEND=tensorflow"
    if not importlib.util.find_spec("openvino"):
        return "it is not installed: pip install 'keras-transfer-zoo[openvino]'"
    return "it is for processors, and there is a graphics card: hide that by CUDA_VISIBLE_DEVICES=''" if devices.gpus() else ""


def _of_backend(model: "keras.Model", batch_size: int) -> Pass:
    """Compile a network for the backend that Keras computes on."""
    import keras

    return {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}[keras.backend.backend()](model, batch_size)


def _of_tensorflow(model: "keras.Model", batch_size: int) -> Pass:
    """Freeze a network into a graph of constants."""
    import tensorflow as tf

    function = constant(model, batch_size)
    return lambda pixels: [output.numpy() for output in function(tf.constant(pixels))]


def _of_jax(model: "keras.Model", batch_size: int) -> Pass:
    """Compile a network as a whole, by XLA."""
    import jax
    import keras

    weights = [[variable.value for variable in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]

    @jax.jit
    def compiled(trainable: list, others: list, pixels: Any) -> list:
        return keras.tree.flatten(model.stateless_call(trainable, others, pixels.astype("float32"), training=False)[0])

    return lambda pixels: [np.asarray(output) for output in compiled(*weights, pixels)]


def _of_torch(model: "keras.Model", batch_size: int) -> Pass:
    """Call a network without keeping anything for gradients."""
    import keras
    import torch

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            outputs = keras.tree.flatten(model(pixels.astype("float32"), training=False))
            return [keras.ops.convert_to_numpy(output) for output in outputs]

    return run


def _of_openvino(model: "keras.Model", batch_size: int) -> Pass:
    """Compile a network by OpenVINO: a stream for each caller. Raises ValueError if it answers otherwise than Keras."""
    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory(prefix="zoo-") as place:
        path = Path(place, "network.pb")
        path.write_bytes(constant(model, batch_size).graph.as_graph_def().SerializeToString())
        network = core.compile_model(core.read_model(path), "CPU", SETTINGS | {"INFERENCE_NUM_THREADS": cores()})
    by_name = {name.partition(":")[0]: output for output in network.outputs for name in output.names}
    outputs = [by_name[f"output_{number:02}"] for number in range(len(model.outputs))]
    own = threading.local()

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        if not hasattr(own, "request"):
            own.request = network.create_infer_request()
        own.request.infer([pixels])
        return [own.request.get_tensor(output).data.copy() for output in outputs]

    _check(model, run, batch_size)
    return run


def _check(model: "keras.Model", run: Pass, batch_size: int) -> None:
    """Compare the answer to a picture of noise with Keras' own. Raises ValueError where they differ."""
    import keras

    shape = (batch_size, *model.input_shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    truth = keras.tree.flatten(model(noise[:1].astype("float32"), training=False))
    for expected, found in zip(map(keras.ops.convert_to_numpy, truth), run(noise), strict=True):
        if not np.abs(found[:1] - expected).max() <= MAX_DIFFERENCE * np.abs(expected).max():
            raise ValueError("it answers otherwise than Keras")
