"""Whose turn it is: jobs grouped by picture size, who joins, and whom the next forward serves.

Groups share the time by start-time fair queuing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair
Queuing", SIGCOMM 1996), weighted by their running rows: a group is charged a forward's seconds
divided by those rows. So all running rows have the same claim to the time. A large picture takes
its steps more rarely than a small one beside it, and a size with few jobs, whose forwards last
nearly as long as full ones, does not take the time from a crowded one. While two sizes both have
running jobs, what each was charged since differs by at most one forward of either. Within a size
the order is that of submission. Knows no threads, tensors or models: its caller holds a lock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Size = tuple[int, int]
"""Height and width of a picture in pixels."""

MOST_SIZES = 4
"""Sizes that may have jobs in flight at once: each more makes all the others' steps rarer."""

MOST_DECODING = 16
"""Jobs that wait for the decoder; while there are so many, none joins the steps."""


@dataclass(slots=True, eq=False)
class Seat:
    """One job's place in the order.

    Attributes:
        size: Height and width of its picture in pixels.
        rows: Rows of a forward that it takes.
        number: Its place in the order of submission, given by `Turns.submit`.
    """

    size: Size
    rows: int
    number: int = field(default=0, init=False)


Seated = TypeVar("Seated", bound=Seat)


@dataclass(slots=True, eq=False)
class _Group(Generic[Seated]):
    """The jobs of one size.

    Attributes:
        capacity: Rows that may run at once.
        cost: What it was charged, in seconds for each row, on the clock that all groups share.
        opened: Which group in order of opening it was; None while it only has waiting jobs.
        served: The number of its last forward.
    """

    size: Size
    capacity: int
    cost: float
    opened: int | None = None
    served: int = 0
    waiting: deque[Seated] = field(default_factory=deque)
    preparing: deque[Seated] = field(default_factory=deque)
    ready: deque[Seated] = field(default_factory=deque)
    running: deque[Seated] = field(default_factory=deque)

    @property
    def queues(self) -> tuple[deque[Seated], ...]:
        """All its jobs, those furthest on first."""
        return self.running, self.ready, self.preparing, self.waiting

    @property
    def in_flight(self) -> bool:
        return bool(self.running or self.ready or self.preparing)

    def fits(self, seat: Seated, *queues: Iterable[Seated]) -> bool:
        """Whether a job has room beside those; the first always has."""
        rows = _rows(*queues)
        return rows == 0 or rows + seat.rows <= self.capacity


