"""OpenVINO, for Intel's processors: `model.xml`, and the weights beside it in `model.bin`."""

import json
import tempfile
from pathlib import Path

from recipes.formats.form import Form, Job
from recipes.formats.network import INPUT, Network

FILE, WEIGHTS = "model.xml", "model.bin"
NOTE = (
    "Load it with INFERENCE_PRECISION_HINT=f32: where a processor can, OpenVINO computes in bfloat16 else, and answers differ."
)


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `model.xml` and `model.bin`, with the facts among the `rt_info`."""
    import openvino

    with tempfile.TemporaryDirectory(dir=folder) as place:
        graph = Path(place, "network.pb")
        function = network.concrete()
        graph.write_bytes(function.graph.as_graph_def().SerializeToString())
        model = openvino.convert_model(graph, output=[tensor.name for tensor in function.outputs])
        model.input(0).tensor.set_names({INPUT})
        for place, name in enumerate(network.outputs):
            model.output(place).tensor.set_names({name})
        for name, value in {**job.facts, "note": NOTE}.items():
            model.set_rt_info(value if isinstance(value, str) else json.dumps(value), ["zoo", name])
        openvino.save_model(model, folder / FILE, compress_to_fp16=job.precision == "float16")


OPENVINO = Form(
    "openvino", FILE, {"openvino": "openvino"}, "openvino", {"float32": True, "float16": True}, write, beside=(WEIGHTS,)
)
