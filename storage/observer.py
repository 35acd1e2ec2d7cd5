"""What a store tells about its operations, for metrics."""

from typing import Protocol


class Observer(Protocol):
    """Hears of operations, on any thread. Every method must be quick and not raise."""

    def operated(self, operation: str, outcome: str, seconds: float, size: int) -> None:
        """An operation has ended.

        Args:
            operation: `put`, `get`, `delete`, `list`, `swap` or `check`.
            outcome: `ok`, `not_found`, `superseded`, `corrupt`, `unavailable`, `misconfigured` or
                `failed`.
            seconds: Its duration; a listing ends when it was read to its end or left.
            size: Bytes of content that were written or read.
        """
        ...
