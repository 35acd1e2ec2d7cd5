"""Room for one model's images, shared fairly among API keys, and when there is room again.

This is arithmetic over the leases that the callers show; they also tell the time.

Room is bounded twice: by images in flight, and by the seconds that they take together. A key's
share of both is the bound divided by the number of keys that hold or want room. While there are
several such keys, none may come to hold more than its share; a single key may hold everything. What
a key holds above its share is not taken from it. When this room comes free, it goes to keys below
their share.

A request is admitted whole or not at all. So that small requests do not starve a large one, there
are two rules. A key that holds nothing may exceed its share by one request, and waits for nobody's
seconds. And the images that the longest waiting key needs are kept from all other keys.

Who is refused stands in line: it is told when there will be room behind those before it, and the
room is kept for it then. Nobody knows callers of one key apart, so who comes when a place in its
key's line is due takes that place. A place that nobody takes is gone a little later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployments.admission.costs import Costs
from deployments.admission_messages import Lease, MadeImage
from deployments.errors import Overloaded

SLACK_S = 3.0
"""Seconds after it is due for which a place in line is kept."""

OPEN_S = 1.2
"""Seconds after it is due from which any request of its key takes it, and not only the one that it
was given to. Who honours Retry-After, in whole seconds, comes before."""

MOST_IN_LINE = 256
"""Places in the line of one key; who comes later is told to wait as long as the last of them."""

_CAUTION = 1.1
"""By how much waits are told longer than they are expected to be."""

_SMOOTHING = 0.05
"""Weight of the newest place in line in the share of those that were taken."""

SHORTEST_WAIT_S = 1.0
"""Suggested before anything was measured. Retry-After has whole seconds, so there is no less."""


@dataclass(slots=True)
class _InLine:
    """A place in a key's line.

    Attributes:
        since: When it was given.
        due: When there is room for it.
        lease: What was asked for.
    """

    since: float
    due: float
    lease: Lease


@dataclass(frozen=True, slots=True)
class _View:
    """What bears on one request.

    Attributes:
        lease: What it asks for.
        cost: What that takes, in seconds.
        total: Images in flight.
        own: Those of its key.
        total_s: Seconds that all in flight still takes.
        own_s: Those of its key.
        kept: Images that are kept for another key.
        keys: Number of keys that hold or want room, its own included.
    """

    lease: Lease
    cost: float
    total: int
    own: int
    total_s: float
    own_s: float
    kept: int
    keys: int

    @property
    def pace(self) -> float:
        """The part of the model's time that its key gets."""
        return max(1 / self.keys, self.own_s / self.total_s if self.total_s else 1.0)


@dataclass(frozen=True, slots=True)
class _Before:
    """What is admitted before a request is.

    Attributes:
        images: Images that its key asked for before, and waits for.
        seconds: Seconds that these take.
        passed: Seconds that pass until then.
    """

    images: float = 0.0
    seconds: float = 0.0
    passed: float = 0.0


