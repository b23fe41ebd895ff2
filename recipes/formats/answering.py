"""A program that runs an exported network by its own runtime alone; `recipes.formats.agreement` starts it.

`python answering.py FORM FILE PICTURES ANSWERS`: PICTURES is a `.npz` file of pictures `(height, width, channels)`, uint8,
named by their numbers; ANSWERS gets the "probabilities" `(pictures, classes)`, and the "seconds" that each took alone.
"""

import os
import sys
import time
from collections.abc import Callable

import numpy as np

BATCH_SIZE = 16
# OpenVINO computes in bfloat16 where a processor can, unless it is told otherwise.
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def onnx(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Run a network by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kind = "uint8" if "uint8" in session.get_inputs()[0].type else "float32"
    return lambda pixels: session.run(["probabilities"], {"image": pixels.astype(kind)})[0]


def litert(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Run a network by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.allocate_tensors()

    def run(pixels: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != pixels.shape:
            interpreter.resize_tensor_input(given["index"], pixels.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pixels.astype(given["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(found["index"]).copy()

    return run


def saved_model(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Run a network by TensorFlow."""
    import tensorflow as tf

    signature = tf.saved_model.load(path).signatures["serving_default"]
    kind = signature.structured_input_signature[1]["image"].dtype
    return lambda pixels: signature(image=tf.constant(pixels, kind))["probabilities"].numpy()


def openvino(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Run a network by OpenVINO."""
    import openvino as runtime

    network = runtime.Core().compile_model(path, "CPU", EXACT)
    kind = "uint8" if network.input(0).element_type == runtime.Type.u8 else "float32"
    return lambda pixels: network(pixels.astype(kind))[0]


RUNTIMES = {"onnx": onnx, "litert": litert, "saved_model": saved_model, "openvino": openvino}


def main(form: str, path: str, asked: str, given: str) -> None:
    """Answer each picture alone, and every other one in a batch, where the form takes one and the sizes allow it."""
    for name in ("zoo", "callbacks", "recipes", "keras"):
        sys.modules[name] = None  # so that importing it is an error, wherever it is installed
    with np.load(asked) as file:
        pictures = [file[str(number)] for number in range(len(file.files))]
    run = RUNTIMES[form](path)
    run(pictures[0][None])
    answers, seconds = [], []
    for picture in pictures:
        start = time.perf_counter()
        answers.append(run(picture[None])[0])
        seconds.append(time.perf_counter() - start)
    batch = pictures[:BATCH_SIZE]
    if form != "litert" and len({picture.shape for picture in batch}) == 1:
        answers[: len(batch) : 2] = run(np.stack(batch))[::2]
    np.savez(given, probabilities=np.array(answers, "float32"), seconds=np.array(seconds))


if __name__ == "__main__":
    os.dup2(2, 1)
    main(*sys.argv[1:])
