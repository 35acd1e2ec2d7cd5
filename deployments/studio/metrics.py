"""A studio's metrics: an `Observer` that exports what it hears through Ray."""

from __future__ import annotations

from ray.serve.metrics import Counter, Histogram

SECONDS = [0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
"""Upper bounds of the histogram's buckets: from a small PNG to a search on a slow core."""


class StudioMetrics:
    """`observer.Observer` over Ray's metrics; Serve adds application, deployment and replica."""

    def __init__(self) -> None:
        self._operations = Counter(
            "backdrop_studio_operations",
            "Operations on pixels that have ended.",
            ("operation", "outcome"),  # type: ignore[arg-type]  # Ray says "one label"
        )
        self._seconds = Histogram(
            "backdrop_studio_operation_seconds",
            "Time an operation on pixels held a thread.",
            SECONDS,
            ("operation",),
        )

    def worked(self, operation: str, outcome: str, seconds: float) -> None:
        """Count an operation and observe its duration."""
        self._operations.inc(1, {"operation": operation, "outcome": outcome})
        self._seconds.observe(seconds, {"operation": operation})
