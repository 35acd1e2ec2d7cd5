"""Both Python clients when connections are lost, a service is busy, or something else answers."""

from __future__ import annotations

import pytest

from deployments import client as client_module
from deployments.client import (
    BadResponse,
    Busy,
    Done,
    Image,
    NotFound,
    Progress,
    RequestRefused,
    ServiceFailed,
    Unreachable,
    Withheld,
    _EventParser,
)
from tests.unit.client.served import caller, canned, response, stream
from tests.unit.ingress.memory import png

JOB = "f" * 32
PHOTO = png()
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


def progress(index: int, step: int) -> tuple[str, object]:
    return "progress", {"index": index, "step": step, "steps": 4}


def image(index: int, name: str) -> tuple[str, object]:
    file = {"width": 4, "height": 4, "media_type": "image/png"}
    url = f"http://x/generated/{name}.png"
    return "image", {"index": index, "url": url, "seed": 7 + index, "fidelity": None, **file}


def done(*names: str) -> tuple[str, object]:
    return "done", {
        "images": [f"http://x/generated/{name}.png" for name in names],
        "model_used": "m",
        "prompt_used": "p",
        "seeds": [7 + index for index in range(len(names))],
        "fidelity": [None for _ in names],
        "details": [{"width": 4, "height": 4, "media_type": "image/png"} for _ in names],
        "warnings": [],
        "withheld": [],
    }


