"""What the service prints: all of it to a file, and of requests a short line to the terminal."""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from deployments.launch.errors import LaunchError
from deployments.launch.terminal import say

MOST_BYTES = 20_000_000
"""Of the file; one more of this size is kept beside it."""

END_LINES = 20
OWN_IDS = f"launcher-{secrets.token_hex(8)}"
"""What the ids of the launcher's own requests start with; they are not shown."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FIELD = re.compile(r"(\w+)=(\S*)")
_LONGEST_VALUE = 60


class ServiceLog:
    """Takes the service's output.

    Args:
        path: The file; what an earlier run wrote there is kept as `NAME.1`.

    Raises:
        LaunchError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shows = False
        self._end: deque[str] = deque(maxlen=END_LINES)
        try:
            self._file = _File(path)
        except OSError as error:
            raise LaunchError(
                f"the log {path} cannot be written ({error.strerror}); name another with --log"
            ) from None

    def follow(self, output: Iterable[bytes]) -> threading.Thread:
        """Take lines until there are no more, in a thread."""
        thread = threading.Thread(target=self._take, args=(output,), daemon=True)
        thread.start()
        return thread

    def show_requests(self) -> None:
        """From now on print a line for each request that ends."""
        self._shows = True

    def end(self) -> list[str]:
        """The last lines."""
        return list(self._end)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, output: Iterable[bytes]) -> None:
        for raw in output:
            line = _COLOURS.sub("", raw.decode("utf-8", "replace").rstrip("\r\n"))
            self._file.emit(logging.makeLogRecord({"msg": line}))
            self._end.append(line)
            if self._shows and (request := request_line(line)) is not None:
                now = datetime.now().astimezone()
                print(f"{now:%H:%M:%S} {request}", flush=True)


class _File(RotatingFileHandler):
    """The file; a full disk must not end the service, and is said once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8")
        self._failed = False
        if path.stat().st_size:
            self.doRollover()

    def handleError(self, record: logging.LogRecord) -> None:
        """Say that lines are lost."""
        if not self._failed:
            say(f"the log {self.baseFilename} cannot be written any more")
        self._failed = True


def request_line(line: str) -> str | None:
    """The short form of a line of ours about a request; None of any other line.

    Args:
        line: As the service prints it, in text or in JSON, with or without Ray's prefix.
    """
    told = _request(line)
    if told is None:
        return None
    fields = {name: _printable(value) for name, value in _FIELD.findall(told)}
    if "status" not in fields or fields.get("request_id", "").startswith(OWN_IDS):
        return None
    words = [fields.get("method", ""), fields.get("http_route") or fields.get("route", "")]
    words.append(fields["status"])
    if (code := fields.get("code", "ok")) != "ok":
        words.append(code)
    details = []
    if milliseconds := fields.get("duration_ms"):
        details.append(f"{float(milliseconds) / 1000:.2f} s")
    if model := fields.get("model"):
        details.append(model)
    if images := fields.get("images"):
        details.append(f"{images} image{'' if images == '1' else 's'}")
    return " ".join(filter(None, words)) + (f"  ({', '.join(details)})" if details else "")


def _request(line: str) -> str | None:
    """What follows the word `request` in the message of such a line."""
    message = line
    if (begin := line.find("{")) >= 0 and line.endswith("}"):
        try:
            message = f" -- {json.loads(line[begin:])['message']}"
        except (ValueError, KeyError, TypeError):
            return None
    _, found, told = message.partition(" -- request ")
    return told if found else None


def _printable(value: str) -> str:
    """A value that a caller may have chosen, made safe for a terminal."""
    return "".join(each if each.isprintable() else "?" for each in value[:_LONGEST_VALUE])
