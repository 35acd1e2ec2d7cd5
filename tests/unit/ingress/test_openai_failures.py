"""Every failure under /v1 has OpenAI's form, whoever refuses."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import Unavailable
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import png, surface
from tests.unit.ingress.test_openai_edits import EDITS, edit

FORM = "multipart/form-data; boundary=x"


def checked(answer, status: int, kind: str, code: str, param: str | None = None) -> dict:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code", "request_id"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, param)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    return error


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/v1", {}, 404, "not_found"),
        ("GET", "/v1/chat/completions", {}, 404, "not_found"),
        ("GET", "/v1/models/%0a", {}, 404, "not_found"),
        ("DELETE", "/v1/models", {}, 405, "method_not_allowed"),
        ("GET", EDITS, {}, 405, "method_not_allowed"),
        ("POST", EDITS, {"json": {"prompt": "x"}}, 415, "unsupported_media_type"),
        (
            "POST",
            EDITS,
            {"content": b"--x", "headers": {"Content-Type": FORM}},
            400,
            "invalid_request",
        ),
        (
            "POST",
            EDITS,
            {"content": b"", "headers": {"Content-Type": FORM, "X-Deadline-Seconds": "-1"}},
            400,
            "invalid_request",
        ),
    ],
)
async def test_what_never_reaches_a_route(api, method, path, sent, status, code):
    answer = await api.client.request(method, path, **sent)
    checked(answer, status, "invalid_request_error", code)


async def test_elsewhere_the_form_is_ours(api):
    for path in ("/api/nothing", "/v10", "/v1.0/models"):
        assert set((await api.client.get(path)).json()) == {"error", "code", "request_id"}


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit(tmp_path, chunked):
    made = surface(tmp_path, IngressSettings(limits={"max_body_bytes": 1024}))
    body = b"--x\r\n" + b"a" * 4096

    async def pieces():
        yield body

    headers = {"Content-Type": FORM}
    async with made.client:
        sent = pieces() if chunked else body
        answer = await made.client.post(EDITS, content=sent, headers=headers)
    checked(answer, 413, "invalid_request_error", "body_too_large")


async def test_no_room(tmp_path):
    made = surface(tmp_path, IngressSettings(max_images=1, max_waiting_images=1))
    made.models.gate.clear()
    async with made.client:
        first = asyncio.create_task(edit(made))
        while not made.models.jobs:
            await asyncio.sleep(0.01)
        answer = await edit(made)
        made.models.gate.set()
        assert (await first).status_code == 200
    checked(answer, 429, "rate_limit_error", "overloaded")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_model_that_is_down(api):
    api.models.failures.append(Unavailable("the model is starting", 3))
    answer = await edit(api)
    checked(answer, 503, "server_error", "unavailable")
    assert answer.headers["retry-after"] == "3"


async def test_a_deadline_that_passes(api):
    api.models.gate.clear()
    answer = await edit(api, headers={"X-Deadline-Seconds": "0.2"})
    checked(answer, 504, "server_error", "deadline_exceeded")


async def test_what_is_unexpected_is_hidden(api):
    api.models.failures.append(RuntimeError("secret"))
    answer = await edit(api)
    assert "secret" not in checked(answer, 500, "server_error", "internal_error")["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 99}, "n"),
        ({"n": 0}, "n"),
        ({"wings": 2}, "wings"),
        ({"size": "huge"}, "size"),
        ({"model": "gpt-image-1"}, "model"),
        ({"background": "clear"}, "background"),
        ({"background": "transparent", "n": 2}, "n"),
        ({"background": "transparent", "output_format": "jpeg"}, "output_format"),
        ({"num_images": 2}, "num_images"),
        ({"output_quality": 50, "output_format": "jpeg"}, "output_quality"),
        ({"seed": -1}, "seed"),
        ({"preserve_product": "maybe"}, "preserve_product"),
        ({"input_fidelity": "high", "preserve_product": "false"}, "input_fidelity"),
        ({"mask": "text"}, "mask"),
        ({"image": "text"}, "image"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a" * 2001}, "prompt"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
async def test_the_field_is_named(api, fields, param):
    # Without a file the client would send no form.
    files = [("background_image", ("photo.png", png()))] if "image" in fields else None
    answer = await edit(api, files, **fields)
    code = "unknown_model" if param == "model" else "invalid_request"
    checked(answer, 400, "invalid_request_error", code, param)
    assert api.models.jobs == []


async def test_a_field_that_is_sent_twice(api):
    fields = {"prompt": ["a", "b"]}
    files = {"image": ("photo.png", png())}
    answer = await api.client.post(EDITS, data=fields, files=files)
    checked(answer, 400, "invalid_request_error", "invalid_request", "prompt")


async def test_a_photo_that_is_none(api):
    answer = await edit(api, [("image", ("photo.png", b"GIF89a"))])
    checked(answer, 400, "invalid_request_error", "invalid_image", "image")


async def test_a_preflight_of_a_foreign_page(api):
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answer = await api.client.options(EDITS, headers=headers)
    checked(answer, 403, "invalid_request_error", "origin_not_allowed")
