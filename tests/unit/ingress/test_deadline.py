"""A request's deadline: from its arrival on, and whoever it waits for."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.decoder import Decoder
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Admitting, Surface, png, surface

HEADER = "X-Deadline-Seconds"


async def generate(api: Surface, given: str, **headers: str) -> httpx.Response:
    return await api.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion"},
        files={"image": ("a.png", png())},
        headers={HEADER: given, **headers},
    )


async def idle(api: Surface) -> None:
    """Wait until the admission knows of no places in use."""
    async with asyncio.timeout(20):
        while api.admission.held("stable-diffusion"):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("given", ["0", "-1", "soon", "", "nan", "inf", "1e999", "1,2"])
async def test_a_bad_deadline_is_named(api, given):
    answer = await generate(api, given)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"{HEADER} must be one number of seconds above 0"


async def test_two_deadlines_are_none(api):
    headers = [(HEADER, "5"), (HEADER, "6")]
    answer = await api.client.post("/api/variation", json={}, headers=headers)
    assert HEADER in answer.json()["error"]


async def test_a_shorter_deadline_of_the_caller_counts(api):
    api.models.gate.clear()
    answer = await generate(api, "0.2")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert "within 0.2 s" in answer.json()["error"]
    assert len(api.models.cancelled) == 4
    assert api.names() == []
    await idle(api)


async def test_a_longer_deadline_of_the_caller_is_the_configured_one(tmp_path):
    api = surface(tmp_path, IngressSettings(deadline_s=0.2))
    api.models.gate.clear()
    answer = await generate(api, "1e9", **{"x-request-timeout-seconds": "1e9"})
    assert "within 0.2 s" in answer.json()["error"]


async def test_a_stream_tells_its_deadline_as_an_event(api):
    api.models.gate.clear()
    answer = await generate(api, "0.2", Accept="text/event-stream")
    assert answer.status_code == 200
    assert answer.text.count("event: error") == 1
    assert "deadline_exceeded" in answer.text
    await idle(api)


async def test_the_arrival_of_the_body_counts(api):
    async def slow_body():
        yield b"--x\r\n"
        await asyncio.sleep(30)

    headers = {HEADER: "0.1", "Content-Type": "multipart/form-data; boundary=x"}
    answer = await api.client.post("/api/generate", content=slow_body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


async def test_waiting_for_the_admission_counts(tmp_path):
    class Away(Admitting):
        async def take(self, replica, lease, rates):
            await asyncio.sleep(30)

    api = surface(tmp_path, admission=Away(IngressSettings()))
    answer = await generate(api, "0.1")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


async def test_decoding_counts_and_gives_its_places_back(api, monkeypatch):
    async def slow(decoder, data):
        await asyncio.sleep(30)

    monkeypatch.setattr(Decoder, "photo", slow)
    answer = await generate(api, "0.1")
    assert answer.status_code == 504
    await idle(api)


async def test_a_bad_photo_gives_its_places_back(api):
    assert (await api.generate(b"no photo")).json()["code"] == "invalid_image"
    await idle(api)


async def test_nothing_is_left_of_a_deadline_that_has_passed():
    deadline = Deadline(0.01)
    await asyncio.sleep(0.02)
    assert deadline.rest_s() == 0


async def test_somebody_elses_timeout_is_not_the_deadline():
    with pytest.raises(TimeoutError):
        async with Deadline(30).bounds():
            raise TimeoutError
