"""What a visitor does on a page of `zoo export --to html`, and how to write one around a network that was made by hand."""

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import browser
import numpy as np
import pytest
from pages_served import DROP, until

from recipes.data.images import Framing
from recipes.formats import html_form, onnx_form
from recipes.formats.form import Job, Page
from recipes.formats.network import Network

if TYPE_CHECKING:
    import onnx

CLASSES = ["ants", "bees", "wasps </script>", "a very long name of a class that goes on and on"]
# Of each answer: the name, the table, and the sentences beside it.
SHOWN = """[...document.querySelectorAll("article")].reverse().map((one) => ({
    name: one.querySelector("h2").textContent,
    rows: [...one.querySelectorAll("tbody tr")].map((row) => [row.cells[0].textContent, Number(row.cells[1].textContent)]),
    unknown: one.querySelector(".badge") !== null,
    said: [...one.querySelectorAll(".sides p")].map((p) => p.textContent),
    map: one.querySelector("figcaption")?.textContent ?? null}))"""
ASK = """(async (files) => {
    const found = [];
    for (const data of files) {
        const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
        try {
            const { probabilities, pixels, score, heat } = await told({ file: new Blob([bytes]) });
            found.push({ probabilities: [...probabilities], pixels: [...pixels], score, heat: heat && [...heat] });
        } catch (error) {
            found.push({ error: error.message });
        }
    }
    return found;
})"""


def registry() -> str:
    """Where the tests find npm's packages: `ZOO_TEST_NPM`, laid out as npm's registry; skipped without."""
    if not (found := os.environ.get("ZOO_TEST_NPM")):
        pytest.skip("no ONNX Runtime for browsers: `. .ci/browser && browser_get` fetches it and sets ZOO_TEST_NPM")
    return found


def ready(chromium: browser.Browser, page: Path, width: int = 1280, dark: bool = False) -> browser.Tab:
    """Open a page, and wait until the network in it can be asked."""
    tab = chromium.open(page, width, dark=dark)
    until(tab, '!byId("asking").hidden || byId("said").textContent')
    assert not tab.evaluate('byId("said").textContent')
    return tab


def dropped(tab: browser.Tab, pictures: Sequence[Path]) -> list[dict]:
    """Drop pictures onto the page; what it then shows of each, in their order."""
    files = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in pictures]
    tab.evaluate(DROP.replace("FILES", json.dumps(files)))
    until(tab, f'document.querySelectorAll("article").length === {len(pictures)} && /answered/.test(byId("said").textContent)')
    return tab.evaluate(SHOWN)


def asked(tab: browser.Tab, contents: Sequence[bytes]) -> list[dict]:
    """Have the network in the page answer files; what it says in full, or its "error"."""
    files = [base64.b64encode(content).decode() for content in contents]
    return tab.evaluate(f"{ASK}({json.dumps(files)})")


def colors_network(framing: Framing, classes: int) -> "onnx.ModelProto":
    """A network that multiplies the mean colours of 8 x 8 tiles: with maps, and with the largest logit as its score."""
    onnx = pytest.importorskip("onnx")
    size, channels, side = framing.size, framing.channels, framing.size // 8
    kernel = onnx.numpy_helper.from_array(
        np.random.default_rng(0).normal(0, 4, (channels, classes)).astype("float32"), "kernel"
    )
    white = onnx.numpy_helper.from_array(np.array(255, "float32"), "white")
    nodes = [
        onnx.helper.make_node("Div", ["image", "white"], ["shares"]),
        onnx.helper.make_node("Transpose", ["shares"], ["planes"], perm=[0, 3, 1, 2]),
        onnx.helper.make_node("AveragePool", ["planes"], ["tiles"], kernel_shape=[side, side], strides=[side, side]),
        onnx.helper.make_node("Transpose", ["tiles"], ["features"], perm=[0, 2, 3, 1]),
        onnx.helper.make_node("MatMul", ["features", "kernel"], ["class_maps"]),
        onnx.helper.make_node("ReduceMean", ["class_maps"], ["logits"], axes=[1, 2], keepdims=0),
        onnx.helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        onnx.helper.make_node("ReduceMax", ["logits"], ["unknown_score"], axes=[1], keepdims=0),
    ]
    shapes = {"probabilities": [None, classes], "class_maps": [None, 8, 8, classes], "unknown_score": [None]}
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [None, size, size, channels])
    graph = onnx.helper.make_graph(nodes, "colors", [image], outputs, [kernel, white])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", onnx_form.OPSET)])
    model.ir_version = 8
    return model


def write_page(
    folder: Path, network: "onnx.ModelProto", framing: Framing, threshold: float, limit: float, precision: str = "float32"
) -> Path:
    """Write a page around a network; `threshold` is that of unknown pictures, `limit` of all sets but the last class's."""
    folder.mkdir()
    facts = {
        "classes": CLASSES,
        "framing": vars(framing),
        "unknown_threshold": threshold,
        "model": "colours",
        "license": None,
        "citations": [],
    }
    sets = {coverage: [limit] * (len(CLASSES) - 1) + [None] for coverage in ("0.8", "0.9", "0.95", "0.99")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_form, "built", lambda *_: network)
        job = Job(precision, facts, np.empty(0), Page("insects & more", True, sets, None))
        html_form.write(Network(None, framing), folder, job)
    return folder / html_form.FILE
