"""A page of HTML with the network and ONNX Runtime inside: it answers in a browser, without a server and without a network.

It reads, frames and words pictures as `zoo predict` does. What it cannot do alike it refuses in a sentence: `worker.js`.
"""

import base64
import gzip
import html
import importlib.util
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from recipes.data.images import MAX_ASPECT, MAX_PIXELS, MAX_UNNOTED_ENLARGEMENT, Framing
from recipes.errors import UserError
from recipes.evaluation.occlusion import HIDDEN_SHARE
from recipes.formats import browser_runtime, onnx_form, resizing
from recipes.formats.form import Form, Job
from recipes.formats.network import Network
from recipes.report import overlays, scripted
from recipes.settings.export import QUANTIZED
from zoo.disk import in_bytes

FILE, NOTICES = "index.html", "ThirdPartyNotices.txt"
# Of base64. A page of so much opened in Chromium, in half a minute; a string there holds 512 MB.
MAX_NETWORK_BYTES = 300_000_000
WORKER = {"worker-src": "blob:", "script-src": "'wasm-unsafe-eval'", "img-src": "blob: data:"}
UNKNOWN = "not known"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write `index.html`, and the notices of what ONNX Runtime is made of.

    Raises:
        UserError: ONNX Runtime is not to be had, or the network is too large for a page, or framed in another way.
    """
    resizing.check(network.framing, "--to html")
    model = onnx_form.built(replace(network, maps=job.page.maps), folder, job).SerializeToString()
    script, binary = browser_runtime.parts(browser_runtime.fetch())
    packed = {"runtime": _packed(script.encode()), "binary": _packed(binary), "network": _packed(model)}
    if (size := len(packed["network"])) > MAX_NETWORK_BYTES:
        raise UserError(
            f"it takes {in_bytes(size)} of a page, and browsers hold {in_bytes(MAX_NETWORK_BYTES)}: give --precision float16, "
            "or export a smaller network"
        )
    (folder / FILE).write_text(_page(job, network.framing, packed), "utf-8")
    notices = Path(importlib.util.find_spec("onnxruntime").origin).with_name(NOTICES)
    if notices.is_file():
        shutil.copyfile(notices, folder / NOTICES)


def _page(job: Job, framing: Framing, packed: Mapping[str, str]) -> str:
    """Write the page around what is packed into it."""
    style = scripted.style(scripted.own("asking.css"))
    script = scripted.script(scripted.own("asking.js"), _read("page.js"))
    facts = job.facts
    texts = {
        "NAME": job.page.name,
        "POLICY": scripted.policy(script, style, WORKER),
        "MODEL": ", ".join(filter(None, (facts["model"], job.precision))),
        "LICENSE": facts["license"] or UNKNOWN,
        "CITATIONS": "; ".join(facts["citations"]) or UNKNOWN,
        "VERSION": browser_runtime.VERSION,
        "MIT": _read("onnxruntime_license.txt"),
    }
    parts = {name: html.escape(text) for name, text in texts.items()}
    parts |= {name.upper(): text for name, text in packed.items()}
    parts["FACTS"] = json.dumps(_facts(job, framing)).replace("<", "\\u003c")
    parts["WORKER"] = _read("framing.js") + _read("worker.js")
    marks = {f"<!--{name}-->": text for name, text in parts.items()} | {"/*STYLE*/": style, "/*SCRIPT*/": script}
    return scripted.filled(_read("page.html"), marks | scripted.marked())


def _facts(job: Job, framing: Framing) -> dict:
    """Gather what the page must know, as values for JSON."""
    import matplotlib

    colors = (matplotlib.colormaps[overlays.COLORS](range(256))[:, :3] * 255).tolist()
    limits = {"max_aspect": MAX_ASPECT, "max_enlargement": MAX_UNNOTED_ENLARGEMENT}
    return {
        "name": job.page.name,
        "one_label": job.page.one_label,
        "classes": job.facts["classes"],
        "framing": job.facts["framing"] | limits | {"columns_may_come_first": resizing.COLUMNS_MAY_COME_FIRST},
        "max_pixels": MAX_PIXELS,
        "unknown_threshold": job.facts["unknown_threshold"],
        "sets": None if job.precision in QUANTIZED else job.page.sets,  # they were learnt from other probabilities
        "hidden_share": HIDDEN_SHARE,
        "heat": {"colors": colors, "opacity": overlays.OPACITY, "min_pixels": overlays.MIN_PIXELS},
    }


def _packed(data: bytes) -> str:
    """Pack bytes as the page unpacks them."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def _read(name: str) -> str:
    """Read a file of this package."""
    return scripted.read("recipes.formats", name)


HTML = Form(
    "html",
    FILE,
    onnx_form.ONNX.modules,
    "onnx",
    {name: True for name in onnx_form.ONNX.precisions},
    write,
    beside=(NOTICES,),
    frames_pictures=True,
    fetch=browser_runtime.fetch,
)
