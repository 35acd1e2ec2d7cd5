"""The metrics of a model replica, exported through Ray."""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class EngineMetrics:
    """An engine's `Observer` that exports what it hears as Ray metrics, with the model as label.

    Args:
        model: Catalog id.
    """

    def __init__(self, model: str) -> None:
        labels = ("model",)
        self._ticks = Counter("backdrop_engine_ticks", "Steps computed.", labels)
        self._tick_rows = Histogram(
            "backdrop_engine_tick_rows", "Rows of a step.", list(_ROWS), labels
        )
        self._tick_s = Histogram(
            "backdrop_engine_tick_seconds", "Duration of a step.", list(_SECONDS), labels
        )
        self._wait_s = Histogram(
            "backdrop_engine_admission_wait_seconds",
            "Time between an image's submission and its first step.",
            list(_SECONDS),
            labels,
        )
        self._cancel_s = Histogram(
            "backdrop_engine_cancel_latency_seconds",
            "Time from an image's cancellation until it has left the engine.",
            list(_SECONDS),
            labels,
        )
        self._queued = Gauge(
            "backdrop_engine_queue_images",
            "Images before the end of their preparation, ready to run, and in decoding.",
            (*labels, "stage"),
        )
        self._out_of_memory = Counter(
            "backdrop_engine_out_of_memory", "Computations that did not fit into memory.", labels
        )
        for metric in (
            self._ticks,
            self._tick_rows,
            self._tick_s,
            self._wait_s,
            self._cancel_s,
            self._queued,
            self._out_of_memory,
        ):
            metric.set_default_tags({"model": model})

    def ticked(self, rows: int, seconds: float) -> None:
        """Count a step, its rows and its duration."""
        self._ticks.inc()
        self._tick_rows.observe(rows)
        self._tick_s.observe(seconds)

    def admitted(self, waited_s: float) -> None:
        """Observe an image's wait for its first step."""
        self._wait_s.observe(waited_s)

    def cancelled(self, latency_s: float) -> None:
        """Observe how long a cancelled image stayed in the engine."""
        self._cancel_s.observe(latency_s)

    def queued(self, preparing: int, ready: int, decoding: int) -> None:
        """Set the lengths of the queues."""
        self._queued.set(preparing, {"stage": "preparing"})
        self._queued.set(ready, {"stage": "ready"})
        self._queued.set(decoding, {"stage": "decoding"})

    def ran_out_of_memory(self) -> None:
        """Count a computation that did not fit into memory."""
        self._out_of_memory.inc()
