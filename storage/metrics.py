"""The storage's metrics: an `Observer` that exports what it hears through Ray."""

from ray.serve.metrics import Counter, Histogram

_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


class StorageMetrics:
    """`observer.Observer` over Ray's metrics; Serve adds application, deployment and replica."""

    def __init__(self) -> None:
        """Register the metrics in this process."""
        self._operations = Counter(
            "backdrop_storage_operations",
            "Operations on the object store that have ended, the client's own retries within.",
            ("operation", "outcome"),  # type: ignore[arg-type]  # Ray says "one label"
        )
        self._seconds = Histogram(
            "backdrop_storage_operation_seconds",
            "Duration of an operation on the object store.",
            _SECONDS,
            ("operation",),
        )
        self._bytes = Counter(
            "backdrop_storage_bytes", "Bytes of content written and read.", ("operation",)
        )

    def operated(self, operation: str, outcome: str, seconds: float, size: int) -> None:
        """Count an operation and its bytes, and observe its duration."""
        self._operations.inc(1, {"operation": operation, "outcome": outcome})
        self._seconds.observe(seconds, {"operation": operation})
        if size:
            self._bytes.inc(size, {"operation": operation})
