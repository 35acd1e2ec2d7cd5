"""The order of jobs: which is prepared next, which may run, and which the next forward serves.

Jobs whose pictures have the same size, and the same sizes of pictures beside them, form a group,
because they can share a forward. Groups share the time by start-time fair queuing (P. Goyal, H.
Vin, H. Cheng, "Start-time Fair Queuing", SIGCOMM 1996). A group's weight is the number of its
running rows: a forward is charged to its group as seconds divided by those rows. So every running
row gets the same share of the time:

- A large picture takes its steps more rarely than a small one beside it.
- A size with few jobs does not slow down a crowded one, although its forwards last nearly as long.

While two sizes both have running jobs, what they are charged in that time differs by at most one
forward of either. Within a size the order is that of submission.

There is no lock here: the caller holds one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Size = tuple[int, ...]
"""Height and width in pixels of a picture, and then of every picture that the network sees beside.
"""

MOST_SIZES = 4
"""Sizes that may be open at once. Each further one makes the steps of all others rarer."""

MOST_DECODING = 16
"""Jobs that may wait for the decoder. While there are so many, no further job starts to run."""


@dataclass(slots=True, eq=False)
class QueuedJob:
    """What the queue must know of a job.

    Attributes:
        size: Height and width of its picture in pixels, and of the pictures beside it.
        rows: Rows of a forward that it takes.
        number: Its number in the order of submission, from 1; `FairQueue.submit` sets it.
    """

    size: Size
    rows: int
    number: int = field(default=0, init=False)


Job = TypeVar("Job", bound=QueuedJob)


@dataclass(slots=True, eq=False)
class _Group(Generic[Job]):
    """The jobs of one size.

    Attributes:
        size: As of a job.
        capacity: Rows that may run at once.
        cost: What it was charged, in seconds for each row, on the clock that all groups share.
        opened: Its number in the order in which groups opened; None while all its jobs wait.
        served: The number of its last forward.
        waiting: Jobs that are not prepared yet, in order of submission, like all queues here.
        preparing: Jobs that are being prepared.
        ready: Prepared jobs for which there is no room yet.
        running: Jobs that take part in the forwards.
    """

    size: Size
    capacity: int
    cost: float
    opened: int | None = None
    served: int = 0
    waiting: deque[Job] = field(default_factory=deque)
    preparing: deque[Job] = field(default_factory=deque)
    ready: deque[Job] = field(default_factory=deque)
    running: deque[Job] = field(default_factory=deque)

    @property
    def queues(self) -> tuple[deque[Job], ...]:
        """All its jobs; those that have come furthest stand first."""
        return self.running, self.ready, self.preparing, self.waiting

    @property
    def in_flight(self) -> bool:
        """Whether it has a job that no longer waits."""
        return bool(self.running or self.ready or self.preparing)

    def fits(self, job: Job, *queues: Iterable[Job]) -> bool:
        """Whether a job has room beside those in the queues; beside none it always has."""
        rows = _rows(*queues)
        return rows == 0 or rows + job.rows <= self.capacity


class FairQueue(Generic[Job]):
    """Jobs from their submission to their last step.

    A job waits, is prepared, is ready, and runs. Jobs are prepared in order of submission. Those
    that can run at once come first; beside them a size prepares at most one forward ahead. Jobs of
    a size with room overtake the jobs of a full size.

    A size is open while it has a job that no longer waits. At most MOST_SIZES sizes are open. When
    another size wants to open, the size that opened first prepares no job that was submitted after
    the first job of the new size. So the new size waits for earlier jobs only. A second size that
    wants to open does the same to the next open size, and so on.

    Args:
        capacity: The numbers of a size to the rows of a forward.
    """

    def __init__(self, capacity: Callable[..., int]) -> None:
        self._capacity = capacity
        self._groups: dict[Size, _Group[Job]] = {}
        self._shrunk: dict[Size, int] = {}
        # A size that comes back soon keeps what it was charged. Otherwise jobs of one step would
        # take more than their share.
        self._debts: dict[Size, float] = {}
        self._now = 0.0
        self._submitted = 0
        self._openings = 0
        self._forwards = 0
        self._forward: tuple[Job, ...] = ()
        self._leaving: set[Job] = set()

    def submit(self, job: Job) -> None:
        """Add a job behind all others."""
        self._submitted += 1
        job.number = self._submitted
        group = self._groups.get(job.size)
        if group is None:
            capacity = self._shrunk.get(job.size) or self._capacity(*job.size)
            group = _Group(job.size, capacity, self._debts.pop(job.size, 0.0))
            self._groups[job.size] = group
        group.waiting.append(job)

    def next_to_prepare(self) -> Job | None:
        """Take the waiting job that is prepared next; None when there is none."""
        can_open, limits = self._may_start()
        best: tuple[bool, int] | None = None
        chosen: _Group[Job] | None = None
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
        job = chosen.waiting.popleft()
        chosen.preparing.append(job)
        return job

    def prepared(self, job: Job) -> None:
        """Note that a job is prepared; `join` lets it run when there is room."""
        group = self._groups[job.size]
        group.preparing.remove(job)
        group.ready.append(job)

    def join(self) -> list[Job]:
        """Let ready jobs run from now on where there is room.

        Returns:
            The jobs that started to run.
        """
        joined = []
        for group in self._groups.values():
            if group.ready and not group.running:
                group.cost = max(group.cost, self._now)
            while group.ready and group.fits(group.ready[0], group.running):
                group.running.append(group.ready.popleft())
                joined.append(group.running[-1])
        return joined

    def begin_forward(self) -> tuple[Job, ...]:
        """Choose the jobs of the next forward: those of the size that was charged least.

        Of sizes that were charged the same, the one whose last forward is longest ago is served.

        Returns:
            Running jobs of one size; those whose last forward is longest ago stand first. Empty
            when no job runs. `end_forward` must follow before the next forward begins.
        """
        active = [group for group in self._groups.values() if group.running]
        if not active:
            return ()
        group = min(active, key=lambda one: (one.cost, one.served, one.opened))
        self._now = group.cost
        self._forwards += 1
        group.served = self._forwards
        self._debts = {size: debt for size, debt in self._debts.items() if debt > self._now}
        chosen: list[Job] = []
        for job in group.running:
            if not group.fits(job, chosen):
                break
            chosen.append(job)
        self._forward = tuple(chosen)
        return self._forward

    def end_forward(self, cost_s: float | None) -> list[Job]:
        """Charge the forward to its size.

        Args:
            cost_s: Its seconds; None if it was not computed.

        Returns:
            The jobs for which `leave` was called during the forward. Their rows are free now.
        """
        forward, self._forward = self._forward, ()
        group = self._groups[forward[0].size]
        if cost_s is not None:
            group.cost += cost_s / _rows(group.running)
            group.running.rotate(-len(forward))
        left = [job for job in forward if job in self._leaving]
        for job in left:
            self._leaving.remove(job)
            self.leave(job)
        return left

    def shrink(self) -> int:
        """Halve the rows of the present forward for all later forwards of its size.

        Returns:
            Those rows, at least 1. A job of two rows still runs, alone.
        """
        size = self._forward[0].size
        rows = max(_rows(self._forward) // 2, 1)
        self._groups[size].capacity = self._shrunk[size] = rows
        return rows

    def leave(self, job: Job) -> bool:
        """Remove a job in whatever state it is; repeating it is harmless.

        Returns:
            False when the job is in the present forward; it is removed when that ends.
        """
        if job in self._forward:
            self._leaving.add(job)
            return False
        group = self._groups.get(job.size)
        if group is None:
            return True
        for queue in group.queues:
            if job in queue:
                queue.remove(job)
        if not group.in_flight:
            group.opened = None
            if not group.waiting:
                if group.cost > self._now:
                    self._debts[group.size] = group.cost
                del self._groups[group.size]
        return True

    def queued(self) -> int:
        """Count the jobs before their first step that have no room beside the running ones."""
        can_open, _ = self._may_start()
        count = 0
        for group in self._groups.values():
            jobs = [job for queue in group.queues for job in queue]
            rows = 0
            open_or_can = group.opened is not None or group in can_open
            for place, job in enumerate(jobs):
                rows += job.rows
                if not open_or_can or (rows > group.capacity and place):
                    count += len(jobs) - max(place, len(group.running))
                    break
        return count

    def lengths(self) -> tuple[int, int]:
        """Count the jobs that wait or are being prepared, and those that are ready."""
        groups = self._groups.values()
        before = sum(len(group.waiting) + len(group.preparing) for group in groups)
        return before, sum(len(group.ready) for group in groups)

    def __iter__(self) -> Iterator[Job]:
        for group in self._groups.values():
            for queue in group.queues:
                yield from queue

    def _may_start(self) -> tuple[list[_Group[Job]], dict[Size, int]]:
        """Find the sizes that may open, and the limits of those that are open.

        Returns:
            Groups that are not open and may be. And by size of an open group a job's number: only
            jobs with smaller numbers may be prepared.
        """
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


def _rows(*queues: Iterable[QueuedJob]) -> int:
    return sum(job.rows for queue in queues for job in queue)
