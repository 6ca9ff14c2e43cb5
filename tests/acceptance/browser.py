"""A browser that opens pages as a reader would and tells what happened, over its debugging pipe.

Each message is JSON that ends with a zero byte: the browser reads them from its file 3 and writes
them to its file 4, so neither a port nor a client library is needed.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Browser", "find_browser", "open_browser"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """One page of a running browser.

    `requests` has the address of all that was asked for, `complaints` what the console said,
    `dialogs` the words of every window that a page has opened to be answered.
    """

    def __init__(self, to: int, back: int, *, limit_s: float) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        self._to, self._back, self._limit_s = to, back, limit_s
        self._number, self._rest, self._session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; what happens meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._await(lambda told: told.get("id") == message["id"])["result"]

    def open(self, page: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file or an address at a width and in a colour scheme; wait until it has loaded."""
        self.requests.clear()
        self.complaints.clear()
        self.dialogs.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self._await(lambda told: told.get("method") == "Page.loadEventFired")

    def tell(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "scale": 1}
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def _await(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + self._limit_s
        while True:
            told = self._read(end)
            self._keep(told)
            if "error" in told:
                raise RuntimeError(told["error"])
            if is_it(told):
                return told

    def _read(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                raise TimeoutError(f"the browser said nothing of it within {self._limit_s:.0f} s")
            piece = os.read(self._back, 1 << 16)
            if not piece:
                raise ConnectionError("the browser has ended")
            self._rest += piece
        one, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(one)
        return told

    def _keep(self, told: dict[str, Any]) -> None:
        what = told.get("params", {})
        match told.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(what["request"]["url"])
            case "Page.javascriptDialogOpening":
                self.dialogs.append(what["message"])
            case "Log.entryAdded":
                self.complaints.append(what["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.complaints.append(str(what["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(what["exceptionDetails"]))


def find_browser() -> str | None:
    """Return the program of an installed browser, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def open_browser(program: str, folder: Path, *, limit_s: float = 60.0) -> Iterator[Browser]:
    """Start a browser with a profile of its own in a folder; it ends with the block."""
    read_end, to = os.pipe()
    back, write_end = os.pipe()
    # The browser takes its files 3 and 4; a shell puts them there, from numbers that are neither.
    theirs = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read_end, write_end)]
    command = [program, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    redirect = 'exec "$@" 3</proc/self/fd/{} 4>/proc/self/fd/{}'.format(*theirs)
    process = subprocess.Popen(
        ["/bin/sh", "-c", redirect, "browser", *command],
        pass_fds=theirs,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
        start_new_session=True,
    )
    for one in (read_end, write_end, *theirs):
        os.close(one)
    try:
        yield Browser(to, back, limit_s=limit_s)
    finally:
        os.close(to)
        os.close(back)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
