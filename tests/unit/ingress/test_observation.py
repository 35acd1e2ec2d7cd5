"""What an observer hears of requests, over the API in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest

from deployments.errors import InternalError, Overloaded
from deployments.ingress.http.api import create_api
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, png

GENERATE = "/api/generate"


@dataclass
class Heard:
    answers: list[tuple[str, str, int, str]] = field(default_factory=list)
    refusals: list[tuple[str, str, int]] = field(default_factory=list)

    def answered(self, route: str, model: str, status: int, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.answers.append((route, model, status, code))

    def refused(self, model: str, reason: str, images: int) -> None:
        self.refusals.append((model, reason, images))


@pytest.fixture
async def heard(api: Surface) -> Heard:
    """What is heard of the API in memory, whose client speaks to an observed application."""
    heard = Heard()
    app = create_api(api.service, IngressSettings(), version="0", observer=heard)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    api.client = httpx.AsyncClient(transport=transport, base_url="http://shop.test")
    return heard


async def test_routes_are_templates_and_models_are_catalog_ids(api: Surface, heard: Heard) -> None:
    url = (await api.generate(num_images=1)).json()["images"][0]
    await api.client.get(url)
    await api.client.get("/api/models")
    await api.vary(url, num_images=1)
    assert heard.answers == [
        (GENERATE, "stable-diffusion", 200, "ok"),
        ("/generated/{key}.png", "none", 200, "ok"),
        ("/api/models", "none", 200, "ok"),
        ("/api/variation", "controlnet", 200, "ok"),
    ]
    assert heard.refusals == []


async def test_what_a_caller_makes_up_is_no_label(api: Surface, heard: Heard) -> None:
    await api.generate(model="made-up")
    await api.generate(num_images=99)
    await api.client.get("/made/up")
    await api.client.get("/api/generate")
    assert heard.answers == [
        (GENERATE, "unknown", 400, "unknown_model"),
        (GENERATE, "none", 400, "invalid_request"),
        ("unmatched", "none", 404, "not_found"),
        (GENERATE, "none", 405, "method_not_allowed"),
    ]


async def test_images_without_room_are_counted(api: Surface, heard: Heard) -> None:
    api.models.failures = [Overloaded("full", 3)]
    answer = await api.generate(num_images=3)
    assert answer.status_code == 429
    assert heard.refusals == [("stable-diffusion", "overloaded", 3)]


async def test_a_stream_that_fails_is_a_failure(api: Surface, heard: Heard) -> None:
    api.models.failures = [InternalError("no")]
    files = {"image": ("a.png", png(), "image/png")}
    data = {"prompt": "p", "model": "controlnet", "num_images": "1"}
    headers = {"Accept": "text/event-stream"}
    answer = await api.client.post(GENERATE, data=data, files=files, headers=headers)
    assert answer.status_code == 200
    assert heard.answers == [(GENERATE, "controlnet", 500, "internal_error")]


async def test_a_caller_who_left_is_neither_served_nor_failed(api: Surface, heard: Heard) -> None:
    api.models.gate.clear()
    call = asyncio.create_task(api.generate(num_images=1))
    while not api.models.photos:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert heard.answers == [(GENERATE, "stable-diffusion", 499, "client_gone")]
