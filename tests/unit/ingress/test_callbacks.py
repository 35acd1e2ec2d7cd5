"""Callbacks of background requests: what is told to whom, in which order, and until when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from deployments.background_settings import BackgroundSettings
from deployments.errors import ReplicaLost
from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.callbacks import deliveries
from deployments.ingress.core.callbacks.ports import NotReached, Reply
from deployments.ingress.core.callbacks.progress import LONGEST_WAIT_S
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from deployments.webhook_settings import WebhookSettings
from tests.unit.ingress.background import ASYNC, submit, until, until_state
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.receiving import Receiving
from tests.unit.ingress.test_background_takeover import OneGate

URL = "https://hooks.shop.example/backdrop?token=t0ken"
DAY = 86_400.0


def settings(**changes: object) -> IngressSettings:
    hosts = {"hosts": ["hooks.shop.example", "*.many.example"], "retry_s": 0.05}
    return IngressSettings(
        background=BackgroundSettings(poll_s=0.05), webhooks=WebhookSettings(**{**hosts, **changes})
    )


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


class Clock:
    """Seconds since 1970, as far as callbacks see them."""

    def __init__(self, *replicas: Surface) -> None:
        self.now = 1_000_000.0
        for replica in replicas:
            replica.service.background.deliveries._clock = lambda: self.now


@asynccontextmanager
async def running(*replicas: Surface) -> AsyncIterator[None]:
    """All that a replica does beside its answers, until the end of the block."""
    async with AsyncExitStack() as stack:
        for replica in replicas:
            lifespan = replica.app.router.lifespan_context(replica.app)
            await stack.enter_async_context(lifespan)
        yield


async def called_back(api: Surface, **fields: object) -> str:
    """The path of a new job with callbacks."""
    answer = await submit(api, callback_url=URL, **fields)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def callback(api: Surface, path: str, state: str = "done") -> dict:
    """How far a job's callbacks are, once they are so far."""
    async with asyncio.timeout(20):
        while (told := (await api.client.get(path)).json()["callback"])["state"] != state:
            await asyncio.sleep(0.02)
    return told


def types(receiver: Receiving) -> list[str]:
    return [body["type"] for _, _, body in receiver.messages]


async def test_each_image_and_the_end_are_told_in_order(api, receiver):
    path = await called_back(api, seed=7)
    assert (await api.client.get(path)).json()["callback"] == {
        "host": "hooks.shop.example", "state": "active", "delivered": 0, "waiting": 0,
        "failed": 0, "next_try": None, "last_failure": None,
    }  # fmt: skip
    async with running(api):
        told = await callback(api, path)
    assert (told["delivered"], told["waiting"], told["failed"]) == (3, 0, 0)
    assert types(receiver) == ["job.image", "job.image", "job.done"]
    assert {url for url, _, _ in receiver.messages} == {URL}
    ids = [message for _, message, _ in receiver.messages]
    key = path.rpartition("/")[2]
    assert [message.rpartition("_")[0] for message in ids] == [f"msg_{key}"] * 3
    assert ids == sorted(set(ids), key=ids.index)
    job = (await api.client.get(path)).json()
    del job["callback"]
    first, second, end = (body["data"] for _, _, body in receiver.messages)
    assert end == job
    assert (len(first["images"]), len(second["images"])) == (1, 2)
    assert (first["state"], first["ended"], first["answer"]) == ("running", None, None)
    assert second["images"] == job["images"]
    assert 0.5 <= first["progress"] < 1
    assert receiver.messages[-1][2]["timestamp"] == job["ended"]
    assert receiver.outcomes == ["delivered"] * 3
    assert [name for name in api.names() if name.startswith("callbacks/")] == []


async def test_an_image_is_told_while_others_are_made(api, receiver):
    api.models.gate = OneGate()
    path = await called_back(api)
    async with running(api):
        await until(lambda: receiver.messages)
        assert types(receiver) == ["job.image"]
        assert (await api.client.get(path)).json()["state"] == "running"
        api.models.gate.opened.set()
        await callback(api, path)
    assert types(receiver) == ["job.image", "job.image", "job.done"]


async def test_a_failure_and_a_cancellation_are_told(api, receiver):
    api.models.failures += [ReplicaLost("the model is not available now", 0.01)] * 99
    path = await called_back(api, num_images=1)
    async with running(api):
        await callback(api, path)
        assert types(receiver) == ["job.failed"]
        assert receiver.messages[0][2]["data"]["failure"]["status"] == 500
        api.models.failures.clear()
        api.models.gate.clear()
        running_one = await called_back(api)
        await until_state(api, running_one, "running")
        await api.client.delete(running_one)
        await callback(api, running_one)
    waiting = await called_back(api)
    await api.client.delete(waiting)
    async with running(api):
        await callback(api, waiting)
    assert types(receiver) == ["job.failed", "job.cancelled", "job.cancelled"]


async def test_what_has_nothing_to_tell_is_looked_at_rarely(tmp_path, receiver):
    api = surface(tmp_path, settings(), receivers=receiver)
    deliver, loads = api.service.background.deliveries, []
    await called_back(api)
    clock = Clock(api)
    # Nobody works on it, and it is too new for what was seen of the line.
    deliver._line = Empty()
    load = api.service._backends.callbacks.load
    api.service._backends.callbacks.load = lambda name: loads.append(name) or load(name)
    looking = asyncio.create_task(deliver.run(lambda *_: b""))
    for _ in range(20):
        deliver.stir(Name("0" * 32, "0" * 32))
        await asyncio.sleep(0.02)
    assert len(loads) == 1
    deliver.stir(loads[0])
    await until(lambda: len(loads) == 2)
    clock.now += 1
    await until(lambda: len(loads) == 3)
    looking.cancel()


