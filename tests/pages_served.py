"""What a visitor does on the page of `zoo serve`."""

import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path

from browser import SECONDS, Tab

DROP = """(() => {
    const carried = new DataTransfer();
    for (const [name, data] of FILES)
        carried.items.add(new File([Uint8Array.from(atob(data), (one) => one.charCodeAt(0))], name, {type: "image/png"}));
    byId("zone").dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
})()"""


def answered(tab: Tab, pictures: Sequence[Path]) -> None:
    """Drop pictures onto the page, wait for their answers, and have the first of the page explained."""
    files = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in pictures]
    until(tab, '!byId("asking").hidden')
    tab.evaluate(DROP.replace("FILES", json.dumps(files)))
    until(tab, '/answered/.test(byId("said").textContent)')
    tab.evaluate('document.querySelector("article button").click()')
    until(tab, 'document.querySelector(".heat") !== null')


def until(tab: Tab, condition: str) -> None:
    """Wait until a condition holds of a page."""
    end = time.monotonic() + SECONDS
    while not tab.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)
