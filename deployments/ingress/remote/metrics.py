"""The ingress' metrics, exported through Ray.

Labels are bounded: catalog ids, route templates, statuses and error codes.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator
from contextlib import contextmanager

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.errors import Overloaded
from deployments.ingress.core.callbacks.ports import Outcome as CallbackOutcome
from deployments.ingress.http.outcome import Outcome

SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
"""Upper bounds of the histograms' buckets: from a listing to a whole deadline."""


class ApiMetrics:
    """An `outcome.Observer` over Ray's metrics; Serve adds application, deployment and replica."""

    def __init__(self) -> None:
        self._requests = Counter(
            "backdrop_api_requests",
            "HTTP requests that have ended.",
            ("route", "model", "status", "code"),  # type: ignore[arg-type]  # Ray says "one label"
        )
        self._seconds = Histogram(
            "backdrop_api_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            SECONDS,
            ("route", "model"),  # type: ignore[arg-type]  # Ray says "one label"
        )
        self._refused = Counter(
            "backdrop_admission_refused_images",
            "Images asked for by requests that found no room, or were over a rate.",
            ("model", "reason"),  # type: ignore[arg-type]  # Ray says "one label"
        )

    def ended(self, outcome: Outcome) -> None:
        """Count a request, observe its duration, and count the images of a refused one."""
        tags = {"route": outcome.route, "model": outcome.model}
        self._requests.inc(1, {**tags, "status": str(outcome.status), "code": outcome.code})
        self._seconds.observe(outcome.seconds, tags)
        if outcome.status == Overloaded.status and outcome.images:
            self._refused.inc(outcome.images, {"model": outcome.model, "reason": outcome.code})


class RetryCounter:
    """A `retries.RetryObserver` that exports what it hears as a Ray metric."""

    def __init__(self) -> None:
        self._retries = Counter(
            "backdrop_retries",
            "Calls made again, by the deployment that failed and why.",
            tag_keys=("callee", "reason"),  # type: ignore[arg-type]  # Ray says "one label"
        )

    def retried(self, deployment: str, reason: str) -> None:
        """Count it."""
        self._retries.inc(1.0, {"callee": deployment, "reason": reason})


class CallbackCounter:
    """A `receivers.Counting` that exports what it hears as a Ray metric."""

    def __init__(self) -> None:
        self._callbacks = Counter(
            "backdrop_callbacks",
            "Tries to call a receiver back, by what has become of them.",
            ("outcome",),
        )

    def count(self, outcome: CallbackOutcome) -> None:
        """Count one."""
        self._callbacks.inc(1, {"outcome": outcome})


class ImageMetrics:
    """Counts the images of one ingress replica on their way, and those that were stored."""

    def __init__(self) -> None:
        self._in_flight: Counts[str] = Counts()
        self._gauge = Gauge(
            "backdrop_images_in_flight",
            "Images sent to a model by this ingress replica and not back yet.",
            ("model",),
        )
        self._stored = Counter("backdrop_images_stored", "Images made and stored.", ("model",))

    @contextmanager
    def in_flight(self, model: str) -> Iterator[None]:
        """Count an image as long as its model has it."""
        self._move(model, 1)
        try:
            yield
        finally:
            self._move(model, -1)

    def stored(self, model: str) -> None:
        """Count an image that was stored."""
        self._stored.inc(1, {"model": model})

    def _move(self, model: str, images: int) -> None:
        self._in_flight[model] += images
        self._gauge.set(self._in_flight[model], {"model": model})
