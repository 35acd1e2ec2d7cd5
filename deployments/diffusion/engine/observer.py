"""What an engine tells about its work, for metrics. Knows nothing of what is made of it."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Hears of an engine's work, on any of its threads and its callers'.

    Every method must be quick, and must not raise or call the engine.
    """

    def ticked(self, rows: int, seconds: float) -> None:
        """A step was computed for so many rows of a forward."""
        ...

    def admitted(self, waited_s: float) -> None:
        """A job joined the steps, so long after its submission."""
        ...

    def cancelled(self, latency_s: float) -> None:
        """A job that was given up has left its place to others, so long after its cancel."""
        ...

    def queued(self, preparing: int, ready: int, decoding: int) -> None:
        """So many jobs wait for preparation, for room in the steps, and for the decoder.

        Those that are being prepared or decoded count.
        """
        ...

    def ran_out_of_memory(self) -> None:
        """A forward, a preparation or a decoding did not fit into memory."""
        ...
