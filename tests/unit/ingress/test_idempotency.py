"""Requests with an Idempotency-Key: the same answer for the same key, and images made once."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.datastructures import UploadFile

from deployments.errors import Unavailable
from deployments.ingress.core import idempotency
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, key_of, png, surface
from tests.unit.ingress.stored import StoredAnswers
from tests.unit.ingress.test_api import events

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)


async def generate(
    api: Surface, key: str = "order-1", *, photo: bytes | None = None, headers=None, **fields
) -> httpx.Response:
    data = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "2"}
    data.update({name: str(value) for name, value in fields.items()})
    return await api.client.post(
        "/api/generate",
        data=data,
        files={"image": ("photo.png", photo or png())},
        headers={"Idempotency-Key": key, **(headers or {})},
    )


async def until_working(api: Surface, jobs: int) -> None:
    async with asyncio.timeout(20):
        while len(api.models.photos) < jobs:
            await asyncio.sleep(0.001)


async def test_the_same_request_gets_the_same_answer(api):
    first = await generate(api)
    second = await generate(api)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["cache-control"] == "no-store"
    assert "idempotent-replayed" not in first.headers
    assert len(api.models.jobs) == 2


async def test_the_body_may_be_written_differently(api):
    first = await generate(api)
    fields = {
        "num_images": "2",
        "preserve_product": "auto",
        "model": "stable-diffusion",
        "prompt": "Perfume backdrop",
    }
    second = await api.client.post(
        "/api/generate",
        data=fields,
        files={"image": ("other.jpg", png(), "application/octet-stream")},
        headers={"Idempotency-Key": "order-1"},
    )
    assert second.json() == first.json()


@pytest.mark.parametrize(
    "other",
    [{"prompt": "forest"}, {"seed": 1}, {"photo": png(product=(9, 9, 9))}, {"num_images": 1}],
)
@pytest.mark.parametrize("running", [True, False])
async def test_the_same_key_with_another_body_is_a_conflict(api, other, running):
    if running:
        api.models.gate.clear()
    first = asyncio.create_task(generate(api))
    await until_working(api, 2)
    if not running:
        await first
    answer = await generate(api, **other)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    api.models.gate.set()
    assert (await first).status_code == 200
    assert len(api.models.jobs) == 2


async def test_the_endpoints_do_not_share_a_body(api):
    url = (await generate(api)).json()["images"][0]
    body = {"image_url": url, "prompt": "forest", "model": "controlnet", "num_images": 1}
    headers = {"Idempotency-Key": "turn-2"}
    first = await api.client.post("/api/variation", json=body, headers=headers)
    second = await api.client.post("/api/variation", json=body, headers=headers)
    assert (first.status_code, first.json()) == (200, second.json())
    conflict = await api.client.post(
        "/api/variation", json=body, headers={"Idempotency-Key": "order-1"}
    )
    assert conflict.status_code == 409


async def test_a_second_request_waits_for_the_first(api):
    api.models.gate.clear()
    first = asyncio.create_task(generate(api))
    await until_working(api, 2)
    second = asyncio.create_task(generate(api))
    await asyncio.sleep(0.05)
    assert not second.done()
    api.models.gate.set()
    assert (await second).json() == (await first).json()
    assert len(api.models.jobs) == 2


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """How many bytes each reading of a form's file gave."""
    sizes: list[int] = []
    read = UploadFile.read

    async def noted(upload: UploadFile, size: int = -1) -> bytes:
        content = await read(upload, size)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(UploadFile, "read", noted)
    return sizes


async def test_only_who_makes_the_answer_reads_the_photo(api, reads):
    """Those that wait, that are refused and that get a kept answer hold no copy of their bodies."""
    api.models.gate.clear()
    first = asyncio.create_task(generate(api))
    await until_working(api, 2)
    assert reads == [len(png())]
    waiting = [asyncio.create_task(generate(api)) for _ in range(3)]
    await asyncio.sleep(0.05)
    other = await generate(api, photo=png(product=(9, 9, 9)))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    api.models.gate.set()
    answers = await asyncio.gather(first, *waiting)
    assert [answer.json() for answer in answers] == [answers[0].json()] * 4
    assert (await generate(api)).json() == answers[0].json()
    assert reads == [len(png())]


@pytest.mark.parametrize(
    ("path", "headers", "data"),
    [
        ("/api/generate", {"Prefer": "respond-async"}, {"prompt": "forest", "num_images": "1"}),
        ("/api/cutout", {}, {}),
        ("/v1/images/edits", {}, {"prompt": "forest"}),
    ],
    ids=["background", "cut-out", "openai"],
)
async def test_a_repeat_is_answered_without_reading_the_photo(api, reads, path, headers, data):
    if path == "/api/generate":
        data = {"model": "stable-diffusion", **data}

    async def ask(photo: bytes) -> httpx.Response:
        return await api.client.post(
            path,
            data=data,
            files={"image": ("photo.png", photo)},
            headers={"Idempotency-Key": "order-2", **headers},
        )

    first = await ask(png())
    assert first.is_success, first.text
    needed = list(reads)
    assert needed
    second = await ask(png())
    assert second.headers["idempotent-replayed"] == "true"
    assert (await ask(png(product=(9, 9, 9)))).status_code == 409
    assert reads == needed


async def test_a_second_request_at_another_replica_waits_too(tmp_path):
    one = surface(tmp_path)
    other = surface(tmp_path, admission=one.admission)
    one.models.gate.clear()
    first = asyncio.create_task(generate(one))
    await until_working(one, 2)
    second = asyncio.create_task(generate(other))
    await asyncio.sleep(0.05)
    one.models.gate.set()
    assert (await second).json() == (await first).json()
    assert other.models.jobs == []


