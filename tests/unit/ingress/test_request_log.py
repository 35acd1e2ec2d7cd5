"""The log line of a request: what it tells, and what it must not."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from ray._common.formatters import JSONFormatter
from starlette.requests import Request

from deployments.ingress.http.api_keys import KeyRing
from tests.unit.ingress.memory import surface

SECRET = "s3cret-marker-6b1e"  # noqa: S105 - what no line may hold
PROMPT = "prompt-marker-4d7a"


@pytest.fixture
def log(caplog):
    """The lines about requests, as Serve's own JSON formatter writes them."""
    caplog.set_level(logging.INFO)
    formatter = JSONFormatter()

    def lines() -> list[dict]:
        return [
            json.loads(formatter.format(record))
            for record in caplog.records
            if record.name == "deployments.ingress.http.middleware.frame"
        ]

    return lines


async def test_a_request_is_one_line(api, log):
    await api.generate(num_images=3)
    (line,) = log()
    told = {
        name: line[name] for name in ("method", "http_route", "status", "code", "model", "images")
    }
    assert told == {
        "method": "POST",
        "http_route": "/api/generate",
        "status": 200,
        "code": "ok",
        "model": "stable-diffusion",
        "images": 3,
    }
    assert line["made"] == 3
    assert line["engine_ms"] == 500
    assert line["duration_ms"] > 0
    assert line["finish_ms"] >= 0
    assert "status=200" in line["message"]
    assert "model=stable-diffusion" in line["message"]


async def test_a_stream_is_one_line_at_its_end(api, log):
    api.client.headers["Accept"] = "text/event-stream"
    await api.generate(num_images=2)
    (line,) = log()
    assert (line["status"], line["made"]) == (200, 2)


async def test_a_stream_that_fails_tells_the_failure(api, log):
    api.client.headers["Accept"] = "text/event-stream"
    api.models.failures.append(RuntimeError("boom"))
    await api.generate(num_images=1)
    assert [(line["status"], line["code"]) for line in log()] == [(500, "internal_error")]


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "code"),
    [
        ("GET", "/api/models", "/api/models", 200, "ok"),
        ("GET", f"/generated/{'0' * 32}.png", "/generated/{key}.png", 404, "not_found"),
        ("GET", f"/{SECRET}?{SECRET}", "unmatched", 404, "not_found"),
        ("PUT", "/api/models", "/api/models", 405, "method_not_allowed"),
        ("POST", "/api/generate", "/api/generate", 415, "unsupported_media_type"),
    ],
)
async def test_failures_tell_their_code_and_no_path(api, log, method, path, route, status, code):
    await api.client.request(method, path)
    (line,) = log()
    assert (line["method"], line["http_route"], line["status"], line["code"]) == (
        method,
        route,
        status,
        code,
    )
    assert SECRET not in json.dumps(line)


async def test_a_caller_who_leaves_is_told_as_that(api, log):
    api.models.gate.clear()
    asking = asyncio.create_task(api.generate(num_images=1))
    while not api.models.photos:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [(line["status"], line["code"]) for line in log()] == [(499, "client_gone")]


async def test_keys_by_name_and_no_prompt(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    made = surface(tmp_path, keys=KeyRing({"shop": SECRET}))
    async with made.client as client:
        client.headers["Authorization"] = f"Bearer {SECRET}"
        answer = await made.generate(num_images=1, prompt=PROMPT, negative_prompt=PROMPT)
        await made.vary(answer.json()["images"][0], prompt=PROMPT)
        await made.generate(prompt=PROMPT, num_images=99)
        made.models.failures.append(RuntimeError("boom"))
        await made.generate(prompt=PROMPT, num_images=1)
        await client.get("/api/models", headers={"Authorization": f"Bearer {SECRET}-wrong"})
    formatter = JSONFormatter()
    lines = [formatter.format(record) for record in caplog.records]
    ours = [line for line in lines if '"api_key_name": "shop"' in line]
    assert len(ours) == 4
    everything = "\n".join(lines)
    assert SECRET not in everything
    assert PROMPT not in everything


async def test_the_name_of_the_key_is_in_the_state(tmp_path):
    for keys, name in ((None, ""), (KeyRing({"shop": SECRET}), "shop")):
        made = surface(tmp_path, keys=keys)
        seen = []

        @made.app.get("/api/who")
        async def who(request: Request):
            seen.append(request.state.api_key_name)  # noqa: B023 - called in this turn

        async with made.client as client:
            await client.get("/api/who", headers={"X-API-Key": SECRET})
        assert seen == [name]


@pytest.mark.parametrize("model", ["x\nrequest status=200", "\x1b[31m", "m" * 900_000])
async def test_a_model_s_name_is_not_the_caller_s(api, log, model):
    answer = await api.generate(model=model)
    assert answer.status_code == 400
    (line,) = log()
    assert line.get("model", "unknown") == "unknown"
    assert model not in json.dumps(line)
    assert len(line["message"]) < 400


async def test_a_made_up_method_is_told_as_that(api, log):
    await api.client.request("EVIL-METHOD", "/api/models")
    (line,) = log()
    assert line["method"] == "other"