class Places:
    """A bounded room for images of one model.

    Args:
        model: Catalog id, for messages.
        limit: Number of images.
        max_wait_s: While others are in flight, a request is refused if it would be done only after
            so many seconds.
    """

    def __init__(self, model: str, limit: int, max_wait_s: float = math.inf) -> None:
        self._model = model
        self._limit = limit
        self._max_wait_s = max_wait_s
        self._lines: dict[str, list[_InLine]] = {}
        self._costs = Costs()
        self._returning = 1.0

    def take(self, lease: Lease, leases: Sequence[Lease], now: float) -> float | None:
        """Admit a request; the caller then adds its lease to the others.

        Args:
            lease: What it asks for.
            leases: What is held of this model.
            now: Seconds of a monotonic clock.

        Returns:
            Seconds after which it is probably done; None as long as nothing was measured.

        Raises:
            Overloaded: It would exceed a bound or the key's share. The wait in the error is the
                time until there is room for it.
        """
        self._forget(now)
        key = lease.api_key_name
        line = self._lines.get(key, [])
        place = _found(line, lease, now)
        view = self._view(lease, leases, now)
        before: list[_Before] = []
        if view.own:
            before = self._before(line if place is None else line[: line.index(place)], now)
        if not any(self._reasons(view, then) for then in (_Before(), *before)):
            if place is not None:
                line.remove(place)
                self._came(place.lease.mark == lease.mark)
            return view.total_s + view.cost if self._costs.known else None
        last = replace(before[-1], passed=0.0) if before else _Before()
        sentence, wait_s = self._refusal(view, last)
        due = now + max(wait_s, SHORTEST_WAIT_S)
        if place is not None:
            place.due, place.lease = due, lease
        elif lease.images <= self._limit and len(line) < MOST_IN_LINE:
            self._lines.setdefault(key, []).append(_InLine(now, due, lease))
        raise Overloaded(sentence, retry_after_s=wait_s)

    def saw(self, leases: Sequence[Lease], now: float) -> None:
        """Learn what is held from now on; called after each change.

        Args:
            leases: What is held of this model.
            now: Seconds of a monotonic clock.
        """
        self._costs.saw(leases, now)

    def made(self, image: MadeImage) -> None:
        """Learn of an image that was made just now; `saw` is called after it."""
        self._costs.made(image)

    def _view(self, lease: Lease, leases: Sequence[Lease], now: float) -> _View:
        key, costs = lease.api_key_name, self._costs
        held, seconds = Counter[str](), Counter[str]()
        for other in leases:
            held[other.api_key_name] += other.images
            seconds[other.api_key_name] += costs.of(other)  # type: ignore[assignment]
        total_s = sum(seconds.values())
        left = costs.left(now) / total_s if total_s else 0.0
        rivals = (held.keys() | self._lines.keys()) - {key}
        return _View(
            lease=lease,
            cost=costs.of(lease),
            total=held.total(),
            own=held[key],
            total_s=total_s * left,
            own_s=seconds[key] * left,
            kept=self._kept_free(key, rivals, held),
            keys=len(rivals) + 1,
        )

    def _before(self, line: Sequence[_InLine], now: float) -> list[_Before]:
        """What is admitted when each of these places is due."""
        before, images, seconds = [], 0.0, 0.0
        for place in line:
            images += self._returning * place.lease.images
            seconds += self._returning * self._costs.of(place.lease)
            before.append(_Before(images, seconds, max(place.due - now, 0.0)))
        return before

    def _reasons(self, view: _View, before: _Before) -> list[tuple[str, float]]:
        """Why there is no room, each with the seconds until there is; none where there is."""
        lease, reasons = view.lease, []
        share = self._limit / view.keys
        done = 0.0  # images, until then
        if before.passed:
            done = before.passed * view.total / max(view.total_s, before.passed)
        own = view.own + before.images - min(done * view.pace, view.own)
        if view.keys > 1 and view.own and own + lease.images > share:
            reasons.append(
                (
                    f"this key has {view.own} images of model {self._model!r} in flight, and its "
                    f"share is {share:.3g} while {view.keys} keys use the model; {lease.images} "
                    "more do not fit now",
                    self._until(own + lease.images - share, own, view.own_s + before.seconds)
                    / view.pace,
                )
            )
        total = view.total + before.images - done
        missing = total + lease.images + view.kept - self._limit
        if missing > 0:
            reasons.append(
                (
                    f"model {self._model!r} has {view.total} images in flight and takes at most "
                    f"{self._limit}; {lease.images} more do not fit now",
                    self._until(missing, total, view.total_s + before.seconds),
                )
            )
        if self._costs.known and view.own:
            more_s = before.seconds + view.cost
            late_s = max(
                view.total_s + more_s - before.passed - self._max_wait_s,
                (view.own_s + more_s - self._max_wait_s / view.keys) / view.pace - before.passed,
            )
            if late_s > 0:
                reasons.append(
                    (
                        f"model {self._model!r} has {view.total} images in flight, and "
                        f"{lease.images} more would not be done within {self._max_wait_s:g} s",
                        late_s,
                    )
                )
        return reasons

    def _refusal(self, view: _View, before: _Before) -> tuple[str, float]:
        """The sentence of a refusal, and in how many seconds there is room."""
        reasons = self._reasons(view, before)
        wait_s = max(wait_s for _, wait_s in reasons)
        if self._costs.known:
            # Room comes in the sizes of images, and the costs are estimates: rather a little late
            # than once more in vain.
            wait_s = _CAUTION * wait_s + (view.total_s / view.total if view.total else 0.0)
        return reasons[0][0], wait_s

    def _until(self, missing: float, images: float, seconds: float) -> float:
        """Seconds until so many of these images are done, which take so many seconds together."""
        if not self._costs.known or not images:
            return SHORTEST_WAIT_S
        return min(missing / images, 1.0) * seconds

    def _kept_free(self, key: str, rivals: set[str], held: Counter[str]) -> int:
        """Images kept for the key that is below its share and has wanted longest."""
        share = self._limit / (len(rivals) + 1)
        own = self._lines.get(key)
        since = own[0].since if own else math.inf
        ahead = [
            line[0]
            for rival, line in self._lines.items()
            if rival in rivals
            and line[0].since < since
            and (not held[rival] or held[rival] + line[0].lease.images <= share)
        ]
        return min(ahead, key=lambda place: place.since).lease.images if ahead else 0

    def _forget(self, now: float) -> None:
        """Forget the places in line that nobody took."""
        for key, line in list(self._lines.items()):
            for place in [place for place in line if place.due + SLACK_S <= now]:
                line.remove(place)
                self._came(False)
            if not line:
                del self._lines[key]

    def _came(self, came: bool) -> None:
        """Learn how many of those who were refused come again when they were told to."""
        self._returning += _SMOOTHING * (came - self._returning)


def _found(line: Sequence[_InLine], lease: Lease, now: float) -> _InLine | None:
    """The place in its key's line that a request takes; None where it is a new one."""
    own = next((place for place in line if place.lease.mark == lease.mark), None)
    return own or next((place for place in line if place.due + OPEN_S <= now), None)
