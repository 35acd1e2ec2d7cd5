"""Bodies that trickle, callers that send too many at a time, and many copies of one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deployments.errors import BodyTooSlow, TooManyAtOnce
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.middleware import arrivals
from deployments.ingress.http.middleware.arrivals import Arrivals
from deployments.settings import IngressSettings, UploadLimits
from tests.unit.ingress.memory import png, surface

QUICK = UploadLimits(min_bytes_per_s=1000, body_grace_s=0.05, max_arriving=2)


class Caller:
    """One request to the middleware alone; its body arrives as the test says."""

    def __init__(self, middleware: Arrivals, name: str = "", *, key: str = "", address="1") -> None:
        self.body: asyncio.Queue[dict] = asyncio.Queue()
        self.headers = [(b"idempotency-key", key.encode())] if key else []
        scope = {
            "type": "http", "method": "POST", "headers": self.headers,
            "state": {"api_key_name": name}, "client": (address, 1),
        }  # fmt: skip
        self.task = asyncio.ensure_future(middleware(scope, self.body.get, self.send))

    async def send(self, message: dict) -> None:
        """Nobody looks at the answer here."""

    def sends(self, size: int, *, more: bool) -> None:
        self.body.put_nowait({"type": "http.request", "body": b"x" * size, "more_body": more})


async def reader(scope, receive, send) -> None:
    """An application that reads a body and then works until it is cancelled."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(scope["state"].get("works_s", 0))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_body_that_trickles_is_ended():
    caller = Caller(Arrivals(reader, limits=QUICK))
    for _ in range(3):
        caller.sends(1, more=True)
    with pytest.raises(BodyTooSlow, match="too slowly: 3 bytes in 0 s"):
        await caller.task


async def test_a_body_that_never_begins_is_ended():
    with pytest.raises(BodyTooSlow):
        await Caller(Arrivals(reader, limits=QUICK)).task


async def test_what_has_arrived_gives_time_for_more():
    caller = Caller(Arrivals(reader, limits=QUICK))
    caller.sends(5000, more=True)
    await asyncio.sleep(0.3)
    assert not caller.task.done()
    caller.sends(1, more=False)
    await caller.task


async def test_a_body_that_is_there_has_all_the_time():
    async def works(scope, receive, send) -> None:
        await reader(scope, receive, send)
        await asyncio.sleep(0.2)

    caller = Caller(Arrivals(works, limits=QUICK))
    caller.sends(1, more=False)
    await caller.task


async def test_a_timeout_of_the_application_is_its_own():
    async def fails(scope, receive, send) -> None:
        raise TimeoutError("another")

    with pytest.raises(TimeoutError, match="another"):
        await Caller(Arrivals(fails, limits=QUICK)).task


@pytest.mark.parametrize("same", [{"name": "shop"}, {"address": "10.0.0.1"}])
async def test_one_caller_cannot_fill_all_places(same):
    limits = QUICK.model_copy(update={"body_grace_s": 20.0})
    middleware = Arrivals(reader, limits=limits)
    first, second = (Caller(middleware, **same) for _ in range(2))
    await settle()
    with pytest.raises(TooManyAtOnce, match="as may be, 2, are arriving") as refused:
        await Caller(middleware, **same).task
    assert refused.value.retry_after_s == 2.0
    other = Caller(middleware, name="other", address="10.0.0.2")
    other.sends(1, more=False)
    await other.task
    # A body that has arrived, or whose caller has left, makes room.
    first.sends(1, more=False)
    await first.task
    second.task.cancel()
    await settle()
    for caller in [Caller(middleware, **same) for _ in range(2)]:
        caller.sends(1, more=False)
        await caller.task
    assert not middleware._arriving


async def test_copies_of_one_request_are_bounded_before_their_bodies_are_read():
    async def waits(scope, receive, send) -> None:
        await asyncio.Event().wait()

    limits = QUICK.model_copy(update={"body_grace_s": 20.0, "max_arriving": 100})
    middleware = Arrivals(waits, limits=limits)
    held = [Caller(middleware, "shop", key="order-1") for _ in range(arrivals.MOST_ALIKE)]
    await settle()
    with pytest.raises(TooManyAtOnce, match="Idempotency-Key as may be, 5, wait"):
        await Caller(middleware, "shop", key="order-1").task
    others = [Caller(middleware, "shop", key="order-2"), Caller(middleware, "two", key="order-1")]
    others += [Caller(middleware, "shop") for _ in range(9)]
    await settle()
    assert not any(caller.task.done() for caller in (*held, *others))
    for caller in (*held, *others):
        caller.task.cancel()
    await settle()
    assert not middleware._alike


async def test_the_service_answers_in_json(tmp_path):
    settings = IngressSettings(limits=UploadLimits(body_grace_s=0.05, min_bytes_per_s=10**9))
    api = surface(tmp_path, settings, keys=KeyRing({"shop": "secret"}))

    async def trickle() -> AsyncIterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; name=image; filename=a.png\r\n\r\n"
        await asyncio.sleep(20)
        yield b""

    headers = {"X-API-Key": "secret", "Content-Type": "multipart/form-data; boundary=b"}
    answer = await api.client.post("/api/generate", content=trickle(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")
    assert answer.json()["error"].startswith("the body arrives too slowly: 67 bytes")


async def test_sixty_copies_of_one_upload_make_one_answer(tmp_path):
    api = surface(tmp_path)
    api.models.gate.clear()

    async def ask():
        return await api.client.post(
            "/api/generate",
            headers={"Idempotency-Key": "order-1"},
            data={"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "1"},
            files={"image": ("photo.png", png(), "image/png")},
        )

    asked = [asyncio.ensure_future(ask()) for _ in range(60)]
    refused = asked[arrivals.MOST_ALIKE :]
    answers = await asyncio.gather(*refused)
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.json()["code"] for answer in answers} == {"too_many_at_once"}
    assert all(int(answer.headers["retry-after"]) == 2 for answer in answers)
    api.models.gate.set()
    answers = await asyncio.gather(*asked[: arrivals.MOST_ALIKE])
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["images"][0] for answer in answers}) == 1
    assert len(api.models.jobs) == 1
