"""What an engine tells about its work, for metrics."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Hears of an engine's work, on any of its threads and its callers'.

    Every method must be quick, and must not raise or call the engine.
    """

    def ticked(self, rows: int, seconds: float) -> None:
        """A forward was computed: its rows and its seconds."""
        ...

    def admitted(self, waited_s: float) -> None:
        """A job began to run, so many seconds after its submission."""
        ...

    def cancelled(self, latency_s: float) -> None:
        """A cancelled job has left, so many seconds after it was cancelled."""
        ...

    def queued(self, preparing: int, ready: int, decoding: int) -> None:
        """The number of jobs before the end of their preparation, ready to run, and in decoding.

        A job that waits for its preparation or for the decoder counts too.
        """
        ...

    def ran_out_of_memory(self) -> None:
        """A forward, a preparation or a decoding did not fit into memory."""
        ...