class Empty:
    """A line that nobody is seen in."""

    async def look(self, fresh_s: float) -> list[Name]:
        return []


async def test_a_job_without_a_callback_tells_nobody(api, receiver):
    answer = await submit(api)
    assert answer.json()["callback"] is None
    async with running(api):
        job = await until_state(api, answer.headers["location"], "done")
    assert job["callback"] is None
    assert receiver.messages == []


@pytest.mark.parametrize("kind", ["generate", "json", "form"])
async def test_a_request_that_is_answered_now_has_no_callback(api, kind):
    fields = {"prompt": "forest", "model": "controlnet", "callback_url": URL, "num_images": 1}
    url = (await api.generate(num_images=1)).json()["images"][0]
    if kind == "generate":
        answer = await api.generate(**fields)
    elif kind == "json":
        answer = await api.vary(url, **fields)
    else:
        form = [(name, (None, str(value))) for name, value in {**fields, "image_url": url}.items()]
        answer = await api.client.post("/api/variation", files=form)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["error"].startswith("callback_url: it is of a job: send the header Prefer")


@pytest.mark.parametrize("kind", ["json", "form"])
async def test_a_variation_is_told_too(api, receiver, kind):
    url = (await api.generate(num_images=1)).json()["images"][0]
    fields = {"image_url": url, "prompt": "forest", "model": "controlnet", "callback_url": URL}
    body = {"json": {**fields, "num_images": 1}}
    if kind == "form":
        parts = {**fields, "num_images": "1"}
        body = {"files": [(name, (None, value)) for name, value in parts.items()]}
    answer = await api.client.post("/api/variation", headers=ASYNC, **body)
    assert answer.status_code == 202, answer.text
    async with running(api):
        await callback(api, answer.headers["location"])
    assert types(receiver) == ["job.image", "job.done"]


@pytest.mark.parametrize("url", ["https://other.example/", "http://hooks.shop.example/", "x"])
async def test_what_is_not_allowed_stores_nothing(api, url):
    answer = await submit(api, callback_url=url)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["error"].startswith("callback_url: ")
    assert api.names() == []


async def test_an_operator_allows_nobody_by_default(tmp_path):
    api = surface(tmp_path)
    answer = await submit(api, callback_url=URL)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "callback_url: the operator of this service allows no callbacks"
    )
    empty = await submit(api, callback_url="")
    assert empty.status_code == 202


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


async def test_a_repeated_request_must_name_the_same_url(api):
    headers = {"Idempotency-Key": "k1"}
    first = await submit(api, callback_url=URL, headers=headers)
    again = await submit(api, callback_url=URL, headers=headers)
    assert again.json() == first.json()
    for other in ({"callback_url": f"{URL}2"}, {}):
        assert (await submit(api, headers=headers, **other)).status_code == 409


async def test_nobody_sees_the_url(tmp_path, receiver):
    keys = KeyRing({"shop": "s3cret", "other": "0ther"})
    api = surface(tmp_path, settings(), keys=keys, receivers=receiver)
    mine, theirs = {"X-API-Key": "s3cret"}, {"X-API-Key": "0ther"}
    answer = await submit(api, callback_url=URL, headers=mine)
    path = answer.headers["location"]
    async with running(api):
        await until(lambda: len(receiver.messages) == 3)
    seen = [
        answer.text,
        (await api.client.get(path, headers=mine)).text,
        (await api.client.get("/api/jobs", headers=mine)).text,
        (await api.client.get("/api/models", headers=mine)).text,
        (await api.client.get(path, headers={**mine, "Accept": "text/event-stream"})).text,
        *(str(body) for _, _, body in receiver.messages),
    ]
    assert (await api.client.get(path, headers=theirs)).status_code == 404
    assert (await api.client.get("/api/jobs", headers=theirs)).json()["jobs"] == []
    assert not [text for text in seen if "t0ken" in text]
    for name in api.names():
        if not name.startswith(("requests/", "callbacks/")):
            assert b"hooks.shop.example" not in api.store.get(name).data, name


async def test_what_nobody_foresaw_is_tried_again(api, receiver, caplog):
    receiver.replies += [RuntimeError("unforeseen"), 204]
    path = await called_back(api, num_images=1)
    async with running(api):
        told = await callback(api, path)
    assert told["delivered"] == 2
    assert f"the callbacks of {path.rpartition('/')[2]} failed" in caplog.text


async def test_a_mask_and_a_callback_go_together(api, receiver):
    mask = png(colour=(0, 0, 0), product=(255, 255, 255))
    fields = {"prompt": "p", "model": "stable-diffusion", "num_images": "1", "callback_url": URL}
    files = {"image": ("a.png", png()), "product_mask": ("m.png", mask)}
    answer = await api.client.post("/api/generate", data=fields, files=files, headers=ASYNC)
    async with running(api):
        await callback(api, answer.headers["location"])
    assert types(receiver) == ["job.image", "job.done"]
