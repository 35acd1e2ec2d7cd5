"""What a batch prints: one line that changes on a terminal, and now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from datetime import datetime
from typing import TextIO

LINE_S = 30.0
"""Between two lines about how far it is, where these are not shown in one place."""

REMEMBERED = 100
"""Jobs whose ends tell the speed."""


class Progress:
    """Counts, and shows how far it is.

    Args:
        total: Entries of the batch.
        done: Those that are done from the start.
        stream: Where it prints.

    Attributes:
        done: Entries whose images are saved.
        failed: Entries that failed.
        under_way: Entries whose jobs are not done.
    """

    def __init__(self, total: int, done: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._told = time.monotonic()
        self._ends: deque[float] = deque(maxlen=REMEMBERED)
        self.done = done
        self.failed = 0
        self.under_way = 0

    def ended(self, when: str | None) -> None:
        """A job has ended at a time that the service told, in ISO 8601."""
        if when is not None:
            self._ends.append(datetime.fromisoformat(when).timestamp())

    def say(self, line: str) -> None:
        """Print a line that stays."""
        clear = "\r\x1b[K" if self._terminal else ""
        print(f"{clear}backdrop: {line}", file=self._stream, flush=True)
        if self._terminal:
            self.show()

    def show(self) -> None:
        """Show how far it is."""
        if self._terminal:
            print(f"\r\x1b[K{self}", end="", file=self._stream, flush=True)
        elif time.monotonic() - self._told >= LINE_S:
            self._told = time.monotonic()
            print(f"backdrop: {self}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the line where it is."""
        if self._terminal:
            print(file=self._stream, flush=True)

    def __str__(self) -> str:
        told = [f"{self.done} of {self._total} done"]
        if self.failed:
            told.append(f"{self.failed} failed")
        if self.under_way:
            told.append(f"{self.under_way} under way")
        rate = self._rate()
        if rate:
            left_s = (self._total - self.done - self.failed) / rate
            told.append(f"{rate * 60:.0f} photos a minute, about {_duration(left_s)} left")
        return ", ".join(told)

    def _rate(self) -> float:
        """Photos a second by the ends of the last jobs; 0 where that is not known."""
        ends = sorted(self._ends)
        if len(ends) < 3 or ends[-1] == ends[0]:
            return 0.0
        return (len(ends) - 1) / (ends[-1] - ends[0])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
