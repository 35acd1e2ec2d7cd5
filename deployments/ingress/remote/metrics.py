"""The ingress' metrics, exported through Ray.

Labels are bounded: catalog ids, route templates, statuses and error codes; and as many names of API
keys as the configuration allows.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.errors import Overloaded
from deployments.ingress.core.callbacks.ports import Outcome as CallbackOutcome
from deployments.ingress.core.usage import End
from deployments.ingress.http.outcome import Outcome

SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
"""Upper bounds of the histograms' buckets: from a listing to a whole deadline."""

NO_KEY = "(no key)"
"""The label of callers without an API key."""

OTHER_KEYS = "(other keys)"
"""The label of API keys that have none of their own."""


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


class UsageMetrics:
    """A `usage.Counting` that exports what it hears as Ray metrics.

    A key has a label of its own where it is among the first of the ring, and while there are no
    more such labels than may be; all others share one.

    Args:
        most: API keys that have a label of their own, at most.
        names: The names of all keys, in the order of the ring.
    """

    def __init__(self, most: int, names: Callable[[], Sequence[str]]) -> None:
        self._most = most
        self._names = names
        self._labels = {"": NO_KEY}
        self._requests = Counter(
            "backdrop_key_requests",
            "POST requests by API key, and how they ended.",
            ("api_key_name", "end"),  # type: ignore[arg-type]  # Ray says "one label"
        )
        self._images = Counter(
            "backdrop_key_images", "Images made and stored, by API key.", ("api_key_name",)
        )
        self._steps = Counter(
            "backdrop_key_steps", "Denoising steps of these images.", ("api_key_name",)
        )
        self._pixels = Counter("backdrop_key_pixels", "Pixels of these images.", ("api_key_name",))

    def asked(self, api_key_name: str, end: End) -> None:
        """Count a request."""
        self._requests.inc(1, {"api_key_name": self._label(api_key_name), "end": end})

    def made(self, api_key_name: str, steps: int, pixels: int) -> None:
        """Count an image."""
        tags = {"api_key_name": self._label(api_key_name)}
        self._images.inc(1, tags)
        if steps:  # a counter takes no zero
            self._steps.inc(steps, tags)
        self._pixels.inc(pixels, tags)

    def _label(self, name: str) -> str:
        if name in self._labels:
            return self._labels[name]
        if len(self._labels) > self._most or name not in self._names()[: self._most]:
            return OTHER_KEYS
        self._labels[name] = name
        return name


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
