"""What a studio tells about its work, for metrics."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Hears of a studio's work, on any of its threads. Every method must be quick and not raise."""

    def worked(self, operation: str, outcome: str, seconds: float) -> None:
        """An operation has ended, so long after a thread took it up.

        Args:
            operation: Name of the studio's method.
            outcome: `ok`, `not_found` where there is no product, `refused` where a mask marks
                none, or `failed`.
            seconds: Its duration, without its wait for a thread.
        """
        ...
