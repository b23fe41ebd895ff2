"""LiteRT (TensorFlow Lite), for phones and small machines: one picture at a time.

The facts are an archive behind the network, as TensorFlow Lite packs labels: `unzip model.tflite` shows them, and runtimes do
not mind.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from recipes.formats.form import Form, Job
from recipes.formats.network import Network

FILE = "model.tflite"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `model.tflite`.

    The converter gets weights as variables and not as constants, which it copies: of these, 100 MB took 3.3 GB of memory.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.single()], network.weights())
    if job.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job.precision == "int8":
        converter.representative_dataset = lambda: _singly(job)
        # The second for the few operations that have no int8: they stay in float32, and the others do not.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    (folder / FILE).write_bytes(_in_order(converter.convert(), network.outputs))
    with zipfile.ZipFile(folder / FILE, "a") as archive:
        for name, value in job.facts.items():
            archive.writestr(f"{name}.json", json.dumps(value))


def _in_order(content: bytes, names: Sequence[str]) -> bytes:
    """Put the outputs of a network, which the converter leaves in any order, into the order of some names."""
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(content)
    model = schema.Model.GetRootAs(changed)
    signature = model.SignatureDefs(0)
    outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    places = {output.Name().decode(): output.TensorIndex() for output in outputs}
    model.Subgraphs(0).OutputsAsNumpy()[:] = [places[name] for name in names]
    return bytes(changed)


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
