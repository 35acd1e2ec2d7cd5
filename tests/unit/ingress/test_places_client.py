"""What an ingress replica holds is known to the admission, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from deployments.errors import Overloaded, ReplicaLost
from deployments.ingress.core.places_client import PlacesClient
from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.memory import Admitting

MODEL = "stable-diffusion"


def no_rates(name: str) -> RateSettings:
    return RateSettings()


class Desk(Admitting):
    """The real admission behind a line that can be cut.

    Attributes:
        line: Cleared, calls arrive but are not answered.
        reports: How many arrived.
        failing: Reports that get lost.
    """

    def __init__(self) -> None:
        super().__init__(IngressSettings(max_waiting_images=8))
        self.line = asyncio.Event()
        self.line.set()
        self.reports = 0
        self.failing = 0

    async def take(self, replica, lease, rates):
        granted = await super().take(replica, lease, rates)
        await self.line.wait()
        return granted

    async def claim(self, replica, claim):
        granted = await super().claim(replica, claim)
        await self.line.wait()
        return granted

    async def report(self, report):
        if self.failing:
            self.failing -= 1
            raise ReplicaLost("gone")
        self.reports += 1
        await super().report(report)

    async def taken(self) -> int:
        return self.held(MODEL)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def client(desk: Desk) -> PlacesClient:
    return PlacesClient(desk, no_rates, heartbeat_s=0.02)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def taken(desk: Desk, wanted: int) -> None:
    async with asyncio.timeout(20):
        while await desk.taken() != wanted:
            await asyncio.sleep(0.001)


async def test_places_are_given_back_one_by_one_and_the_rest_at_once(desk, client):
    places = await client.take(MODEL, "k", 4, 10)
    assert await desk.taken() == 4
    places.release(made=True)
    await taken(desk, 3)
    places.close()
    places.close()
    places.release(made=True)
    await taken(desk, 0)


async def test_a_measurement_reaches_the_admission(desk, client):
    places = await client.take(MODEL, "k", 8, 10)
    assert not desk.replica._places[MODEL]._costs.known
    places.release(made=True)
    await taken(desk, 7)
    await until(lambda: desk.replica._places[MODEL]._costs.known)


async def test_it_speaks_while_it_holds_anything_and_then_is_silent(desk, client):
    places = await client.take(MODEL, "k", 1, 10)
    claim = await client.claim("name", "f")
    await until(lambda: desk.reports > 3)
    places.close()
    spoken = desk.reports
    await until(lambda: desk.reports > spoken + 3)
    claim.close()
    await asyncio.sleep(0.1)
    spoken = desk.reports
    await asyncio.sleep(0.1)
    assert desk.reports == spoken
    assert await client.claim("name", "f") is not None


async def test_a_restarted_admission_learns_what_is_held(desk, client):
    await client.take(MODEL, "k", 3, 10)
    assert await client.claim("name", "f") is not None
    desk.replica = Desk().replica
    await taken(desk, 3)
    assert await PlacesClient(desk, no_rates).claim("name", "f") is None


async def test_what_a_lost_report_should_have_given_back_the_next_one_does(desk, client):
    places = await client.take(MODEL, "k", 3, 10)
    await until(lambda: desk.reports > 1)
    desk.failing = 3
    places.close()
    await taken(desk, 0)
    assert desk.failing == 0


@pytest.mark.parametrize("what", ["take", "claim"])
async def test_a_caller_who_leaves_before_the_answer_gets_nothing(desk, client, what):
    desk.line.clear()
    if what == "take":
        asking = asyncio.create_task(client.take(MODEL, "k", 8, 10))
    else:
        asking = asyncio.create_task(client.claim("name", "f"))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    desk.line.set()
    await taken(desk, 0)
    await until(lambda: desk.reports)
    assert await client.claim("name", "f") is not None


async def test_an_answer_that_is_on_its_way_is_not_taken_back_by_a_report(desk, client):
    other = await client.take(MODEL, "k", 1, 10)
    desk.line.clear()
    asking = asyncio.create_task(client.take(MODEL, "k", 2, 10))
    await until(lambda: desk.reports > 1)
    spoken = desk.reports
    await until(lambda: desk.reports > spoken + 2)  # granted, and not heard of
    assert await desk.taken() == 3
    desk.line.set()
    await asking
    other.close()
    await taken(desk, 2)


async def test_a_refusal_is_not_reported(desk, client):
    with pytest.raises(Overloaded):
        await client.take(MODEL, "k", 9, 10)
    await asyncio.sleep(0.05)
    assert desk.reports == 0