@pytest.fixture(autouse=True)
def slept(monkeypatch) -> list[float]:
    """The pauses, which take no time here."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    monkeypatch.setattr(client_module.asyncio, "sleep", sleep)
    return pauses


@KINDS
async def test_a_lost_stream_is_taken_up_and_no_image_comes_twice(kind, slept):
    first = stream([progress(0, 1), image(0, "a"), progress(1, 2)], cut=True)
    # Made anew, the image has another name: what was told stays.
    second = stream([progress(0, 4), image(0, "z"), image(1, "b"), done("z", "b")])
    async with canned(first, second) as server:
        call = caller(kind, server.url)
        events = await call("generate_events", PHOTO, prompt="Beach", model="m")
        await call.close()
    assert [type(event) for event in events] == [Progress, Image, Progress, Image, Done]
    assert [url[-5:] for url in events[-1].result.images] == ["a.png", "b.png"]
    assert len(slept) == 1
    # Both are the same request.
    keys = server.headers("Idempotency-Key")
    assert keys[0] == keys[1]
    assert keys[0]
    seeds = [r.partition(b'name="seed"')[2].split(b"\r\n")[2] for r in server.requests]
    assert seeds[0] == seeds[1]
    assert seeds[0].isdigit()


@KINDS
async def test_a_job_is_followed_from_its_last_event_on(kind, slept):
    parts = (
        stream([progress(0, 1), image(0, "a")], first=1, cut=True),
        stream([("interrupted", {"error": "x", "code": "unavailable", "request_id": "1"})]),
        response(502, "bad gateway"),
        stream([("withheld", {"index": 1, "reason": "nudity"}), done("a")], first=3),
    )
    async with canned(*parts) as server:
        call = caller(kind, server.url)
        events = await call("follow", JOB)
        await call.close()
    assert [type(event) for event in events] == [Progress, Image, Withheld, Done]
    assert server.headers("Last-Event-ID") == ["", "2", "2", "2"]
    assert len(slept) == 3


@KINDS
async def test_a_connection_that_is_lost_too_often_is_told(kind, slept):
    async with canned(stream([progress(0, 1)], cut=True)) as server:
        call = caller(kind, server.url, retries=2)
        with pytest.raises(Unreachable):
            await call("generate", PHOTO, prompt="Beach", model="m")
        await call.close()
    assert len(server.requests) == 3
    assert [0.75 <= one <= 1.25 * 3 for one in slept] == [True, True]


@KINDS
async def test_each_image_gives_the_connection_new_tries(kind):
    parts = [stream([image(index, str(index))], cut=True) for index in range(3)]
    async with canned(*parts, stream([done("0", "1", "2")])) as server:
        call = caller(kind, server.url, retries=1)
        assert len((await call("generate", PHOTO, prompt="Beach", model="m")).images) == 3
        parts = [stream([progress(0, step)], first=step, cut=True) for step in (1, 2, 3)]
        server.answers[:] = [*parts, stream([done("a")], first=4)]
        assert len(await call("follow", JOB)) == 4
        await call.close()


@KINDS
async def test_a_caller_with_a_key_of_its_own_sends_the_same_body_each_time(kind):
    async with canned(stream([done()])) as server:
        call = caller(kind, server.url)
        for _ in range(2):
            await call("generate", PHOTO, prompt="B", model="m", idempotency_key="k", deadline_s=9)
        await call.close()
    assert not any(b'name="seed"' in request for request in server.requests)
    assert server.headers("X-Deadline-Seconds") == ["9", "9"]


@KINDS
async def test_a_busy_service_is_waited_for_as_long_as_the_caller_likes(kind, slept):
    told = {"error": "no room", "code": "overloaded", "request_id": "1"}
    busy = response(429, told, Retry_After="4")
    async with canned(busy, busy, response(200, {"jobs": [], "cursor": None})) as server:
        call = caller(kind, server.url, wait_s=8)
        assert (await call("jobs")).jobs == []
        await call.close()
    assert slept == [4.0, 4.0]
    async with canned(busy) as server:
        call = caller(kind, server.url)
        with pytest.raises(Busy) as caught:
            await call("submit", PHOTO, prompt="B", model="m", wait_s=7.5)
        await call.close()
    assert (caught.value.retry_after, caught.value.request_id) == (4.0, "1")
    assert slept == [4.0, 4.0, 4.0]
    assert len(server.requests) == 2


@KINDS
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("all_withheld", RequestRefused),
        ("unavailable", Busy),
        ("internal_error", ServiceFailed),
        ("not_found", NotFound),
    ],
)
async def test_a_failure_in_a_stream_is_of_its_kind(kind, code, error):
    body = {"error": "it failed", "code": code, "request_id": "abc"}
    async with canned(stream([progress(0, 1), ("error", body)])) as server:
        call = caller(kind, server.url)
        with pytest.raises(error) as caught:
            await call("generate", PHOTO, prompt="Beach", model="m")
        await call.close()
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.request_id) == (code, "abc")


@KINDS
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(404, "Path '/api/models' not found"), BadResponse),
        (response(200, "<html>"), BadResponse),
        (response(200, {"models": [{"id": "m"}]}), BadResponse),
        (response(200, {"models": 3, "presets": [], "limits": {}, "formats": {}}), BadResponse),
        (response(301, "moved"), BadResponse),
        (response(503, "no healthy upstream"), Unreachable),
        (response(500, {"error": "x", "code": "internal_error"}), ServiceFailed),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable),
    ],
)
async def test_what_is_not_the_service_is_told(kind, answer, error):
    async with canned(answer) as server:
        call = caller(kind, server.url)
        with pytest.raises(error):
            await call("catalog")
        await call.close()


@KINDS
async def test_an_answer_that_is_no_stream_is_told(kind):
    async with canned(response(200, {"images": []})) as server:
        call = caller(kind, server.url)
        with pytest.raises(BadResponse):
            await call("generate", PHOTO, prompt="Beach", model="m")
        await call.close()


@KINDS
async def test_events_of_a_newer_service_are_passed_over(kind):
    async with canned(stream([("preview", {"index": 0}), done()])) as server:
        call = caller(kind, server.url)
        assert len(await call("generate_events", PHOTO, prompt="Beach", model="m")) == 1
        await call.close()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_streams_are_split_wherever_they_are_cut(size, end):
    lines = [
        ": hello",
        "id: 4",
        "event: image",
        'data: {"a":',
        'data:"ü\u2028"}',
        "",
        "",
        "data: 2",
        "",
    ]
    text = (end.join(lines) + end).encode() + (b": x\n" if end == "\r" else b"")
    parser = _EventParser()
    told = []
    for start in range(0, len(text), size):
        told += parser.push(text[start : start + size])
    assert told == [("image", "4", '{"a":\n"ü\u2028"}'), ("", "4", "2")]