async def test_an_answer_outlives_the_processes(tmp_path):
    first = await generate(surface(tmp_path))
    again = surface(tmp_path)
    assert (await generate(again)).json() == first.json()
    assert again.models.jobs == []


async def test_a_stream_replays_its_images_and_its_end(api):
    first = await generate(api, headers=EVENTS)
    as_stream = await generate(api, headers=EVENTS)
    as_json = await generate(api)
    told = [event for event in events(first.text) if event[0] not in ("waiting", "progress")]
    assert [name for name, _ in told] == ["image", "image", "done"]
    assert sorted(map(str, events(as_stream.text))) == sorted(map(str, told))
    assert events(as_stream.text)[-1][0] == "done"
    assert as_json.json() == told[-1][1]
    assert as_stream.headers["content-type"].startswith("text/event-stream")
    assert as_stream.headers["idempotent-replayed"] == "true"


async def test_an_answer_in_json_replays_as_a_stream(api):
    first = (await generate(api)).json()
    told = events((await generate(api, headers=EVENTS)).text)
    assert [name for name, _ in told] == ["image", "image", "done"]
    assert told[-1][1] == first
    assert [data["url"] for _, data in told[:2]] == first["images"]
    assert [data["index"] for _, data in told[:2]] == [0, 1]


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_a_failure_is_not_kept(api, headers):
    api.models.failures.append(Unavailable("the model is gone"))
    failed = await generate(api, headers=headers)
    assert "the model is gone" in failed.text
    second = await generate(api)
    assert second.status_code == 200
    assert "idempotent-replayed" not in second.headers


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_a_second_request_runs_when_the_callers_of_the_first_leave(api, headers):
    api.models.gate.clear()
    first = asyncio.create_task(generate(api, headers=headers))
    await until_working(api, 2)
    second = asyncio.create_task(generate(api))
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await until_working(api, 4)
    api.models.gate.set()
    assert (await second).status_code == 200
    assert len(api.models.cancelled) == 2


async def test_a_request_that_waits_has_its_own_deadline(api):
    api.models.gate.clear()
    first = asyncio.create_task(generate(api))
    await until_working(api, 2)
    second = await generate(api, headers={"X-Deadline-Seconds": "0.1"})
    assert (second.status_code, second.json()["code"]) == (504, "deadline_exceeded")
    api.models.gate.set()
    assert (await first).status_code == 200


async def test_a_replay_needs_no_room(tmp_path):
    api = surface(tmp_path, IngressSettings(max_images=2, max_waiting_images=2))
    first = await generate(api)
    api.models.gate.clear()
    busy = asyncio.create_task(generate(api, "order-2"))
    await until_working(api, 4)
    assert (await generate(api, "order-3")).status_code == 429
    assert (await generate(api)).json() == first.json()
    api.models.gate.set()
    await busy


async def test_each_api_key_has_its_own(tmp_path):
    api = surface(tmp_path, keys=KeyRing({"one": "secret-1", "two": "secret-2"}))
    first = await generate(api, headers={"X-API-Key": "secret-1"})
    other = await generate(api, headers={"X-API-Key": "secret-2"}, prompt="forest")
    assert (first.status_code, other.status_code) == (200, 200)
    assert other.json()["prompt_used"] == "forest"


async def test_an_answer_stays_as_it_was_when_its_images_are_deleted(api):
    first = (await generate(api)).json()
    await api.client.delete(f"/generated/{key_of(first['images'][0])}.png")
    assert (await generate(api)).json() == first


async def test_an_answer_that_cannot_be_kept_says_so(api, monkeypatch):
    async def save(answers, name, answer):
        raise Unavailable("the storage is not available now")

    monkeypatch.setattr(StoredAnswers, "save", save)
    first = await generate(api)
    assert first.status_code == 200
    assert first.json()["warnings"][-1] == idempotency.NOT_KEPT
    streamed = events((await generate(api, headers=EVENTS)).text)[-1]
    assert streamed[1]["warnings"][-1] == idempotency.NOT_KEPT
    assert len(api.models.jobs) == 4


async def test_a_damaged_answer_is_our_fault(api):
    await generate(api)
    (name,) = [name for name in api.names() if name.startswith("answers/")]
    api.store.put(name, b'{"answer": []}', "application/json")
    answer = await generate(api)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


@pytest.mark.parametrize("key", ["", "two words", "a" * 201, "tab\there", "café".encode()])
async def test_a_bad_key_is_named(api, key):
    answer = await generate(api, key)
    assert answer.status_code == 400
    assert "Idempotency-Key must be one key of 1 to 200" in answer.json()["error"]
    assert api.models.jobs == []


@pytest.mark.parametrize("key", ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', "!", "~" * 200])
async def test_any_visible_characters_are_a_key(api, key):
    assert (await generate(api, key)).status_code == 200


async def test_pages_may_send_the_headers_and_see_the_replay(api):
    origin = {"Origin": "http://localhost:3000"}
    asked = {"Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "idempotency-key, x-deadline-seconds"
    allowed = await api.client.options("/api/generate", headers={**origin, **asked})
    assert allowed.status_code == 200
    assert "idempotency-key" in allowed.headers["access-control-allow-headers"].lower()
    answer = await generate(api, headers=origin)
    assert "Idempotent-Replayed" in answer.headers["access-control-expose-headers"]


async def test_an_order_that_cannot_be_served_claims_no_key(api, monkeypatch):
    url = (await api.generate(num_images=1)).json()["images"][0]
    claimed = []

    async def claim(places, name, fingerprint):
        claimed.append(name)

    monkeypatch.setattr(PlacesClient, "claim", claim)
    api.client.headers["Idempotency-Key"] = "a"
    for answer in (await api.generate(model="made-up"), await api.vary(url, model="made-up")):
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_model")
    assert claimed == []
