"""Callbacks that fail are made again: in order, with growing waits, by whoever is there."""

from __future__ import annotations

import asyncio
import logging

import pytest

from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from deployments.ingress.core.callbacks import deliveries
from deployments.ingress.core.callbacks.ports import NotReached, Reply
from deployments.ingress.core.callbacks.progress import LONGEST_WAIT_S
from tests.unit.ingress.background import submit, until, until_state
from tests.unit.ingress.calling_back import (
    URL,
    Clock,
    callback,
    called_back,
    running,
    settings,
    types,
)
from tests.unit.ingress.memory import Surface, surface
from tests.unit.ingress.receiving import Receiving

DAY = 86_400.0


@pytest.fixture
def receiver() -> Receiving:
    return Receiving()


@pytest.fixture
def api(tmp_path, receiver) -> Surface:
    return surface(tmp_path, settings(), receivers=receiver)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)
    monkeypatch.setattr(work, "PUT_OFF_S", 0.05)
    for name in ("OTHERS_S", "BUSY_S", "PUT_OFF_S", "BROKEN_S"):
        monkeypatch.setattr(deliveries, name, 0.05)


class Slow(Receiving):
    """Answers nobody before its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.calling: list[str] = []

    async def post(self, target, message_id, body):
        self.calling.append(target.host)
        await self.gate.wait()
        return await super().post(target, message_id, body)


async def test_what_failed_is_sent_again_before_what_came_after_it(api, receiver):
    receiver.replies += [500, NotReached("the receiver took too long"), 302, 204]
    path = await called_back(api, num_images=1)
    async with running(api):
        told = await callback(api, path)
    assert types(receiver) == ["job.image"] * 4 + ["job.done"]
    assert len({message for _, message, _ in receiver.messages}) == 2
    assert receiver.messages[0][1:] == receiver.messages[3][1:]
    assert (told["delivered"], told["failed"], told["last_failure"]) == (2, 0, None)
    assert receiver.outcomes == ["retried"] * 3 + ["delivered"] * 2


async def test_the_waits_grow_and_end_after_a_day(tmp_path, receiver, caplog):
    api = surface(tmp_path, settings(retry_s=5), receivers=receiver)
    clock = Clock(api)
    receiver.replies += [503] * 1000
    path = await called_back(api, num_images=1)
    waits, tries = [], 0
    async with running(api):
        while True:
            await until(lambda tries=tries: len(receiver.messages) > tries)
            tries = len(receiver.messages)
            if types(receiver)[-1] == "job.done":
                break
            await until(lambda tries=tries: len(receiver.outcomes) == tries)
            if receiver.outcomes[-1] == "given_up":
                continue
            await until_tried(api, path, tries)
            due = await next_due(api)
            waits.append(due - clock.now)
            clock.now = due
        told = await callback(api, path)
    assert waits[:7] == [5.0, 20.0, 80.0, 320.0, 1280.0, 5120.0, LONGEST_WAIT_S]
    assert sum(waits) == DAY
    assert set(waits[6:-1]) == {LONGEST_WAIT_S}
    # After a whole day of failures, what else there is to tell is tried once.
    assert types(receiver) == ["job.image"] * (len(waits) + 1) + ["job.done"]
    assert receiver.outcomes[-2:] == ["given_up"] * 2
    assert (told["delivered"], told["waiting"], told["failed"]) == (0, 0, 2)
    assert told["last_failure"] == "the receiver answered 503"
    given_up = [record for record in caplog.records if "was given up" in record.message]
    assert len(given_up) == 2
    assert given_up[0].levelno == logging.WARNING
    assert "t0ken" not in caplog.text


async def next_due(api: Surface) -> float:
    ((_, document),) = await documents(api)
    return document["due"]


async def documents(api: Surface) -> list[tuple[object, dict]]:
    stored = api.service._backends.callbacks
    return [(name, (await stored.load(name))[0]) for name in await stored.all()]


async def until_tried(api: Surface, path: str, tries: int) -> None:
    async with asyncio.timeout(20):
        while [d["failures"] for _, d in await documents(api)] != [tries]:
            await asyncio.sleep(0.005)


async def test_a_receiver_says_when_to_come_back(tmp_path, receiver):
    api = surface(tmp_path, settings(), receivers=receiver)
    clock = Clock(api)
    receiver.replies += [Reply(429, 600.0), Reply(503, 1e9)]
    path = await called_back(api, num_images=1)
    async with running(api):
        await until_tried(api, path, 1)
        assert await next_due(api) == clock.now + 600
        told = (await api.client.get(path)).json()["callback"]
        assert told["last_failure"] == "the receiver answered 429"
        assert told["next_try"] == "1970-01-12T13:56:40Z"
        clock.now += 600
        await until_tried(api, path, 2)
        assert await next_due(api) == clock.now + LONGEST_WAIT_S


async def test_a_success_begins_a_new_day(tmp_path, receiver):
    api = surface(tmp_path, settings(), receivers=receiver)
    clock = Clock(api)
    receiver.replies += [500, 204, 500, 204]
    path = await called_back(api, num_images=1)
    async with running(api):
        await until_tried(api, path, 1)
        clock.now += DAY - 1
        await until(lambda: len(receiver.messages) == 3)
        await until_tried(api, path, 1)
        clock.now += DAY - 1
        told = await callback(api, path)
    assert (told["delivered"], told["failed"]) == (2, 0)


async def test_a_receiver_that_wants_no_more_gets_no_more(api, receiver):
    receiver.replies += [204, 410]
    path = await called_back(api)
    async with running(api):
        told = await callback(api, path, "gone")
        await until(lambda: not [name for name in api.names() if name.startswith("callbacks/")])
        told = await callback(api, path, "gone")
    assert types(receiver) == ["job.image"] * 2
    assert (told["delivered"], told["waiting"], told["failed"]) == (1, 0, 2)
    assert receiver.outcomes == ["delivered", "given_up"]


async def test_another_replica_goes_on_where_one_died(tmp_path, receiver):
    one = surface(tmp_path, settings(), receivers=receiver)
    other = Receiving()
    two = surface(tmp_path, settings(), receivers=other, admission=one.admission)
    receiver.replies += [204] + [500] * 1000
    path = await called_back(one)
    async with running(one):
        await until(lambda: len(receiver.messages) >= 3)
    async with running(two):
        told = await callback(two, path)
    assert told["delivered"] == 3
    messages = [message for _, message, _ in receiver.messages]
    assert other.messages[0][1] == messages[1]
    assert types(other) == ["job.image", "job.done"]


async def test_two_replicas_do_not_tell_twice(tmp_path, receiver):
    one = surface(tmp_path, settings(), receivers=receiver)
    two = surface(tmp_path, settings(), receivers=receiver, admission=one.admission)
    async with running(one, two):
        paths = [await called_back((one, two)[n % 2], seed=n) for n in range(6)]
        for path in paths:
            await callback(one, path)
    ids = [message for _, message, _ in receiver.messages]
    assert len(ids) == len(set(ids)) == 18


async def test_a_host_that_is_not_allowed_any_more_is_not_called(tmp_path, receiver):
    before = surface(tmp_path, settings(), receivers=receiver)
    path = await called_back(before, num_images=1)
    narrow = settings(hosts=["x.many.example"], give_up_s=0.2)
    after = surface(tmp_path, narrow, receivers=receiver)
    async with running(after):
        told = await callback(after, path)
    assert receiver.messages == []
    assert (told["failed"], told["state"]) == (2, "done")
    assert "does not allow" in told["last_failure"]


async def test_while_one_replica_calls_no_other_does(tmp_path):
    receiver = Slow()
    one = surface(tmp_path, settings(), receivers=receiver)
    two = surface(tmp_path, settings(), receivers=receiver, admission=one.admission)
    async with running(one, two):
        path = await called_back(one, num_images=1)
        await until_state(one, path, "done")
        await asyncio.sleep(0.5)  # many looks of both
        assert len(receiver.calling) == 1
        receiver.gate.set()
        await callback(two, path)
    assert types(receiver) == ["job.image", "job.done"]


async def test_one_host_takes_half_of_the_calls_at_most(tmp_path):
    receiver = Slow()
    api = surface(tmp_path, settings(at_once=4), receivers=receiver)
    async with running(api):
        paths = [await called_back(api, num_images=1) for _ in range(4)]
        for path in paths:
            await until_state(api, path, "done")
        other = await submit(api, callback_url="https://a.many.example/", num_images=1)
        await until(lambda: "a.many.example" in receiver.calling)
        assert sorted(receiver.calling) == ["a.many.example", *["hooks.shop.example"] * 2]
        receiver.gate.set()
        for path in (*paths, other.headers["location"]):
            await callback(api, path)
    assert len(receiver.messages) == 10


async def test_no_more_wait_than_may(tmp_path, receiver):
    api = surface(tmp_path, settings(max_waiting=1), receivers=receiver)
    receiver.replies += [500] * 1000
    path = await called_back(api, num_images=1)
    async with running(api):
        await until(lambda: receiver.messages)
        refused = await submit(api, callback_url=URL)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
        assert refused.json()["error"].startswith("callback_url: ")
        assert (await submit(api, num_images=1)).status_code == 202
        receiver.replies.clear()
        await callback(api, path)
        await until(lambda: not api.service.background.deliveries.is_full)
        await called_back(api, num_images=1)


async def test_what_nobody_foresaw_is_tried_again(api, receiver, caplog):
    receiver.replies += [RuntimeError("unforeseen"), 204]
    path = await called_back(api, num_images=1)
    async with running(api):
        told = await callback(api, path)
    assert told["delivered"] == 2
    assert f"the callbacks of {path.rpartition('/')[2]} failed" in caplog.text
