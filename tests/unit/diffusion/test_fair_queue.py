"""The order of jobs, without threads: fairness between sizes, room, and nobody left behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from deployments.diffusion.engine.fair_queue import MOST_SIZES, FairQueue, QueuedJob

SMALL, MIDDLE, LARGE = (64, 64), (64, 96), (256, 256)


def linear(size: tuple[int, int], rows: int) -> float:
    """Seconds of a forward on a device that is busy with one row."""
    return size[0] * size[1] * rows


def with_overhead(size: tuple[int, int], rows: int) -> float:
    """Seconds of a forward of which twelve small rows' worth is needed for however few rows."""
    return (12 + rows) * size[0] * size[1]


class Run:
    """A queue whose jobs are prepared as soon as they can be; each forward is one step.

    Args:
        capacity: Rows of a forward.
        cost: Size and rows to the seconds of a forward.

    Attributes:
        charged: What each size was charged so far.
        order: The numbers of the jobs as they began to run.
    """

    def __init__(
        self, capacity: int = 4, cost: Callable[[tuple[int, int], int], float] = linear
    ) -> None:
        self.queue: FairQueue[QueuedJob] = FairQueue(lambda height, width: capacity)
        self.cost = cost
        self.charged: dict[tuple[int, int], float] = {}
        self.order: list[int] = []
        self.left: dict[int, int] = {}

    def submit(self, size: tuple[int, int], steps: int = 1, rows: int = 2) -> QueuedJob:
        job = QueuedJob(size, rows)
        self.queue.submit(job)
        self.left[job.number] = steps
        return job

    def prepare(self, most: int = 1000) -> list[QueuedJob]:
        prepared = []
        while len(prepared) < most and (job := self.queue.next_to_prepare()) is not None:
            self.queue.prepared(job)
            prepared.append(job)
        return prepared

    def step(self) -> tuple[QueuedJob, ...]:
        """One forward, and who was in it."""
        self.prepare()
        self.order += [job.number for job in self.queue.join()]
        forward = self.queue.begin_forward()
        if not forward:
            return ()
        size = forward[0].size
        rows = sum(job.rows for job in forward)
        self.charged[size] = self.charged.get(size, 0) + self.cost(size, rows) / rows
        self.queue.end_forward(self.cost(size, rows))
        for job in forward:
            self.left[job.number] -= 1
            if not self.left[job.number]:
                assert self.queue.leave(job)
        return forward