class Turns(Generic[Seated]):
    """Jobs from their submission to their last step.

    A job waits, is prepared, is ready, and runs. Jobs are prepared in order of submission, those
    that would run at once before those prepared ahead, of which a size has at most one forward.
    Jobs of a size with room overtake those of a full one. At most MOST_SIZES sizes have jobs past
    waiting. Where more want to, the longest waiting of the others makes the size that was opened
    first take no job submitted later than itself, so it waits for what was submitted before it and
    no more; the second longest waiting does so to the next size, and so on.

    Args:
        capacity: Height and width in pixels to the rows of a forward.
    """

    def __init__(self, capacity: Callable[[int, int], int]) -> None:
        self._capacity = capacity
        self._groups: dict[Size, _Group[Seated]] = {}
        self._shrunk: dict[Size, int] = {}
        # A size that comes back soon keeps what it was charged, or one-step jobs would rule.
        self._debts: dict[Size, float] = {}
        self._now = 0.0
        self._submitted = 0
        self._openings = 0
        self._forwards = 0
        self._forward: tuple[Seated, ...] = ()
        self._leaving: set[Seated] = set()

    def submit(self, seat: Seated) -> None:
        """Let a job wait behind all others."""
        self._submitted += 1
        seat.number = self._submitted
        group = self._groups.get(seat.size)
        if group is None:
            capacity = self._shrunk.get(seat.size) or self._capacity(*seat.size)
            group = _Group(seat.size, capacity, self._debts.pop(seat.size, 0.0))
            self._groups[seat.size] = group
        group.waiting.append(seat)

    def next_to_prepare(self) -> Seated | None:
        """Take the waiting job that is to be prepared now; None when there is none."""
        can_open, limits = self._doors()
        best: tuple[bool, int] | None = None
        chosen: _Group[Seated] | None = None
        for group in self._groups.values():
            if not group.waiting or (group.opened is None and group not in can_open):
                continue
            head = group.waiting[0]
            later = not group.fits(head, group.running, group.ready, group.preparing)
            if later and not group.fits(head, group.ready, group.preparing):
                continue
            if head.number < limits.get(group.size, math.inf) and (
                best is None or (later, head.number) < best
            ):
                best, chosen = (later, head.number), group
        if chosen is None:
            return None
        if chosen.opened is None:
            self._openings += 1
            chosen.opened = self._openings
        seat = chosen.waiting.popleft()
        chosen.preparing.append(seat)
        return seat

    def prepared(self, seat: Seated) -> None:
        """Let a job join when it has room."""
        group = self._groups[seat.size]
        group.preparing.remove(seat)
        group.ready.append(seat)

    def join(self) -> list[Seated]:
        """Let those that are ready and have room run from now on.

        Returns:
            Those that do.
        """
        joined = []
        for group in self._groups.values():
            if group.ready and not group.running:
                group.cost = max(group.cost, self._now)
            while group.ready and group.fits(group.ready[0], group.running):
                group.running.append(group.ready.popleft())
                joined.append(group.running[-1])
        return joined

    def begin_forward(self) -> tuple[Seated, ...]:
        """Choose the jobs of the next forward: of the size that was charged least.

        Of sizes that were charged alike it is the one that was not served for longest.

        Returns:
            Running jobs of one size, those first that were not served for longest; empty when none
            runs. `end_forward` must follow before the next one begins.
        """
        active = [group for group in self._groups.values() if group.running]
        if not active:
            return ()
        group = min(active, key=lambda one: (one.cost, one.served, one.opened))
        self._now = group.cost
        self._forwards += 1
        group.served = self._forwards
        self._debts = {size: debt for size, debt in self._debts.items() if debt > self._now}
        chosen: list[Seated] = []
        for seat in group.running:
            if not group.fits(seat, chosen):
                break
            chosen.append(seat)
        self._forward = tuple(chosen)
        return self._forward

    def end_forward(self, cost_s: float | None) -> list[Seated]:
        """Charge the forward to its size.

        Args:
            cost_s: What it cost, in seconds; None if it was not computed.

        Returns:
            The jobs that `leave` was told of meanwhile, whose rows are free only now.
        """
        forward, self._forward = self._forward, ()
        group = self._groups[forward[0].size]
        if cost_s is not None:
            group.cost += cost_s / _rows(group.running)
            group.running.rotate(-len(forward))
        left = [seat for seat in forward if seat in self._leaving]
        for seat in left:
            self._leaving.remove(seat)
            self.leave(seat)
        return left

    def shrink(self) -> int:
        """Let forwards of the present one's size have half of its rows from now on.

        Returns:
            The rows: at least one, a job that takes two still running alone.
        """
        size = self._forward[0].size
        rows = max(_rows(self._forward) // 2, 1)
        self._groups[size].capacity = self._shrunk[size] = rows
        return rows

    def leave(self, seat: Seated) -> bool:
        """Take a job out, wherever it is; harmless when it is out.

        Returns:
            Whether it is out; one in the present forward is when that ends.
        """
        if seat in self._forward:
            self._leaving.add(seat)
            return False
        group = self._groups.get(seat.size)
        if group is None:
            return True
        for queue in group.queues:
            if seat in queue:
                queue.remove(seat)
        if not group.in_flight:
            group.opened = None
            if not group.waiting:
                if group.cost > self._now:
                    self._debts[group.size] = group.cost
                del self._groups[group.size]
        return True

    def queued(self) -> int:
        """Jobs before their first step that have no room beside the running ones."""
        can_open, _ = self._doors()
        count = 0
        for group in self._groups.values():
            jobs = [seat for queue in group.queues for seat in queue]
            rows = 0
            open_or_can = group.opened is not None or group in can_open
            for place, seat in enumerate(jobs):
                rows += seat.rows
                if not open_or_can or (rows > group.capacity and place):
                    count += len(jobs) - max(place, len(group.running))
                    break
        return count

    def lengths(self) -> tuple[int, int]:
        """Jobs that wait for their preparation or are in it, and those that are ready."""
        groups = self._groups.values()
        before = sum(len(group.waiting) + len(group.preparing) for group in groups)
        return before, sum(len(group.ready) for group in groups)

    def __iter__(self) -> Iterator[Seated]:
        for group in self._groups.values():
            for queue in group.queues:
                yield from queue

    def _doors(self) -> tuple[list[_Group[Seated]], dict[Size, int]]:
        """Who may open, and who may take only jobs submitted before which."""
        opened = sorted(
            (group for group in self._groups.values() if group.opened is not None),
            key=lambda group: group.opened or 0,
        )
        closed = sorted(
            (group for group in self._groups.values() if group.opened is None),
            key=lambda group: group.waiting[0].number,
        )
        free = MOST_SIZES - len(opened)
        blocked = closed[free:]
        limits = {
            group.size: other.waiting[0].number
            for group, other in zip(opened, blocked, strict=False)
        }
        return closed[:free], limits


def _rows(*queues: Iterable[Seat]) -> int:
    return sum(seat.rows for queue in queues for seat in queue)
