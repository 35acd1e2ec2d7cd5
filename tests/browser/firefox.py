"""Firefox without a window, over WebDriver BiDi, which it speaks itself without a driver."""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

START_TIMEOUT_S = 120
WAIT_TIMEOUT_S = 120
_LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Firefox:
    """The one tab of a running Firefox.

    Args:
        socket: Where it listens.

    Attributes:
        complaints: Warnings and errors of the console, and exceptions, of all pages.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        self._tab = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command; its result.

        Raises:
            RuntimeError: Firefox refused it.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_TIMEOUT_S))
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                if entry["level"] in ("warn", "error"):
                    self.complaints.append(f"{entry['level']}: {entry['text']}")
            elif message.get("id") == number:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page, with all that it loads."""
        self.call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression: a number, a text, a truth, or None."""
        answer = self._evaluated(expression)
        return answer.get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: It was not within `WAIT_TIMEOUT_S`.
        """
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.2)

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in a field, as its button does."""
        field = self._evaluated(f"document.querySelector({json.dumps(selector)})")
        files = [str(path) for path in paths]
        element = {"sharedId": field["sharedId"]}
        self.call("input.setFiles", context=self._tab, element=element, files=files)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        field = self._evaluated(f"document.querySelector({json.dumps(selector)})")
        origin = {"type": "element", "element": {"sharedId": field["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self.call("input.performActions", context=self._tab, actions=[mouse])

    def type(self, text: str) -> None:
        """Press the keys of a text, where the focus is."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        keys = {"type": "key", "id": "keys", "actions": actions}
        self.call("input.performActions", context=self._tab, actions=[keys])

    def screenshot(self, path: Path) -> None:
        """Write what is in sight as a PNG."""
        answer = self.call("browsingContext.captureScreenshot", context=self._tab)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _evaluated(self, expression: str) -> dict[str, Any]:
        target = {"context": self._tab}
        answer = self.call(
            "script.evaluate", expression=expression, target=target, awaitPromise=True
        )
        if answer["type"] != "success":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        result: dict[str, Any] = answer["result"]
        return result


class _Process:
    """Firefox itself, with a profile of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._log = folder / "firefox.log"
        profile = folder / "profile"
        profile.mkdir()
        # Nothing is asked of anybody but the page.
        (profile / "user.js").write_text(
            "".join(
                f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                for name, value in _PREFERENCES.items()
            )
        )
        command = [program, "--headless", "--no-remote", "--profile", profile]
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                [*command, "--remote-debugging-port", "0", "--width", "1280", "--height", "900"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()

    def address(self) -> str:
        """Where it listens, once it does."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._child.poll() is None:
            found = _LISTENS.search(self._log.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise RuntimeError(f"Firefox does not listen: {self._log.read_text()[-500:]}")


_PREFERENCES: dict[str, object] = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}


@contextmanager
def started(program: str, folder: Path) -> Iterator[Firefox]:
    """Firefox, until the end of the block.

    Args:
        program: Its path.
        folder: An empty one, for its profile.

    Raises:
        RuntimeError: It does not start, or does not listen.
    """
    with (
        _Process(program, folder) as process,
        connect(f"{process.address()}/session", max_size=2**26) as socket,
    ):
        yield Firefox(socket)
