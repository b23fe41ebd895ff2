"""LiteRT (TensorFlow Lite), for phones and small machines: one picture at a time.

The facts are an archive behind the network, as TensorFlow Lite packs labels: `unzip model.tflite` shows them, and runtimes do
not mind.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from recipes.formats.form import Form, Job
from recipes.formats.network import Network

FILE = "model.tflite"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `model.tflite`."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.concrete(batch=1)], network.model)
    if job.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job.precision == "int8":
        converter.representative_dataset = lambda: _singly(job)
        # The second for the few operations that have no int8: they stay in float32, and the others do not.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    (folder / FILE).write_bytes(converter.convert())
    with zipfile.ZipFile(folder / FILE, "a") as archive:
        for name, value in job.facts.items():
            archive.writestr(f"{name}.json", json.dumps(value))


def _singly(job: Job) -> Iterator[list]:
    """Give pictures one after the other, as the converter asks."""
    for picture in job.calibration:
        yield [picture[None]]


LITERT = Form(
    "litert",
    FILE,
    {"ai_edge_litert": "ai-edge-litert"},
    "litert",
    {"float32": True, "float16": True, "int8": False, "dynamic": False},
    write,
)
