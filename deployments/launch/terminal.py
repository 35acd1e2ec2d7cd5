"""The launcher's own lines on the terminal."""

from __future__ import annotations

import time


def say(line: str) -> None:
    """Print a line of the launcher's."""
    print(f"backdrop: {line}", flush=True)


class Reminder:
    """Says when it is time for another word about something that takes long.

    The gaps double, so that a wait of an hour is told in few lines.

    Args:
        first_s: Seconds until the first word.
    """

    def __init__(self, first_s: float) -> None:
        self._begun = time.monotonic()
        self._gap_s = first_s
        self._next = self._begun + first_s

    def is_due(self) -> bool:
        """Whether to say something now."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._gap_s *= 2
        self._next = now + self._gap_s
        return True

    @property
    def waited_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begun
