"""Callbacks of background requests: what is told to whom, and what nobody is told."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import ReplicaLost
from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.callbacks import deliveries
from deployments.ingress.http.api_keys import KeyRing
from tests.unit.ingress.background import ASYNC, submit, until, until_state
from tests.unit.ingress.calling_back import (
    URL,
    Clock,
    callback,
    called_back,
    running,
    settings,
    types,
)
from tests.unit.ingress.memory import Surface, png, surface
from tests.unit.ingress.receiving import Receiving
from tests.unit.ingress.test_background_takeover import OneGate


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


async def test_a_mask_and_a_callback_go_together(api, receiver):
    mask = png(colour=(0, 0, 0), product=(255, 255, 255))
    fields = {"prompt": "p", "model": "stable-diffusion", "num_images": "1", "callback_url": URL}
    files = {"image": ("a.png", png()), "product_mask": ("m.png", mask)}
    answer = await api.client.post("/api/generate", data=fields, files=files, headers=ASYNC)
    async with running(api):
        await callback(api, answer.headers["location"])
    assert types(receiver) == ["job.image", "job.done"]
