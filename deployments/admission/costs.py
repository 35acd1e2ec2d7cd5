"""What requests of one model cost, learned from when their images are done.

A cost is in seconds of the whole model: of all its replicas and of what stands before and after
them, as fast as they are together. So the costs of what is in flight add up to the time until it is
all done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from deployments.admission_messages import Lease, MadeImage

Vector = npt.NDArray[np.float64]

_GUESS = np.array([0.5, 0.1, 0.05])
"""Seconds before anything was measured: of a search, of an image, of a step of an image."""
_SPREAD = np.array([0.5, 0.1, 5.0])
"""How far off each guess may be. Steps take a millisecond on a GPU, and seconds on a CPU."""
_DRIFT = 0.03
"""By how much of itself a cost may change from one window to the next."""
_SHARE = 0.2
"""Of a window's time, what each cost may always make up."""
_NOISE = 0.8
"""How far the time of a window of one image may be off, as a share of it; more images average."""
_SURPRISE = 4.0
"""A window that took more times longer than expected counts as one that took so much longer."""
_WINDOW_IMAGES = (1, 4, 16)
"""Images after which the first, the second and each later window ends while the model is busy."""
_SEEN_AT_ONCE = 8
"""Images that are taken to advance side by side; the others wait for their first step."""


class Costs:
    """The costs of a search, of an image and of a step of an image.

    A window is a time in which the model was never idle. What was done in it must have taken as
    long. From every window the three costs are corrected by a Kalman filter (R. Kalman, "A New
    Approach to Linear Filtering and Prediction Problems", 1960), with costs that drift. It asks
    nothing about the order in which images are done, so it holds for short and long ones together.

    The callers tell it the time, in seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._costs = _GUESS.copy()
        self._each: list[float] = _GUESS.tolist()
        self._doubt = np.diag(_SPREAD**2)
        self._windows = 0
        self._begun: float | None = None
        self._begun_with = np.zeros(3)
        self._done = np.zeros(3)
        self._images = 0
        self._held: Sequence[Lease] = ()
        self._seen = 0.0
        self._progress = 0.0
        # A window that began before the first image of all was done: the model may have loaded.
        self._loading = True

    @property
    def known(self) -> bool:
        """Whether anything was measured yet."""
        return self._windows > 0

    @property
    def _enough(self) -> int:
        """Images after which a window ends."""
        return _WINDOW_IMAGES[min(self._windows + (not self._loading), len(_WINDOW_IMAGES) - 1)]

    def of(self, lease: Lease) -> float:
        """What the images that a request still holds cost, in seconds."""
        search, image, step = self._each
        searches = lease.images / lease.asked if lease.searches else 0.0
        return search * searches + lease.images * (image + step * lease.steps)

    def total(self, leases: Iterable[Lease]) -> float:
        """What all these cost together, in seconds."""
        return sum(self.of(lease) for lease in leases)

    def left(self, now: float) -> float:
        """Seconds until all that is in flight is done, counting what is half done already."""
        return self.total(self._held) - self._advanced(now)

    def made(self, image: MadeImage) -> None:
        """Note an image that was made just now."""
        self._done += (image.search_share, 1.0, image.steps)
        self._images += 1

    def saw(self, leases: Sequence[Lease], now: float) -> None:
        """Learn what is in flight from now on; called after each change, and after `made`.

        Args:
            leases: What is held of the model.
            now: Seconds.
        """
        self._progress = self._advanced(now) - self._left_since(leases)
        self._held, self._seen = tuple(leases), now
        if self._begun is not None and (not leases or self._images >= self._enough):
            self._close(now - self._begun, leases)
            self._begin(_half_way(leases), now)
        if not leases:
            self._begun = None
        elif self._begun is None:
            self._begin(np.zeros(3), now)

    def _advanced(self, now: float) -> float:
        """Seconds that were spent already on what was in flight when it last changed."""
        images = sum(lease.images for lease in self._held)
        share = min(1.0, _SEEN_AT_ONCE / images) if images else 0.0
        most = share * self.total(self._held)
        return min(max(self._progress, 0.0) + now - self._seen, most)

    def _left_since(self, leases: Sequence[Lease]) -> float:
        """What the images cost that were in flight before and are not any more."""
        still = {lease.id: lease for lease in leases}
        gone = 0.0
        for lease in self._held:
            now = still.get(lease.id)
            gone += self.of(lease) - (self.of(now) if now else 0.0)
        return gone

    def _begin(self, progress: Vector, now: float) -> None:
        self._begun, self._begun_with = now, progress
        self._done, self._images = np.zeros(3), 0

    def _close(self, took: float, leases: Sequence[Lease]) -> None:
        """Learn from a window that took so long and ends with these in flight."""
        done = self._done + _half_way(leases) - self._begun_with
        if self._images and took > 0:
            self._learn(np.maximum(done, 0.0), took)

    def _learn(self, done: Vector, took: float) -> None:
        if self._windows == 1 and self._loading:
            # Now comes one that did not wait for the model to load.
            self._costs, self._doubt = _GUESS.copy(), np.diag(_SPREAD**2)
            self._loading = False
            self._windows = 0
        expected = float(self._costs @ done)
        if self._windows:
            took = min(max(took, expected / _SURPRISE), expected * _SURPRISE)
        # A cost that came out as nothing can grow again: each may be a fifth of all.
        least = _SHARE * took / np.maximum(done, 1.0)
        doubt = self._doubt + np.diag((_DRIFT * np.maximum(self._costs, least)) ** 2)
        gain = doubt @ done / (done @ doubt @ done + (_NOISE * took) ** 2 / self._images)
        self._costs = np.maximum(self._costs + gain * (took - expected), 1e-6)
        self._each = self._costs.tolist()
        self._doubt = doubt - np.outer(gain, done @ doubt)
        self._windows += 1


def _half_way(leases: Sequence[Lease]) -> Vector:
    """What is done already of what is in flight: half of what advances, on average."""
    searches = sum(lease.images / lease.asked for lease in leases if lease.searches)
    images = sum(lease.images for lease in leases)
    steps = sum(lease.images * lease.steps for lease in leases)
    share = 0.5 * min(1.0, _SEEN_AT_ONCE / images) if images else 0.0
    return share * np.array([searches, images, steps], np.float64)
