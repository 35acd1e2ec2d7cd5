"""Places for one model's images, shared fairly among API keys, and how soon places come free.

This is arithmetic over the leases that the callers show; they also tell the time.

A key's share is the bound divided by the number of keys that hold or want places. While there are
several such keys, none may come to hold more than its share; a single key may hold all places. What
a key holds above its share is not taken from it. When these places come free, they go to keys below
their share. A key that was refused counts as wanting until it should have asked again.

A request is admitted whole or not at all. So that small requests do not starve a large one, there
are two rules. A key that holds nothing may exceed its share by one request. And the places that the
longest waiting key needs are kept from all other keys.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.admission.occupancy import Occupancy
from deployments.admission_messages import Lease, MadeImage
from deployments.errors import Overloaded

SLACK_S = 3.0
"""Seconds after the suggested wait during which a key still counts as wanting."""

SHORTEST_WAIT_S = 1.0
"""Suggested before anything was measured. Retry-After has whole seconds, so there is no less."""


@dataclass(frozen=True, slots=True)
class _Want:
    since: float
    until: float
    images: int


class Places:
    """A bounded number of places for images of one model.

    Args:
        model: Catalog id, for messages.
        limit: Number of places.
        max_wait_s: While others are in flight, a request is refused if at the measured speed it
            would be done only after so many seconds.
    """

    SMOOTHING = 0.2

    def __init__(self, model: str, limit: int, max_wait_s: float = math.inf) -> None:
        self._model = model
        self._limit = limit
        self._max_wait_s = max_wait_s
        self._wants: dict[str, _Want] = {}
        self._steps_per_s: float | None = None
        self._occupancy = Occupancy()
        # When the first image of all was made; None once an image was made that began after that.
        self._first_made: float | None = None

    def take(self, lease: Lease, leases: Sequence[Lease], now: float) -> None:
        """Admit a request; the caller then adds its lease to the others.

        Args:
            lease: What it asks for.
            leases: What is held of this model.
            now: Seconds of a monotonic clock.

        Raises:
            Overloaded: It would exceed the bound or the key's share, or take too long. The wait in
                the error is the time until enough places come free, at the measured speed.
        """
        self._wants = {key: want for key, want in self._wants.items() if want.until > now}
        held = Counter[str]()
        for other in leases:
            held[other.api_key_name] += other.images
        rivals = (held.keys() | self._wants.keys()) - {lease.api_key_name}
        free = self._limit - held.total() - self._kept_free(lease.api_key_name, rivals, held)
        own, total = held[lease.api_key_name], held.total()
        share = self._limit / (len(rivals) + 1)
        if rivals and own and own + lease.images > share:
            missing = min(own + lease.images - share, own)
            raise self._refused(
                lease,
                f"this key has {own} images of model {self._model!r} in flight, and its share is "
                f"{share:.3g} while {len(rivals) + 1} keys use the model; {lease.images} more do "
                "not fit now",
                self._wait_s(missing, leases, own),
                now,
            )
        if lease.images > free:
            missing = min(lease.images - free, total)
            raise self._refused(
                lease,
                f"model {self._model!r} has {total} images in flight and takes at most "
                f"{self._limit}; {lease.images} more do not fit now",
                self._wait_s(missing, leases, total),
                now,
            )
        late_s = self._done_s(lease, leases) - self._max_wait_s
        if leases and late_s > 0:
            raise self._refused(
                lease,
                f"model {self._model!r} has {total} images in flight, and {lease.images} more "
                f"would not be done within {self._max_wait_s:g} s",
                late_s,
                now,
            )
        self._wants.pop(lease.api_key_name, None)

    def saw(self, leases: Sequence[Lease], now: float) -> None:
        """Learn what is held from now on; called after each change.

        Args:
            leases: What is held of this model.
            now: Seconds of a monotonic clock.
        """
        self._occupancy.now_is(sum(lease.images for lease in leases), now)

    def measure(self, made: MadeImage, now: float) -> None:
        """Learn the model's speed from an image that was made just now, by Little's law.

        While an image is made, each of the others in flight advances as far. So the model takes
        (images in flight x steps) / seconds steps a second. The images in flight are the mean over
        those seconds, because the last images of a request leave alone. The first images of all may
        have waited for the model to load. What is learned from them counts only until an image is
        made that began after the first one was done.

        Args:
            made: The image.
            now: Seconds of a monotonic clock.
        """
        in_flight = max(1.0, self._occupancy.mean(made.held_s, now))
        steps_per_s = in_flight * made.steps / made.held_s
        previous = self._steps_per_s
        if previous is None:
            previous, self._first_made = steps_per_s, now
        elif self._first_made is not None and now - made.held_s >= self._first_made:
            previous, self._first_made = steps_per_s, None
        self._steps_per_s = previous + self.SMOOTHING * (steps_per_s - previous)

    def _kept_free(self, key: str, rivals: set[str], held: Counter[str]) -> int:
        """Places kept for the key that is below its share and has wanted longest."""
        share = self._limit / (len(rivals) + 1)
        since = self._wants[key].since if key in self._wants else math.inf
        ahead = [
            want
            for rival, want in self._wants.items()
            if rival in rivals
            and want.since < since
            and (not held[rival] or held[rival] + want.images <= share)
        ]
        return min(ahead, key=lambda want: want.since).images if ahead else 0

    def _done_s(self, lease: Lease, leases: Sequence[Lease]) -> float:
        """Seconds until a request is done; all images in flight share the model's speed."""
        if self._steps_per_s is None:
            return 0.0
        steps = sum(other.images * other.steps for other in (*leases, lease))
        return steps / self._steps_per_s

    def _wait_s(self, missing: float, leases: Sequence[Lease], leaving: int) -> float:
        """Seconds until so many places come free.

        Args:
            missing: How many places.
            leases: All images in flight; they share the model's speed.
            leaving: How many of these images hold places that would help.
        """
        if self._steps_per_s is None or not leaving:
            return SHORTEST_WAIT_S
        steps = sum(lease.images * lease.steps for lease in leases)
        return missing / leaving * steps / self._steps_per_s

    def _refused(self, lease: Lease, sentence: str, wait_s: float, now: float) -> Overloaded:
        if lease.images <= self._limit:
            known = self._wants.get(lease.api_key_name)
            until = now + max(wait_s, SHORTEST_WAIT_S) * 1.5 + SLACK_S
            self._wants[lease.api_key_name] = _Want(
                known.since if known else now, until, lease.images
            )
        return Overloaded(sentence, retry_after_s=wait_s)
