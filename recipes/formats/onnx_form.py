"""ONNX, which ONNX Runtime and most other runtimes read: pictures in the order of Keras, the batch open.

Three ways in which tf2onnx ends normally with a file that ONNX Runtime refuses are closed: grouped convolutions, which Keras
puts into functions (`compute.graphs.plainly`); GELU, for TensorFlow's `Erfc` has no counterpart; and models that were never
called (what is traced here is a call).
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.formats.form import Form, Job
from recipes.formats.network import FEATURES, FRAMED, INPUT, OUTPUT, SCORE, Network

if TYPE_CHECKING:
    import onnx

OPSET = 17
FILE = "model.onnx"
# Kernels of so many bytes, of operations that read nothing else of them, are kept from tf2onnx.
LARGE_KERNEL, PRODUCTS = 500_000, {"MatMul", "Conv2D"}
AXES = ("batch", "height", "width", "channels")


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `model.onnx`, with the facts as its metadata."""
    import onnx

    onnx.save(built(network, folder, job), folder / FILE)


def built(network: Network, folder: Path, job: Job) -> "onnx.ModelProto":
    """Make the model of ONNX's, with the facts as its metadata; `folder` holds what is needed on the way."""
    import onnx

    model = _tidied(_folded(converted(network.only_model(), network.parts), folder))
    if job.precision == "float16":
        model = _halved(model)
    if job.precision == "int8":
        model = _quantized(model, folder, job.calibration)
    if network.known:  # in full precision, whatever the network's
        parts = {"classifier": model, "unknown": converted(network.only_score(), (SCORE,))}
        model = _joined(parts, FEATURES, network.outputs)
    if network.any_size:
        parts = {"framing": converted(network.only_framing(), (FRAMED,)), "network": model}
        model = _joined(parts, FRAMED, network.outputs)
    model = _tidied(model)
    model.producer_name = "keras-transfer-zoo"
    onnx.helper.set_model_props(model, {name: _text(value) for name, value in job.facts.items()})
    onnx.checker.check_model(model)
    return model


def converted(function: Any, outputs: Sequence[str]) -> "onnx.ModelProto":
    """Convert a concrete function with one input to a model whose input is called as its is, and whose outputs so."""
    import onnx
    import tf2onnx

    given, found = ([tensor.name for tensor in tensors] for tensors in (function.inputs, function.outputs))
    graph = function.graph.as_graph_def()
    kernels = taken_out(graph)
    model, _ = tf2onnx.convert.from_graph_def(
        graph, "network", [*given, *kernels], found, opset=OPSET, custom_op_handlers={"Erfc": (_complement_of_erf, [])}
    )
    inputs = [value for value in model.graph.input if value.name not in kernels]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(kernel, name) for name, kernel in kernels.items())
    for old, new in zip((*given, *found), (given[0].partition(":")[0], *outputs), strict=False):
        _rename(model.graph, old, new)
    for size, name in zip(model.graph.input[0].type.tensor_type.shape.dim, AXES, strict=False):
        if not size.dim_value:
            size.dim_param = name
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = AXES[0]
    return model


def taken_out(graph: Any) -> dict[str, np.ndarray]:
    """Make inputs of the large kernels in a graph of TensorFlow's, and give these by the names of their tensors.

    tf2onnx copies constants dozens of times: AlexNet's 230 MB took 12 GB, and now 4. What it would do to kernels, which is to
    transpose them, `_folded` does as well.
    """
    import tensorflow as tf

    readers: dict[str, list] = {}
    for node in graph.node:
        for name in node.input:
            if not name.startswith("^"):  # which only waits for it
                readers.setdefault(name.partition(":")[0], []).append(node)

    def operations(name: str) -> set[str]:
        found = readers.get(name, [])
        return set().union(*(operations(node.name) if node.op == "Identity" else {node.op} for node in found))

    taken = {}
    for node in graph.node:
        is_large = node.op == "Const" and node.attr["value"].tensor.ByteSize() >= LARGE_KERNEL
        if not is_large or not set() < operations(node.name) <= PRODUCTS:
            continue
        taken[f"{node.name}:0"] = kernel = tf.make_ndarray(node.attr["value"].tensor)
        node.op = "Placeholder"
        del node.attr["value"]
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(kernel.shape).as_proto())
    return taken


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
        return onnx.load(after)


def _tidied(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Leave each set of operations that is used, once: twice, as joining leaves it, ONNX Runtime's own tools refuse it."""
    used = {node.domain for node in model.graph.node}
    kept = {each.domain: each for each in model.opset_import if each.domain in used}
    del model.opset_import[:]
    model.opset_import.extend(kept.values())
    return model


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

    # In 256 steps, classes that are not alike would be: what gives probabilities does so in float32.
    exact = [node.name for node in model.graph.node if OUTPUT in node.output]
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
            nodes_to_exclude=exact,
        )
        return onnx.load(after)


def _joined(parts: Mapping[str, "onnx.ModelProto"], between: str, outputs: Sequence[str]) -> "onnx.ModelProto":
    """Put the second of two models behind the first, whose output `between` is its input; both keep their names as prefixes."""
    import onnx

    version = max(model.ir_version for model in parts.values())
    for model in parts.values():
        model.ir_version = version
    (one, first), (other, second) = parts.items()
    first = onnx.compose.add_prefix(first, f"{one}/", rename_inputs=False, rename_outputs=False)
    second = onnx.compose.add_prefix(second, f"{other}/", rename_outputs=False)
    io_map = [(between, second.graph.input[0].name)]
    return onnx.compose.merge_models(first, second, io_map=io_map, outputs=list(outputs))


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
