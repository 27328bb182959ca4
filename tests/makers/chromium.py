"""A headless Chromium, driven over two pipes: what a page says, asks the network for, and looks like."""

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WHY_NOT = "no Chromium is installed here"
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
    "--no-first-run", "--disable-background-networking", "--remote-debugging-pipe",
]  # fmt: skip
PATIENCE = 20  # seconds
KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}


class Page:
    """One tab.

    `faults` are errors that its scripts raised or logged, `asked` addresses that it asked for but its own.
    """

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._number, self._left = 0, b""
        self._session = ""
        self.faults: list[str] = []
        self.asked: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setDownloadBehavior", behavior="deny")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for something, and wait for the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return dict(told["result"])

    def open(self, path: Path) -> None:
        """Open a file, and wait until all of it is there."""
        self._loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._read()

    def run(self, script: str) -> Any:
        """What a piece of script, or the promise that it gives, comes to."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", found))
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a condition holds; raises TimeoutError with the page's faults."""
        wait = f"new Promise((done) => {{ const ask = (left) => {condition} ? done(true) : left ? setTimeout(ask, 20, left - 1) : done(false); ask({50 * PATIENCE}); }})"
        if not self.run(wait):
            raise TimeoutError(f"{condition} does not come; the page's faults: {self.faults}")

    def press(self, *keys: str) -> None:
        """Press keys by their names, or type a text letter by letter."""
        for key in keys:
            if key in KEYS:
                for kind in ("rawKeyDown", "keyUp"):
                    self.call(
                        "Input.dispatchKeyEvent",
                        type=kind,
                        key=key,
                        code=key,
                        windowsVirtualKeyCode=KEYS[key],
                    )
                if key == "Enter":
                    self.call("Input.dispatchKeyEvent", type="char", text="\r", key=key)
            else:
                self.call("Input.insertText", text=key)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """`kind`: mouseMoved, mousePressed or mouseReleased."""
        clicks = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **clicks)

    def look(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Set the size of the window and the reader's preference."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or all of the page, as PNG."""
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def paper(self, path: Path) -> None:
        """Print to PDF."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            if not select.select([self._receive], [], [], PATIENCE)[0]:
                raise TimeoutError(f"Chromium is silent; the page's faults: {self.faults}")
            more = os.read(self._receive, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has ended.")
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        self._note(told.get("method", ""), told.get("params", {}))
        return told

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            about = params["exceptionDetails"]
            self.faults.append(about.get("exception", {}).get("description", about["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.faults.append(" ".join(str(each.get("value", each)) for each in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(params["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            raise AssertionError(f"the page opened a dialog: {params['message']}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:", "about:")):
                self.asked.append(url)


@contextmanager
def page() -> Iterator[Page]:
    """Start Chromium, and end it."""
    assert PROGRAM, WHY_NOT
    to_read, to_write = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # it reads from 3 and writes to 4
        command = f'exec 3<&{to_write[0]} 4>&{to_read[1]}; exec "$@"'
        browser = subprocess.Popen(
            ["bash", "-c", command, "bash", PROGRAM, *OPTIONS, f"--user-data-dir={home}"],
            pass_fds=(to_write[0], to_read[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_write[0])
        os.close(to_read[1])
        try:
            yield Page(to_write[1], to_read[0])
        finally:
            os.close(to_write[1])
            os.close(to_read[0])
            browser.terminate()
            browser.wait(timeout=10)
