"""How a request ended: what its log line and its metrics are both written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

NO_MODEL = "none"
"""The model of a request that names none, or that was refused before its fields were read."""

UNKNOWN_MODEL = "unknown"
"""The model of a request that names one that is not in the catalog: callers choose the name."""

UNMATCHED = "unmatched"
"""The route of an unknown path."""

CLIENT_GONE = 499
"""Status of a request whose caller left before its answer ended, as nginx logs it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        route: Its route's template, or `UNMATCHED`.
        status: HTTP status; of a stream that ended in an error, that error's.
        code: `ok`, the failure's code, or `client_gone`.
        model: A catalog id, `NO_MODEL` or `UNKNOWN_MODEL`.
        images: Images that were asked for; 0 where the fields were not read.
        seconds: From its arrival to the end of its answer.
    """

    route: str
    status: int
    code: str
    model: str
    images: int
    seconds: float


class Observer(Protocol):
    """Hears of requests. It must be quick and must not raise."""

    def ended(self, outcome: Outcome) -> None:
        """A request has ended."""
        ...
