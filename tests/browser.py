"""A headless Chromium to look at pages with, over its debugging pipe: no driver, no port."""

import base64
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser.

    Attributes:
        console: what the page logged, and its errors.
        requests: the addresses it asked for, but its own file.
    """

    def __init__(self, to, back):
        self._to, self._back, self._last = to, back, 0
        self._waiting = b""
        self.console, self.requests, self._loaded = [], [], False
        target = self("Target.createTarget", url="about:blank")["targetId"]
        attached = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    _session = None

    def __call__(self, method, **parameters):
        """Send a command of the DevTools protocol, and give its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, path: Path, *, width=1100, height=900, dark=False):
        """Open a file; `width` below 500 is a phone, with touch."""
        self.console.clear()
        self.requests.clear()
        phone = width < 500
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self("Emulation.setEmulatedMedia", features=features)
        self._loaded = False
        self("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._next()

    def run(self, script):
        """The value of an expression in the page."""
        answer = self("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path):
        """A picture of the whole page."""
        shot = self("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path):
        """The page as it prints."""
        path.write_bytes(base64.b64decode(self("Page.printToPDF", preferCSSPageSize=True)["data"]))

    def _next(self):
        while b"\0" not in self._waiting:
            found = os.read(self._back.fileno(), 1 << 20)
            assert found, "the browser ended"
            self._waiting += found
        line, _, self._waiting = self._waiting.partition(b"\0")
        message = json.loads(line)
        self._take_note(message.get("method"), message.get("params", {}))
        return message

    def _take_note(self, method, about):
        if method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value")) for one in about["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(about["exceptionDetails"]["text"])
        elif method == "Log.entryAdded":
            self.console.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith(("file:", "data:")):
                self.requests.append(address)
        elif method == "Page.loadEventFired":
            self._loaded = True


@contextmanager
def chromium(folder: Path):
    """A browser with a fresh profile in a folder; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    read_end, to = os.pipe()
    back, write_end = os.pipe()

    def as_it_expects():  # commands come in as 3, answers go out as 4
        ends = os.dup(read_end), os.dup(write_end)
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    process = subprocess.Popen(
        [found, *OPTIONS, f"--user-data-dir={folder / 'profile'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=as_it_expects,
        close_fds=False,
        env={**os.environ, "HOME": str(folder)},
    )
    os.close(read_end)
    os.close(write_end)
    with os.fdopen(to, "wb") as writing, os.fdopen(back, "rb") as reading:
        try:
            yield Browser(writing, reading)
        finally:
            process.terminate()
            process.wait(timeout=20)
