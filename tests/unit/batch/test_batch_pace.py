"""Waits that the service asks for, and what is shown of a batch."""

from __future__ import annotations

import asyncio
import io
import time

import pytest

from deployments.batch import pace as pace_module
from deployments.batch import progress as progress_module
from deployments.batch.errors import CannotGoOn
from deployments.batch.pace import Pace
from deployments.batch.progress import Progress
from deployments.client import (
    AsyncBackdrop,
    BadResponse,
    Busy,
    RateLeft,
    ServiceFailed,
    Unauthorized,
    Unreachable,
)

LOST = Unreachable("the service cannot be reached", "network")
FULL = Busy("full", "too_many_waiting", 429, retry_after=30.0)


class Scripted:
    """Calls that fail in turn, and then answer."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "made"


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
async def client():
    async with AsyncBackdrop() as made:
        yield made


@pytest.fixture
def pace(client, out) -> Pace:
    return Pace(client, Progress(10, 0, out), patience_s=60)


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """Pauses, by which a clock of their own moves on."""
    pauses: list[float] = []
    yield_ = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await yield_(0)

    monkeypatch.setattr(pace_module.asyncio, "sleep", sleep)
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: 1000.0 + sum(pauses))
    return pauses


async def test_a_service_that_is_down_is_asked_again_and_told_once(pace, slept, out):
    starting = BadResponse("no routes", "bad_response", 404)
    down = Busy("the store is down", "unavailable", 503, retry_after=9.0)
    call = Scripted(LOST, starting, down)
    assert await pace.call(call) == "made"
    assert [
        low <= pause <= 1.25 * high
        for pause, low, high in zip(slept, (0.75, 1.5, 6.75), (1, 2, 9), strict=True)
    ] == [True] * 3
    assert out.getvalue().splitlines() == [
        "backdrop: the service cannot be reached; trying again for 60 s",
        "backdrop: the service is back",
    ]


async def test_a_service_that_stays_away_is_given_up(pace, slept):
    with pytest.raises(CannotGoOn, match="start the same command again"):
        await pace.call(Scripted(*[LOST] * 100))
    assert 60 <= sum(slept) <= 60 + 2 * pace_module.LONGEST_PAUSE_S


async def test_what_waiting_does_not_help_is_told_at_once(pace, slept):
    for error in (BadResponse("gateway", "bad_response", 413), FULL):
        with pytest.raises(type(error)):
            await pace.call(Scripted(error))
    with pytest.raises(CannotGoOn, match="BACKDROP_API_KEY"):
        await pace.call(Scripted(Unauthorized("no key", "unauthorized", 401)))
    assert slept == []


async def test_failures_of_the_service_are_tried_three_times(pace, slept):
    failed = ServiceFailed("broken", "internal_error", 500)
    assert await pace.call(Scripted(failed, failed)) == "made"
    with pytest.raises(ServiceFailed):
        await pace.call(Scripted(failed, failed, failed))


async def test_a_rate_that_is_used_up_is_waited_for(pace, client, slept):
    limited = Busy("too many", "rate_limited", 429, retry_after=12.0)
    call = Scripted(limited)
    assert await pace.submit(call, 1) == "made"
    assert slept == [12.0]
    # What the headers say is obeyed before it is refused.
    client.rates["images"] = RateLeft(left=2, more_s=7.0, told=time.monotonic())
    assert await pace.submit(Scripted(), 2) == "made"
    assert slept == [12.0]
    assert await pace.submit(Scripted(), 3) == "made"
    assert slept == [12.0, 7.0]


async def test_a_full_line_is_waited_for_until_a_job_of_ours_ends(pace):
    call = Scripted(FULL)
    submission = asyncio.create_task(pace.submit(call, 1))
    while not call.calls:
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert call.calls == 1
    pace.free()
    async with asyncio.timeout(5):
        assert await submission == "made"


def test_lines_are_few_where_nobody_looks(monkeypatch, out):
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    progress = Progress(1000, 200, out)
    for second in range(90):
        now[0] = second
        progress.done += 1
        progress.ended(f"2026-11-29T10:{second // 60:02}:{second % 60:02}Z")
        progress.show()
    assert out.getvalue().splitlines() == [
        "backdrop: 231 of 1000 done, 60 photos a minute, about 13 min left",
        "backdrop: 261 of 1000 done, 60 photos a minute, about 12 min left",
    ]
    progress.failed, progress.under_way = 2, 16
    assert "2 failed, 16 under way" in str(progress)


def test_a_terminal_has_one_line(monkeypatch, out):
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    progress = Progress(3, 0, out)
    progress.show()
    progress.say("b.png: it is broken")
    progress.close()
    line = "\r\x1b[K0 of 3 done"
    assert out.getvalue() == f"{line}\r\x1b[Kbackdrop: b.png: it is broken\n{line}\n"
