"""What an observer hears of requests, over the API in memory."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import httpx
import pytest

from deployments.errors import InternalError, Overloaded
from deployments.ingress.http.api import create_api
from deployments.ingress.http.outcome import Outcome
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, png
from tests.unit.ingress.test_cutouts import cut

GENERATE = "/api/generate"


@dataclass
class Heard:
    outcomes: list[Outcome] = field(default_factory=list)

    def ended(self, outcome: Outcome) -> None:
        assert outcome.seconds >= 0
        self.outcomes.append(outcome)

    @property
    def answers(self) -> list[tuple[str, str, int, str]]:
        return [(told.route, told.model, told.status, told.code) for told in self.outcomes]


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


async def test_cut_outs_are_told_by_their_routes(api: Surface, heard: Heard) -> None:
    made = (await cut(api)).json()
    await api.client.get(made["image_url"])
    await api.client.get(made["mask_url"])
    await api.client.delete(made["image_url"])
    await cut(api, png(product=None))
    assert heard.answers == [
        ("/api/cutout", "none", 200, "ok"),
        ("/cutouts/{key}.png", "none", 200, "ok"),
        ("/cutouts/{key}-mask.png", "none", 200, "ok"),
        ("/cutouts/{key}.png", "none", 204, "ok"),
        ("/api/cutout", "none", 400, "product_not_found"),
    ]


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
    (told,) = heard.outcomes
    assert (told.model, told.code, told.images) == ("stable-diffusion", "overloaded", 3)


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


class Left(Exception):
    """What a server raises from `receive` when the caller has left."""


def stream_scope(app) -> dict:
    return {
        "type": "http",
        "method": "POST",
        "path": GENERATE,
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"shop.test"),
            (b"accept", b"text/event-stream"),
            (b"content-type", b"multipart/form-data; boundary=b"),
        ],
        "scheme": "http",
        "server": ("shop.test", 80),
        "app": app,
    }


def form(photo: bytes, **fields: str) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return b"".join(parts) + head + photo + b"\r\n--b--\r\n"


@pytest.mark.parametrize("how", ["raises", "tells"])
async def test_log_and_metric_agree_on_a_stream_that_is_left_early(api, caplog, how):
    caplog.set_level(logging.INFO)
    heard, started = Heard(), asyncio.Event()
    app = create_api(
        api.service, IngressSettings(), version="0", observer=heard, departures=(Left,)
    )
    api.models.gate.clear()
    body = form(png(), prompt="p", model="controlnet", num_images="1")
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await started.wait()
        if how == "raises":
            raise Left
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            started.set()

    await app(stream_scope(app), receive, send)
    assert heard.answers == [(GENERATE, "controlnet", 499, "client_gone")]
    (line,) = [record for record in caplog.records if record.message.startswith("request ")]
    assert (line.http_route, line.status, line.code) == (GENERATE, 499, "client_gone")
    assert line.model == "controlnet"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_caller_who_leaves_while_the_body_arrives_is_no_error(api, caplog):
    caplog.set_level(logging.INFO)
    heard = Heard()
    app = create_api(
        api.service, IngressSettings(), version="0", observer=heard, departures=(Left,)
    )

    async def receive():
        raise Left

    async def send(message):
        pass

    await app(stream_scope(app), receive, send)
    assert heard.answers == [(GENERATE, "none", 499, "client_gone")]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
