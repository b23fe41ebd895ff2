"""Chromium without a window, as tests ask it about a page: what it logs, how it is laid out, what the keyboard reaches.

It is spoken to over two pipes in the DevTools protocol (https://chromedevtools.github.io/devtools-protocol), for which Python
needs no package.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60
# The browser reads its orders from descriptor 3 and answers on 4; neither pipe may be in the other's way.
LAUNCH = """
import os, sys
for place, end in ((13, sys.argv[1]), (14, sys.argv[2]), (3, 13), (4, 14)):
    os.dup2(int(end), place)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def program() -> str | None:
    """Find the browser: `ZOO_TEST_CHROMIUM`, or on the path."""
    return os.environ.get("ZOO_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def started(path: str) -> Iterator["Browser"]:
    """Start a browser with a profile of its own, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="zoo-chromium-", ignore_cleanup_errors=True) as profile:
        (read_orders, orders), (answers, write_answers) = os.pipe(), os.pipe()
        words = [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        words += ["--disable-extensions", "--no-first-run", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(read_orders), str(write_answers), *words],
            pass_fds=(read_orders, write_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_orders)
        os.close(write_answers)
        try:
            yield Browser(orders, answers)
        finally:
            os.close(orders)  # ends it
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(answers)


class Browser:
    """The browser's end of the two pipes."""

    def __init__(self, orders: int, answers: int):
        self._orders, self._answers, self._rest, self._number = orders, answers, b"", 0
        self.events: list[dict] = []

    def call(self, method: str, session: str | None = None, **parameters) -> dict:
        """Give an order, and wait for its result."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        message = json.dumps(order).encode() + b"\0"
        while message:
            message = message[os.write(self._orders, message) :]
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def wait(self, event: str, session: str) -> None:
        """Wait until an event of a page has come."""
        while not any(one["method"] == event and one.get("sessionId") == session for one in self.events):
            self.events.append(self._next())

    def _next(self) -> dict:
        """Read the next message."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], max(0, end - time.monotonic()))[0], "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path | str, width: int = 1280, height: int = 900, dark: bool = False) -> "Tab":
        """Open a page, a file or an address, in a window of that size, and wait until it is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        self.wait("Page.loadEventFired", session)
        return tab


class Tab:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str, target: str):
        self._browser, self._session, self._target = browser, session, target

    def call(self, method: str, **parameters) -> dict:
        """Give an order about this page."""
        return self._browser.call(method, self._session, **parameters)

    def close(self) -> None:
        """Close it, and forget what it has logged."""
        self._browser.call("Target.closeTarget", targetId=self._target)
        self._browser.events.clear()

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of that size, a telephone's below 600 pixels."""
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone
        )

    def evaluate(self, expression: str):
        """Compute a JavaScript expression, which the page's own policy cannot forbid; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    @property
    def complaints(self) -> list[str]:
        """What has stood in the console, whatever its level."""
        own = [event for event in self._browser.events if event.get("sessionId") == self._session]
        logged = [event["params"] for event in own if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
        called = [event["params"]["args"] for event in own if event["method"] == "Runtime.consoleAPICalled"]
        return [json.dumps(one) for one in [*logged, *called]]

    def press_tab(self) -> None:
        """Press the key that goes on to the next element."""
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **key)

    def press(self, key: str) -> None:
        """Press a key: a letter or digit, Enter, or an arrow as `KeyboardEvent.key` names it."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call(
            "Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, **({"text": text} if text else {})
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def pdf(self, landscape: bool = False) -> bytes:
        """Print it on A4 paper."""
        size = {"paperWidth": 8.27, "paperHeight": 11.69, "landscape": landscape}
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False, **size)["data"])

    def screenshot(self, whole: bool = True) -> bytes:
        """Take a picture of it, a PNG; of the whole page, or of the window."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])
