"""A day of arrivals against one model that scales by itself: waits, refusals, and what it costs.

    python k8s/day.py

prints the table of k8s/README.md. It counts in steps of a second: how many images arrive at random
by the hour of the day, how many the ready replicas make, how many wait, and what Serve's autoscaler
then asks for. A replica that is asked for comes after the time that a node, its image and the
weights take. Requests whose wait would pass `max_wait_s` are refused, as the admission does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from network_costs import GPU, costs

DAY_S = 86_400
MEANS = (1, 10, 100, 1000)
_QUIETEST_HOUR = 4
_SPIKE_S = (12 * 3600, 12 * 3600 + 600)


@dataclass(frozen=True, slots=True)
class Plan:
    """One model's deployment, and the load of its day.

    Attributes:
        mean: Images a second over the day.
        swing: How far the quietest and the busiest hour are from the mean, 0 to 1.
        spike: By how much arrivals grow for ten minutes at noon, as a campaign does.
        rate: Images a second of one replica.
        alone_s: Seconds that an image takes which waits for nothing.
        least: Replicas that are always there.
        most: Replicas at most.
        target: `target_ongoing_requests`: images that a replica should have.
        upscale_delay_s: How long more must be wanted until more is asked for.
        downscale_delay_s: How long fewer must be wanted until one is let go.
        startup_s: From asking for a replica until it is ready.
        max_wait_s: Longer waits are refused.
        seed: Of the arrivals.
    """

    mean: float
    rate: float
    least: int
    most: int
    target: int = 8
    swing: float = 0.8
    spike: float = 2.0
    alone_s: float = 6.0
    upscale_delay_s: int = 30
    downscale_delay_s: int = 600
    startup_s: int = 240
    max_wait_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """How the day was.

    Attributes:
        arrived: Images asked for.
        refused: Of them, those that were refused.
        waits: Seconds in line of the others: half of them, 95 % and 99 % waited no longer.
        replica_hours: Of all replicas, asked for until let go.
        peak: The most replicas at a time.
    """

    arrived: int
    refused: int
    waits: tuple[float, float, float]
    replica_hours: float
    peak: int


def arrivals(plan: Plan) -> np.ndarray:
    """Images that arrive in each second of the day, int64 [DAY_S]."""
    second = np.arange(DAY_S)
    hour = second / 3600 - _QUIETEST_HOUR
    expected = plan.mean * (1 - plan.swing * np.cos(2 * np.pi * hour / 24))
    expected[slice(*_SPIKE_S)] *= plan.spike
    return np.random.default_rng(plan.seed).poisson(expected)


class _Replicas:
    """Those that are ready and those that come, as Serve's autoscaler wants them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.ready = plan.least
        self._coming: deque[tuple[int, int]] = deque()
        self._more_since: int | None = None
        self._fewer_since: int | None = None

    @property
    def asked(self) -> int:
        """Ready ones and those to come."""
        return self.ready + sum(count for _, count in self._coming)

    def look(self, now: int, ongoing: float) -> None:
        """Let those come whose time it is, and ask for more or let some go."""
        plan = self._plan
        while self._coming and self._coming[0][0] <= now:
            self.ready += self._coming.popleft()[1]
        wanted = min(max(math.ceil(ongoing / plan.target), plan.least), plan.most)
        more, fewer = wanted > self.asked, wanted < self.asked and not self._coming
        self._more_since = (now if self._more_since is None else self._more_since) if more else None
        self._fewer_since = (
            (now if self._fewer_since is None else self._fewer_since) if fewer else None
        )
        if self._more_since is not None and now - self._more_since >= plan.upscale_delay_s:
            self._coming.append((now + plan.startup_s, wanted - self.asked))
            self._more_since = None
        elif self._fewer_since is not None and now - self._fewer_since >= plan.downscale_delay_s:
            self.ready = wanted
            self._fewer_since = None


def simulate(plan: Plan) -> Day:
    """Run the day."""
    replicas, asked = _Replicas(plan), arrivals(plan)
    line: deque[list[int]] = deque()  # seconds of arrival and how many of then still wait
    waits: dict[int, int] = {}
    waiting = refused = peak = 0
    spare = replica_seconds = 0.0
    for now, count in enumerate(asked.tolist()):
        speed = replicas.ready * plan.rate
        room = max(0, math.floor(speed * plan.max_wait_s) - waiting)
        taken = min(count, room)
        refused += count - taken
        if taken:
            line.append([now, taken])
            waiting += taken
        spare = min(spare + speed, max(speed, 1.0))  # an idle second makes none for later
        made = making = min(waiting, int(spare))
        spare -= made
        waiting -= made
        while making:
            first = line[0]
            part = min(first[1], making)
            waits[now - first[0]] = waits.get(now - first[0], 0) + part
            first[1] -= part
            making -= part
            if not first[1]:
                line.popleft()
        replicas.look(now, waiting + made * plan.alone_s)
        replica_seconds += replicas.asked
        peak = max(peak, replicas.asked)
    return Day(int(asked.sum()), refused, _quantiles(waits), replica_seconds / 3600, peak)


def _quantiles(waits: dict[int, int]) -> tuple[float, float, float]:
    seconds = np.array(sorted(waits), float)
    total = np.cumsum([waits[int(second)] for second in seconds])
    low, high, highest = (
        float(seconds[np.searchsorted(total, share * total[-1])]) for share in (0.5, 0.95, 0.99)
    )
    return low, high, highest


def plans(rate: float) -> Iterator[Plan]:
    """What the table compares, of a replica that makes `rate` images a second."""
    for mean in MEANS:
        enough = math.ceil(mean / rate)
        scaled = Plan(mean, rate, least=1, most=5 * enough)
        for least in dict.fromkeys((max(1, enough // 4), enough, 2 * enough, 4 * enough)):
            yield replace(scaled, least=least)


def table(rate: float) -> Iterator[str]:
    """The lines of the table, in Markdown, of a replica that makes `rate` images a second."""
    heads = ("images/s", "always there", "at most at once", "replica hours", "refused", "waits, s")
    yield f"| {' | '.join(heads)} |"
    yield "|---|---|---|---|---|---|"
    for plan in plans(rate):
        day = simulate(plan)
        yield (
            f"| {plan.mean:,} | {plan.least:,} | {day.peak:,} | {day.replica_hours:,.0f} | "
            f"{day.refused / day.arrived:.2%} | {', '.join(f'{wait:.0f}' for wait in day.waits)} |"
        )


if __name__ == "__main__":
    print("\n".join(table(costs()[0].images_per_s(GPU))))
