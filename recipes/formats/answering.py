"""A program that runs an exported network by its own runtime alone; `recipes.formats.agreement` starts it.

`python answering.py FORM FILE PICTURES ANSWERS`: PICTURES is a `.npz` file of pictures `(height, width, channels)`, uint8,
named by their numbers; ANSWERS gets the "probabilities" `(pictures, classes)`, the "scores" `(pictures,)` of how foreign each
is, none where the network has none. Then it prints a line, and for every line on its input the seconds that the first picture
takes.
"""

import base64
import gzip
import os
import re
import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

BATCH_SIZE = 16
OUTPUTS = ("probabilities", "unknown_score")
# From pictures of one size to what the network has of `OUTPUTS`.
Answer = Callable[[np.ndarray], list[np.ndarray]]
# OpenVINO computes in bfloat16 where a processor can, unless it is told otherwise.
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def onnx(path: str | bytes) -> Answer:
    """Run a network by ONNX Runtime, from its file or its content."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kind = "uint8" if "uint8" in session.get_inputs()[0].type else "float32"
    names = [output.name for output in session.get_outputs()]
    return lambda pixels: session.run([name for name in OUTPUTS if name in names], {"image": pixels.astype(kind)})


def html(path: str) -> Answer:
    """Run the network inside a page by ONNX Runtime; browsers run it by the same, as WebAssembly."""
    with open(path, encoding="utf-8") as file:
        (packed,) = re.findall('id="network">([^<]*)<', file.read())
    return onnx(gzip.decompress(base64.b64decode(packed)))


def litert(path: str) -> Answer:
    """Run a network by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    (given,), found = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.allocate_tensors()

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        if tuple(interpreter.get_input_details()[0]["shape"]) != pixels.shape:
            interpreter.resize_tensor_input(given["index"], pixels.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pixels.astype(given["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]).copy() for output in found]

    return run


def saved_model(path: str) -> Answer:
    """Run a network by TensorFlow."""
    import tensorflow as tf

    signature = tf.saved_model.load(path).signatures["serving_default"]
    kind = signature.structured_input_signature[1]["image"].dtype

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        found = signature(image=tf.constant(pixels, kind))
        return [found[name].numpy() for name in OUTPUTS if name in found]

    return run


def openvino(path: str) -> Answer:
    """Run a network by OpenVINO."""
    import openvino as runtime

    network = runtime.Core().compile_model(path, "CPU", EXACT)
    kind = "uint8" if network.input(0).element_type == runtime.Type.u8 else "float32"
    names = {name for output in network.outputs for name in output.names}

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        found = network(pixels.astype(kind))
        return [found[name].copy() for name in OUTPUTS if name in names]

    return run


RUNTIMES = {"onnx": onnx, "litert": litert, "saved_model": saved_model, "openvino": openvino, "html": html}


def main(form: str, path: str, asked: str, given: str, said: TextIO) -> None:
    """Answer each picture alone, and every other one in a batch, where the form takes one and the sizes allow it."""
    for name in ("zoo", "callbacks", "recipes", "keras"):
        sys.modules[name] = None  # so that importing it is an error, wherever it is installed
    with np.load(asked) as file:
        pictures = [file[str(number)] for number in range(len(file.files))]
    run = RUNTIMES[form](path)
    answers = [[values[0] for values in run(picture[None])] for picture in pictures]
    batch = pictures[:BATCH_SIZE]
    if form != "litert" and len({picture.shape for picture in batch}) == 1:
        answers[: len(batch) : 2] = list(zip(*run(np.stack(batch)), strict=True))[::2]
    probabilities, *scores = (np.array(values, "float32") for values in zip(*answers, strict=True))
    np.savez(given, probabilities=probabilities, scores=np.concatenate([*scores, []]))
    run(pictures[0][None])
    print("answered", file=said, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run(pictures[0][None])
        print(time.perf_counter() - start, file=said, flush=True)


if __name__ == "__main__":
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no line of ours
    main(*sys.argv[1:], own)
