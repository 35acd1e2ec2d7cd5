"""What Serve says of the applications, as the launcher's child reports it each second."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

_HEALTHY = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})
_FAILED = frozenset({"UNHEALTHY", "DEPLOY_FAILED"})
_ERROR = re.compile(r"(?:[\w.]*\.)?[A-Za-z_]\w*(?:Error|Exception|Configuration)?: (.+)")
_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class State:
    """What Serve says of one deployment or application.

    Attributes:
        status: Serve's word for it.
        message: What it adds, of a failure a traceback.
    """

    status: str
    message: str

    @property
    def healthy(self) -> bool:
        """A deployment has the replicas it was asked for, or is only changing their number."""
        return self.status in _HEALTHY

    @property
    def failed(self) -> bool:
        """It does not work, and Serve says so."""
        return self.status in _FAILED

    @property
    def reason(self) -> str:
        """The sentence at the end of the message's traceback, or the message's last line."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        if not lines:
            return self.status
        last = _ERROR.fullmatch(lines[-1])
        return (last[1] if last else lines[-1])[:_LONGEST_REASON]


@dataclass(frozen=True, slots=True)
class Report:
    """One look at Serve.

    Attributes:
        dashboard: Host and port of Ray's dashboard, empty where it does not run.
        applications: By name.
        deployments: By the names of application and deployment.
    """

    dashboard: str
    applications: Mapping[str, State]
    deployments: Mapping[tuple[str, str], State]

    @classmethod
    def from_json(cls, line: str) -> Report:
        """Read a line of the child's."""
        told = json.loads(line)
        applications, deployments = {}, {}
        for name, application in told["applications"].items():
            applications[name] = State(application["status"], application["message"])
            for inner, state in application["deployments"].items():
                deployments[name, inner] = State(state["status"], state["message"])
        return cls(told["dashboard"] or "", applications, deployments)


NOTHING = Report("", {}, {})


class Reports:
    """The latest report; a thread reads them from a pipe.

    Attributes:
        descriptor: What the child writes to; `close_writing` once it has it.
    """

    def __init__(self) -> None:
        reading, self.descriptor = os.pipe()
        self._latest = NOTHING
        self._at = time.monotonic()
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    def close_writing(self) -> None:
        """Leave the writing end to the child alone, so that the thread ends with it."""
        os.close(self.descriptor)

    def join(self, timeout_s: float) -> None:
        """Wait until all has been read, after the last writer has closed its end."""
        self._thread.join(timeout_s)

    @property
    def latest(self) -> Report:
        """What was told last."""
        return self._latest

    @property
    def age_s(self) -> float:
        """Seconds since then, or since the beginning."""
        return time.monotonic() - self._at

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                self._latest = Report.from_json(line)
                self._at = time.monotonic()