@pytest.mark.parametrize("cost", [linear, with_overhead])
@pytest.mark.parametrize("seed", range(20))
def test_busy_sizes_are_charged_alike(seed: int, cost: Any) -> None:
    """The bound: over any time in which two sizes are both running, one forward of each."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    run = Run(cost=cost)
    sizes = [SMALL, MIDDLE, LARGE]
    since: dict[tuple[Any, Any], int] = {}
    charged: list[dict[Any, float]] = []
    for tick in range(400):
        for size in sizes:
            if rng.random() < 0.15:
                run.submit(size, rng.randint(1, 8), rng.randint(1, 2))
        run.prepare()
        run.order += [job.number for job in run.queue.join()]
        running = {job.size for job in run.queue if job.number in run.order}
        charged.append(dict(run.charged))
        for one in sizes:
            for other in sizes:
                if one == other or not {one, other} <= running:
                    since.pop((one, other), None)
                    continue
                begun = charged[since.setdefault((one, other), tick)]
                mine = run.charged.get(one, 0) - begun.get(one, 0)
                others = run.charged.get(other, 0) - begun.get(other, 0)
                # The fewer rows, the more each is charged for a forward.
                assert mine - others <= cost(one, 1) + cost(other, 1)
        run.step()
    assert len(run.charged) == 3


def test_all_running_rows_get_the_same_share_of_the_time() -> None:
    run = Run()
    run.submit(LARGE, 1000)
    run.submit(SMALL, 1000)
    run.submit(SMALL, 1000)
    served = [run.step()[0].size for _ in range(85)]
    # A large step lasts as long as eight small ones, which have twice the rows.
    assert served.count(LARGE) == 5
    assert served.count(SMALL) == 80
    assert (LARGE, LARGE) not in set(pairwise(served))


def test_a_lone_picture_does_not_take_the_time_from_a_crowded_size() -> None:
    """Its forward lasts half as long as a full one, for an eighth of the rows."""
    run = Run(capacity=16, cost=with_overhead)
    lone, *crowd = [run.submit(MIDDLE, 1000), *(run.submit(SMALL, 1000) for _ in range(8))]
    served = [run.step() for _ in range(140)]
    assert set(served) == {(lone,), tuple(crowd)}
    # 10.5 seconds for each of its rows, in units of small rows, against 1.75.
    assert served.count((lone,)) == 20
    assert served.count(tuple(crowd)) == 120


def test_a_size_that_was_away_has_saved_nothing_up() -> None:
    run = Run()
    run.submit(SMALL, 1000)
    for _ in range(100):
        run.step()
    run.submit(MIDDLE, 1000)
    served = [run.step()[0].size for _ in range(20)]
    assert served.count(SMALL) >= 8


def test_a_size_that_comes_back_at_once_is_not_forgiven() -> None:
    run = Run()
    run.submit(SMALL, 10_000)
    served = []
    for _ in range(200):
        if not any(job.size == LARGE for job in run.queue):
            run.submit(LARGE, 1)
        served.append(run.step()[0].size)
    # A large step lasts as long as sixteen small ones.
    assert served.count(LARGE) <= 200 / 16 + 1


def test_a_full_size_is_overtaken_by_another_and_not_within_itself() -> None:
    run = Run(capacity=4)
    first = [run.submit(SMALL, 3), run.submit(SMALL, 3)]
    guided = run.submit(SMALL, 1, rows=2)
    unguided = run.submit(SMALL, 1, rows=1)
    other = run.submit(MIDDLE, 1)
    assert run.step() == tuple(first)
    assert run.step() == (other,)
    for _ in range(2):
        assert run.step() == tuple(first)
    assert run.step() == (guided, unguided)


def test_a_smaller_job_of_a_size_does_not_overtake() -> None:
    run = Run(capacity=3)
    first = run.submit(SMALL, 2)
    guided = run.submit(SMALL)
    unguided = run.submit(SMALL, rows=1)
    assert run.step() == (first,)
    assert run.step() == (first,)
    assert run.step() == (guided, unguided)


def test_one_forward_is_prepared_ahead_and_what_can_run_comes_first() -> None:
    run = Run(capacity=4)
    small = [run.submit(SMALL, 5) for _ in range(10)]
    middle = run.submit(MIDDLE)
    assert run.prepare(2) == small[:2]
    run.queue.join()
    assert run.prepare() == [middle, *small[2:4]]
    assert run.queue.lengths() == (6, 3)


def test_a_size_that_cannot_open_waits_for_what_came_before_it_and_no_more() -> None:
    """The bound, against endless later jobs of the sizes that are open."""
    run = Run(capacity=4)
    sizes = [(64, 64 + 16 * place) for place in range(MOST_SIZES)]
    for size, jobs in zip(sizes, (5, 9, 1, 1), strict=True):
        for _ in range(jobs):
            run.submit(size, 10)
    run.step()
    blocked = [run.submit((128, 128), 2), run.submit((160, 160), 2)]
    made = {}
    while not {job.number for job in blocked} <= set(run.order):
        assert len(run.order) < 500, "it starves"
        for size in sizes:
            if sum(job.size == size for job in run.queue) < 12:
                made[run.submit(size, 10).number] = size
        run.step()
    places = [run.order.index(job.number) for job in blocked]
    # The size whose place it took let nobody pass who came later; the others went on.
    for job, place, size in zip(blocked, places, sizes, strict=False):
        passed = {number for number in run.order[:place] if number > job.number}
        assert not passed & {number for number, its in made.items() if its == size}
        assert passed
    assert places[0] < places[1]


def test_no_more_sizes_are_in_flight_than_allowed() -> None:
    run = Run()
    for place in range(MOST_SIZES + 3):
        run.submit((64, 64 + 16 * place), 3)
    most = 0
    while forward := run.step():
        started = {job.size for job in run.queue if job.number in run.order}
        most = max(most, len(started | {forward[0].size}))
    assert most == MOST_SIZES
    assert len(run.order) == MOST_SIZES + 3


def test_a_shrunk_size_serves_all_of_its_jobs_in_turn() -> None:
    run = Run(capacity=8)
    jobs = [run.submit(SMALL, 2) for _ in range(4)]
    run.prepare()
    run.queue.join()
    assert len(run.queue.begin_forward()) == 4
    assert run.queue.shrink() == 4
    assert run.queue.end_forward(None) == []
    assert run.step() == tuple(jobs[:2])
    assert run.step() == tuple(jobs[2:])
    assert run.step() == tuple(jobs[:2])
    run.step()
    # It is remembered when the size comes back, and another one is not touched.
    assert not list(run.queue)
    for size in (SMALL, MIDDLE):
        for _ in range(4):
            run.submit(size)
    assert sorted((len(run.step()), len(run.step()), len(run.step()))) == [2, 2, 4]


def test_a_job_larger_than_the_capacity_left_runs_alone() -> None:
    run = Run(capacity=2)
    jobs = [run.submit(SMALL, rows=1) for _ in range(2)]
    run.prepare()
    run.queue.join()
    run.queue.begin_forward()
    assert run.queue.shrink() == 1
    run.queue.end_forward(None)
    guided = run.submit(SMALL)
    assert [run.step() for _ in range(3)] == [(jobs[0],), (jobs[1],), (guided,)]


def test_leaving_at_every_stage() -> None:
    run = Run(capacity=4)
    jobs = [run.submit(SMALL, 5) for _ in range(6)]
    assert run.queue.leave(jobs[5])
    in_preparation = run.queue.next_to_prepare()
    assert in_preparation is jobs[0]
    assert run.queue.leave(jobs[0])
    run.prepare(2)
    assert run.queue.leave(jobs[2])
    run.queue.join()
    (first,) = run.queue.begin_forward()
    assert first is jobs[1]
    assert not run.queue.leave(first)
    assert first in list(run.queue)
    assert run.queue.end_forward(1.0) == [first]
    assert run.queue.leave(first)
    assert list(run.queue) == jobs[3:5]


def test_what_has_no_room_is_counted() -> None:
    run = Run(capacity=4)
    assert run.queue.queued() == 0
    for _ in range(4):
        run.submit(SMALL, 5)
    assert run.queue.queued() == 2
    run.step()
    assert run.queue.queued() == 2
    for place in range(MOST_SIZES):
        run.submit((96, 96 + 16 * place), 5)
    # The last size finds no place beside the others.
    assert run.queue.queued() == 3
    run.step()
    assert run.queue.queued() == 3
