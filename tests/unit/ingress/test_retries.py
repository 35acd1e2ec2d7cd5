"""Which failures are worth another attempt, how many and how soon."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import (
    ImageNotFound,
    InternalError,
    Overloaded,
    ReplicaLost,
    ServiceError,
    StorageDown,
    Unavailable,
)
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.remote import retries
from deployments.ingress.remote.retries import FIRST_WAIT_S, LONGEST_WAIT_S, Attempts, Patience

LOST, DOWN = ReplicaLost("gone"), StorageDown("the storage is not available now")


class Heard:
    """Notes what is retried."""

    def __init__(self) -> None:
        self.retries: list[tuple[str, str]] = []

    def retried(self, deployment: str, reason: str) -> None:
        self.retries.append((deployment, reason))


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        monkeypatch.setattr(retries.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(retries.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def attempts_until_given_up(
    failure: ServiceError, patience: Patience, heard: Heard, most: int = 1000
) -> int:
    attempts = Attempts(patience, "storage", heard)
    for attempt in range(1, most):
        (raised,) = await asyncio.gather(attempts.wait(failure), return_exceptions=True)
        if raised is failure:
            return attempt
        assert raised is None
    raise AssertionError(f"still tried after {most} attempts")


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_a_call_that_a_replica_died_with_is_made_again_so_many_times(clock, times):
    heard = Heard()
    assert await attempts_until_given_up(LOST, Patience(lost=times), heard) == times + 1
    assert heard.retries == [("storage", "replica_lost")] * times
    assert clock.waits == [0.0] * times


async def test_a_store_that_is_down_is_asked_again_with_growing_waits_for_a_while(clock):
    heard = Heard()
    begun = clock.now
    attempts = await attempts_until_given_up(DOWN, Patience(down_s=20), heard)
    assert 20 - LONGEST_WAIT_S <= clock.now - begun <= 20
    assert len(heard.retries) == attempts - 1 == len(clock.waits)
    for number, wait in enumerate(clock.waits):
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number)
        assert longest / 2 <= wait <= longest


async def test_time_that_an_attempt_took_counts(clock):
    attempts = Attempts(Patience(down_s=20), "storage", Heard())
    await attempts.wait(DOWN)
    clock.now += 45  # a store that does not answer
    with pytest.raises(StorageDown):
        await attempts.wait(DOWN)


async def test_what_no_attempt_can_mend_before_the_deadline_is_told_before_it(clock):
    async with Deadline(5).bounds():
        attempts = await attempts_until_given_up(DOWN, Patience(down_s=20), Heard())
    assert attempts > 3
    assert 5 - LONGEST_WAIT_S <= clock.now - 1000 < 5


async def test_an_attempt_that_would_outlast_the_deadline_is_not_begun(clock):
    async with Deadline(20).bounds():
        attempts = Attempts(Patience(down_s=20), "storage", Heard())
        clock.now += 12  # until it had what it was to store: says nothing about the next attempt
        await attempts.wait(DOWN)
        clock.now += 4
        with pytest.raises(StorageDown):
            await attempts.wait(DOWN)
    assert clock.now < 1020


async def test_both_kinds_of_patience_are_counted_apart(clock):
    attempts = Attempts(Patience(lost=1, down_s=20), "storage", Heard())
    for failure in (DOWN, LOST, DOWN):
        await attempts.wait(failure)
    with pytest.raises(ReplicaLost):
        await attempts.wait(LOST)


@pytest.mark.parametrize(
    "failure",
    [
        InternalError("a fault"),
        Unavailable("the storage is full"),
        Overloaded("no room", 1.0),
        ImageNotFound("gone"),
    ],
)
async def test_what_would_only_fail_again_is_not_repeated(clock, failure):
    assert await attempts_until_given_up(failure, Patience(lost=5, down_s=60), Heard()) == 1


async def test_waiting_ends_with_the_deadline_of_its_request():
    attempts = Attempts(Patience(down_s=3600), "storage", Heard())

    async def for_ever() -> None:
        while True:
            await attempts.wait(DOWN)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(for_ever(), 0.05)
