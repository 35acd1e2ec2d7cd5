"""The admission replica: what it grants, and what it is careful with after its start."""

from __future__ import annotations

import asyncio

import pytest

from deployments.admission.deployment import PATIENCE_S, Admission
from deployments.admission_messages import Claim, Granted, Lease, MadeImage, Report
from deployments.errors import IdempotencyConflict, Overloaded, RateLimited
from deployments.settings import RateSettings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lease(name: str, images: int = 1, sequence: int = 1, key: str = "") -> Lease:
    return Lease(name, sequence, "m", key, images, 10, images)


def report(replica: str, sequence: int, *leases: Lease, made=()) -> Report:
    return Report(replica, sequence, leases, (), frozenset(), tuple(made))


class Desk(Admission):
    """The admission, for keys that all have the same rates."""

    rates = RateSettings()

    async def take(self, replica, lease):
        return await super().take(replica, lease, self.rates)

    async def count(self, api_key_name):
        return await super().count(api_key_name, self.rates)


def admission(limit: int = 4, rates: RateSettings | None = None, **given) -> Desk:
    desk = Desk({"m": limit}, **{"learning_s": 0.0, **given})
    desk.rates = rates or RateSettings()
    return desk


def taken(desk: Desk) -> int:
    """Places in use."""
    return sum(lease.images for lease in desk._ledger.leases("m", desk._clock()))


async def test_the_bound_is_that_of_all_replicas():
    desk = admission(4)
    assert await desk.take("r", lease("a", 3)) == Granted(1, None)
    refusal = await desk.take("s", lease("b", 2))
    assert isinstance(refusal, Overloaded)
    assert refusal.__traceback__ is None
    assert await desk.take("s", lease("c", 1)) == Granted(2, None)
    assert taken(desk) == 4


async def test_asking_again_for_the_same_takes_nothing_more():
    desk = admission(4, RateSettings(requests_per_minute=1))
    for _ in range(3):
        assert isinstance(await desk.take("r", lease("a", 3)), Granted)
    assert taken(desk) == 3


async def test_a_refusal_for_a_rate_takes_no_place_and_one_for_room_no_rate():
    desk = admission(4, RateSettings(images_per_minute=5))
    assert isinstance(await desk.take("r", lease("a", 4, key="k")), Granted)
    for n in range(9):
        assert isinstance(await desk.take("r", lease(f"b{n}", 1, key="k")), Overloaded)
    await desk.report(report("r", 2))
    assert isinstance(await desk.take("r", lease("c", 1, sequence=3, key="k")), Granted)
    limited = await desk.take("r", lease("d", 1, sequence=4, key="k"))
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_s > 0
    assert taken(desk) == 1


async def test_a_dead_ingress_loses_its_places():
    clock = Clock()
    desk = admission(4, clock=clock)
    assert isinstance(await desk.take("r", lease("a", 4)), Granted)
    clock.now += PATIENCE_S
    assert isinstance(await desk.take("s", lease("b", 1)), Overloaded)
    clock.now += 0.1
    assert isinstance(await desk.take("s", lease("c", 1)), Granted)


async def test_measurements_of_a_report_make_the_wait():
    clock = Clock()
    desk = admission(4, clock=clock)
    for n in range(1, 20, 2):
        await desk.take("r", lease(f"a{n}", 4, sequence=n))
        clock.now += 40.0
        await desk.report(report("r", n + 1, made=[MadeImage("m", 10)] * 4))
    await desk.take("r", lease("b", 4, sequence=21))
    refusal = await desk.take("r", lease("c", 1, sequence=22))
    # One leaves every ten seconds; told a little longer, and an image more.
    assert refusal.retry_after_s == pytest.approx(21, rel=0.1)


async def test_what_a_rate_refused_was_not_in_flight():
    clock = Clock()
    desk = admission(4, RateSettings(images_per_minute=2), clock=clock)
    await desk.take("r", lease("a", 1))
    assert isinstance(await desk.take("r", lease("b", 3)), RateLimited)
    clock.now += 10
    await desk.report(report("r", 2, made=[MadeImage("m", 10)]))
    desk = desk._places["m"]._costs
    # One alone took ten seconds.
    assert desk.of(lease("c", 1)) == pytest.approx(10, rel=0.1)


async def test_after_its_start_it_grants_nothing_before_all_have_reported():
    desk = admission(4, learning_s=0.2)
    asking = asyncio.create_task(desk.take("s", lease("b", 2)))
    claiming = asyncio.create_task(desk.claim("s", Claim("x", 2, "key", "f")))
    await asyncio.sleep(0.05)
    # Its predecessor granted this.
    held = Claim("c", 1, "key", "f")
    await desk.report(Report("r", 9, (lease("a", 3),), (held,), frozenset(), ()))
    assert isinstance(await asking, Overloaded)
    assert await claiming is False
    assert taken(desk) == 3


async def test_a_claim_for_something_else_is_a_conflict():
    desk = admission()
    assert await desk.claim("r", Claim("a", 1, "key", "f")) is True
    assert await desk.claim("s", Claim("b", 1, "key", "f")) is False
    assert isinstance(await desk.claim("s", Claim("c", 1, "key", "g")), IdempotencyConflict)
