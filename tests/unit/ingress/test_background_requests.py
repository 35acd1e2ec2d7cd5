"""Requests that are answered later: accepted, looked at, followed, cancelled and listed."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import Unavailable
from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from tests.unit.ingress.background import (
    ASYNC,
    EVENTS,
    at_work,
    followed,
    settings,
    submit,
    submitted,
    until,
    until_over,
    until_state,
)
from tests.unit.ingress.memory import Surface, png, surface


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path, settings())


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)
    monkeypatch.setattr(work, "PUT_OFF_S", 0.05)


async def test_a_request_is_accepted_and_made_later(api):
    answer = await submit(api, seed=7)
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{body['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["cache-control"] == "no-store"
    assert (body["state"], body["place"], body["images"]) == ("waiting", 1, [])
    assert api.models.jobs == []
    async with at_work(api):
        job = await until_over(api, answer.headers["location"])
    assert (job["state"], job["progress"], job["place"]) == ("done", 1.0, None)
    assert job["answer"]["seeds"] == [7, 8]
    assert sorted(image["url"] for image in job["images"]) == sorted(job["answer"]["images"])
    for url in job["answer"]["images"]:
        assert (await api.client.get(url)).status_code == 200
    assert [name for name in api.names() if name.startswith(("uploads/", "unfinished/"))] == []


async def test_the_images_are_those_of_the_same_request_answered_at_once(api):
    at_once = (await api.generate(num_images=2, seed=7)).json()["images"]
    path = await submitted(api, seed=7)
    async with at_work(api):
        later = (await until_over(api, path))["answer"]["images"]
    for one, other in zip(at_once, later, strict=True):
        assert one != other
        pixels = [(await api.client.get(url)).headers["content-length"] for url in (one, other)]
        assert pixels[0] == pixels[1]


@pytest.mark.parametrize("kind", ["json", "form"])
async def test_a_variation_is_made_later(api, kind):
    url = (await api.generate(num_images=1)).json()["images"][0]
    fields = {"image_url": url, "prompt": "forest", "model": "controlnet", "num_images": "1"}
    body = {"json": {**fields, "num_images": 1}}
    if kind == "form":
        body = {"files": [(name, (None, value)) for name, value in fields.items()]}
    answer = await api.client.post("/api/variation", headers=ASYNC, **body)
    assert answer.status_code == 202, answer.text
    async with at_work(api):
        job = await until_over(api, answer.headers["location"])
    assert job["answer"]["model_used"] == "controlnet"
    assert len(job["images"]) == 1


async def test_a_mask_and_a_plain_background_wait_in_the_store(api):
    mask = png(colour=(0, 0, 0), product=(255, 255, 255))
    answer = await api.client.post(
        "/api/generate",
        data={"background": "image"},
        files={
            "image": ("a.png", png()),
            "product_mask": ("m.png", mask),
            "background_image": ("b.png", png(product=None)),
        },
        headers=ASYNC,
    )
    assert answer.status_code == 202, answer.text
    stored = [name.rpartition("-")[2] for name in api.names() if name.startswith("uploads/")]
    assert stored == ["1.png", "2.png", "3.png"]
    async with at_work(api):
        job = await until_over(api, answer.headers["location"])
    assert (job["state"], job["answer"]["model_used"]) == ("done", "none")


async def test_its_events_have_ids_and_can_be_taken_up(api):
    path = await submitted(api)
    async with at_work(api):
        events = await followed(api, path)
    assert events[0][:2] == (0, "waiting")
    assert events[0][2]["place"] == 1
    numbered = [event for event in events if event[0]]
    assert [number for number, _, _ in numbered] == list(range(1, len(numbered) + 1))
    names = [name for _, name, _ in numbered]
    assert (names.count("image"), names[-1]) == (2, "done")
    job = (await api.client.get(path)).json()
    assert numbered[-1][2] == job["answer"]
    assert [data for _, name, data in numbered if name == "image"] == job["images"]
    for last_id in range(len(numbered)):
        assert await followed(api, path, last_id) == numbered[last_id:]
    again = await api.client.get(path, headers={**EVENTS, "Last-Event-ID": str(len(numbered))})
    assert (again.status_code, again.content) == (204, b"")


async def test_progress_is_told_while_it_runs(api, monkeypatch):
    monkeypatch.setattr("deployments.ingress.core.background.held.Happening.SHORTEST_S", 0.01)
    api.models.gate.clear()
    path = await submitted(api)
    async with at_work(api):
        job = await until_state(api, path, "running")
        async with asyncio.timeout(20):
            while job["progress"] == 0:
                await asyncio.sleep(0.01)
                job = (await api.client.get(path)).json()
        assert (job["images"], job["answer"], job["failure"]) == ([], None, None)
        api.models.gate.set()
        await until_over(api, path)
    names = [name for _, name, _ in await followed(api, path)]
    assert "progress" in names


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "9" * 30])
async def test_a_bad_event_id_is_named(api, bad):
    path = await submitted(api)
    answer = await api.client.get(path, headers={**EVENTS, "Last-Event-ID": bad})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["error"].startswith("Last-Event-ID must be")


async def test_one_that_waits_is_cancelled_at_once(api):
    path = await submitted(api)
    answer = await api.client.delete(path)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    async with at_work(api):
        await asyncio.sleep(0.2)
    assert api.models.jobs == []
    assert await followed(api, path) == [(1, "cancelled", {})]
    kept = {name.partition("/")[0] for name in api.names()}
    assert kept == {"requests"}
    assert (await api.client.delete(path)).json()["state"] == "cancelled"


async def test_one_that_runs_is_cancelled_within_a_step(api):
    api.models.gate.clear()
    path = await submitted(api)
    async with at_work(api):
        await until(lambda: len(api.models.photos) == 2)
        assert (await api.client.delete(path)).json()["state"] == "cancelled"
        await until(lambda: len(api.models.cancelled) == 2)
        await until(lambda: not [n for n in api.names() if n.startswith("unfinished/")])
    assert (await api.client.get(path)).json()["state"] == "cancelled"
    assert {name.partition("/")[0] for name in api.names()} <= {"requests"}
    assert api.admission.held("stable-diffusion") == 0


async def test_a_finished_one_is_not_cancelled(api):
    path = await submitted(api)
    async with at_work(api):
        done = await until_over(api, path)
    assert (await api.client.delete(path)).json() == done


async def test_a_failure_is_told_as_the_request_would_have_been(api):
    answer = await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion", "preserve_product": "true"},
        files={"image": ("a.png", png(product=None))},
        headers=ASYNC,
    )
    path = answer.headers["location"]
    async with at_work(api):
        job = await until_over(api, path)
    assert job["state"] == "failed"
    assert (job["failure"]["status"], job["failure"]["code"]) == (400, "product_not_found")
    ((number, name, data),) = await followed(api, path)
    assert (number, name, data["code"]) == (1, "error", "product_not_found")
    assert {name.partition("/")[0] for name in api.names()} == {"requests"}


async def test_a_part_that_is_down_puts_it_off(api):
    api.models.failures += [Unavailable("the model is not available now", 0.01)] * 2
    path = await submitted(api)
    async with at_work(api):
        job = await until_over(api, path)
    assert job["state"] == "done"
    assert len({image["index"] for image in job["images"]}) == 2


async def test_it_waits_its_turn_where_another_request_would_be_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "LONGEST_WAIT_S", 0.05)
    small = settings().model_copy(update={"max_images": 2, "max_waiting_images": 2})
    api = surface(tmp_path, small)
    api.models.gate.clear()
    busy = asyncio.create_task(api.generate(num_images=2))
    await until(lambda: len(api.models.photos) == 2)
    assert (await api.generate(num_images=2)).status_code == 429
    path = await submitted(api)
    async with at_work(api):
        await asyncio.sleep(0.3)
        assert (await api.client.get(path)).json()["state"] == "waiting"
        api.models.gate.set()
        assert (await until_over(api, path))["state"] == "done"
    assert (await busy).status_code == 200


async def test_what_is_wrong_is_said_at_once(api):
    url = (await api.generate(num_images=1)).json()["images"][0]
    await api.client.delete(url)
    before = api.names()
    body = {"image_url": url, "prompt": "p", "model": "controlnet"}
    gone = await api.client.post("/api/variation", json=body, headers=ASYNC)
    assert gone.status_code == 404
    fields = {"prompt": "p", "model": "stable-diffusion"}
    for files, data, code in [
        ({"image": ("a.png", b"no image")}, {}, "invalid_image"),
        ({"image": ("a.png", png())}, {"model": "made-up"}, "unknown_model"),
        ({"image": ("a.png", png())}, {"num_images": "99"}, "invalid_request"),
        ({"image": ("a.png", png()), "product_mask": ("m.png", png(8, 8))}, {}, "invalid_request"),
        ({"image": ("a.png", png())}, {"cutout": "0" * 32}, "not_found"),
    ]:
        answer = await api.client.post(
            "/api/generate", data={**fields, **data}, files=files, headers=ASYNC
        )
        assert answer.json()["code"] == code
    assert api.names() == before


@pytest.mark.parametrize("value", ["respond-async, wait=10", "wait=5, Respond-Async;x=1"])
async def test_the_preference_is_read_as_the_rfc_has_it(api, value):
    assert (await submit(api, headers={"Prefer": value})).status_code == 202


@pytest.mark.parametrize("value", ["", "wait=10", "respond-asynchronously"])
async def test_other_preferences_are_ignored(api, value):
    assert (await submit(api, headers={"Prefer": value})).status_code == 200


async def test_its_own_deadline_ends_it(api):
    api.models.gate.clear()
    path = await submitted(api, headers={"X-Deadline-Seconds": "0.3"})
    async with at_work(api):
        job = await until_over(api, path)
    assert job["failure"]["code"] == "deadline_exceeded"
    assert job["failure"]["status"] == 504


@pytest.mark.parametrize("moment", ["requests", "answers"])
async def test_a_caller_who_leaves_while_it_is_accepted_finds_the_same_job(
    api, monkeypatch, moment
):
    backend = getattr(api.service.background._backends, moment)
    begun, goes_on = asyncio.Event(), asyncio.Event()
    save = type(backend).save

    async def slow(self, *args):
        begun.set()
        await goes_on.wait()
        return await save(self, *args)

    monkeypatch.setattr(type(backend), "save", slow)
    key = {"Idempotency-Key": "order-1"}
    leaving = asyncio.create_task(submit(api, headers=key))
    await begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    again = asyncio.create_task(submit(api, headers=key))
    await asyncio.sleep(0.05)
    assert not again.done()
    goes_on.set()
    answer = await again
    assert answer.headers["idempotent-replayed"] == "true"
    assert len([name for name in api.names() if name.startswith("requests/")]) == 1


async def test_the_same_idempotency_key_is_the_same_job(api):
    key = {"Idempotency-Key": "order-1"}
    first = await submit(api, headers=key)
    second = await submit(api, headers=key)
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotent-replayed"] == "true"
    assert (await submit(api, headers=key, prompt="other")).status_code == 409
    assert (await api.client.get("/api/jobs")).json()["jobs"][0]["id"] == first.json()["id"]
    assert len((await api.client.get("/api/jobs")).json()["jobs"]) == 1


async def test_of_two_at_the_same_time_one_makes_the_job(api):
    key = {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(*(submit(api, headers=key) for _ in range(5)))
    assert len({answer.json()["id"] for answer in answers}) == 1
