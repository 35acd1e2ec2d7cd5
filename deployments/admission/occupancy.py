"""The mean number of a model's images in flight over the last seconds."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

_REMEMBERED = 2048
"""Number of changes that are remembered; what was before them is not known."""


class Occupancy:
    """How many images were in flight at which time; its callers tell it the time."""

    def __init__(self) -> None:
        self._changes: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def now_is(self, images: int, now: float) -> None:
        """Note how many images are in flight from now on.

        Args:
            images: Their number.
            now: Seconds of a monotonic clock, never less than before.
        """
        if not self._changes or self._changes[-1][1] != images:
            self._changes.append((now, images))

    def mean(self, seconds: float, now: float) -> float:
        """Compute the mean over the last seconds, as far back as it is known.

        Args:
            seconds: How many, above 0.
            now: Seconds of a monotonic clock, never less than before.

        Returns:
            The present number when nothing earlier is known; 0 when nothing is known.
        """
        since = now - seconds
        total = known = 0.0
        ends = [*self._changes, (now, 0)]
        for (begun, images), (ended, _) in pairwise(ends):
            lasted = ended - max(begun, since)
            if lasted > 0:
                total += images * lasted
                known += lasted
        if known == 0:
            return float(self._changes[-1][1]) if self._changes else 0.0
        return total / known
