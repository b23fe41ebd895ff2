"""ONNX, which ONNX Runtime and most other runtimes read: pictures in the order of Keras, the batch open.

Three ways in which tf2onnx ends normally with a file that ONNX Runtime refuses are closed: grouped convolutions, which Keras
puts into functions (`compute.graphs.plainly`); GELU, for TensorFlow's `Erfc` has no counterpart; and models that were never
called (what is traced here is a call).
"""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.formats.form import Form, Job
from recipes.formats.network import INPUT, OUTPUT, Network

if TYPE_CHECKING:
    import onnx

OPSET = 17
FILE = "model.onnx"
AXES = ("batch", "height", "width", "channels")
FRAMED = "framed"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `model.onnx`, with the facts as its metadata."""
    import onnx

    model = _folded(converted(network.inner().concrete(), OUTPUT), folder)
    if job.precision == "float16":
        model = _halved(model)
    if job.precision == "int8":
        model = _quantized(model, folder, job.calibration)
    if network.any_size:
        model = _behind(converted(network.only_framing(), FRAMED), model)
    model.producer_name = "keras-transfer-zoo"
    onnx.helper.set_model_props(model, {name: _text(value) for name, value in job.facts.items()})
    onnx.checker.check_model(model)
    onnx.save(model, folder / FILE)


def converted(function: Any, output: str) -> "onnx.ModelProto":
    """Convert a concrete function with one input to a model whose input is "image", and whose output has that name."""
    import tf2onnx

    names = [function.inputs[0].name], [function.outputs[0].name]
    model, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(), "network", *names, opset=OPSET, custom_op_handlers={"Erfc": (_complement_of_erf, [])}
    )
    _rename(model.graph, names[0][0], INPUT)
    _rename(model.graph, names[1][0], output)
    for number, name in enumerate(AXES):
        size = model.graph.input[0].type.tensor_type.shape.dim[number]
        if not size.dim_value:
            size.dim_param = name
    first = model.graph.output[0].type.tensor_type.shape.dim[0]
    first.dim_param = AXES[0]
    return model


def _complement_of_erf(graph: Any, node: Any, name: str, _: list) -> None:
    """Write erfc as 1 − erf, in the graph of tf2onnx's."""
    (source,), (target,) = node.input, node.output
    shape, kind = graph.get_shape(target), graph.get_dtype(target)
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}_one", np.array(1, "float32"))
    inner = graph.make_node("Erf", [source], name=f"{name}_erf")
    graph.make_node("Sub", [one.output[0], inner.output[0]], name=name, outputs=[target], shapes=[shape], dtypes=[kind])


def _rename(graph: "onnx.GraphProto", old: str, new: str) -> None:
    """Give a tensor another name, wherever it is read or made."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def _folded(model: "onnx.ModelProto", folder: Path) -> "onnx.ModelProto":
    """Multiply batch norms and other constants into the convolutions before them, by ONNX Runtime's own simplest rules."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(dir=folder) as place:
        before, after = Path(place, "before.onnx"), Path(place, "after.onnx")
        onnx.save(model, before)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(after)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(before, options, providers=["CPUExecutionProvider"])
        found = onnx.load(after)
    used = {node.domain for node in found.graph.node}
    kept = [each for each in found.opset_import if each.domain in used]
    del found.opset_import[:]
    found.opset_import.extend(kept)
    return found


def _halved(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Compute in float16; input and output stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    found = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    found.topological_sort()  # what casts the input is put last
    return found.model


def _quantized(model: "onnx.ModelProto", folder: Path, calibration: np.ndarray) -> "onnx.ModelProto":
    """Compute in int8, with the ranges that some pictures give, written as pairs of QuantizeLinear and DequantizeLinear."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        """Gives the pictures one after the other."""

        def __init__(self):
            self._pictures = iter(calibration)

        def get_next(self) -> dict | None:
            picture = next(self._pictures, None)
            return None if picture is None else {INPUT: picture[None]}

    with tempfile.TemporaryDirectory(dir=folder) as place:
        before, after = Path(place, "before.onnx"), Path(place, "after.onnx")
        onnx.save(model, before)
        quantize_static(
            before,
            after,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(after)


def _behind(framing: "onnx.ModelProto", model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Put a network behind what frames pictures for it."""
    import onnx

    framing = onnx.compose.add_prefix(framing, "framing/", rename_inputs=False, rename_outputs=False)
    model = onnx.compose.add_prefix(model, "network/", rename_outputs=False)
    model.ir_version = framing.ir_version = max(model.ir_version, framing.ir_version)
    return onnx.compose.merge_models(framing, model, io_map=[(FRAMED, f"network/{INPUT}")])


def _text(value: object) -> str:
    """Write a fact as ONNX's metadata take it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


ONNX = Form(
    "onnx",
    FILE,
    {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
    "onnx",
    {"float32": True, "float16": True, "int8": True},
    write,
)
