"""Bounds bodies while they arrive: how slow one may be, and how many one caller may send at a time.

Pure ASGI. A request holds one of the few places of its ingress replica from its headers on. So a
body must keep arriving, no caller may fill all places with bodies, and of requests with the same
Idempotency-Key, all but one of which wait, only some are let in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import BodyTooSlow, TooManyAtOnce
from deployments.ingress.http.idempotency_header import HEADER
from deployments.settings import UploadLimits

MOST_ALIKE = 5
"""Requests with one Idempotency-Key at the same time, in one ingress replica."""

RETRY_AFTER_S = 2.0
"""Suggested wait of who sends too many at a time."""


class Arrivals:
    """Middleware that bounds the arrival of the bodies of POST requests.

    It reads `api_key_name` from the request's state. A caller is an API key, or without one an
    address, as the server sees it.

    Args:
        app: What it wraps.
        limits: Bounds.
    """

    def __init__(self, app: ASGIApp, *, limits: UploadLimits) -> None:
        self._app = app
        self._limits = limits
        self._arriving: Counter[Hashable] = Counter()
        self._alike: Counter[Hashable] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        name = scope["state"]["api_key_name"]
        caller = name or (scope.get("client") or ("",))[0]
        keys = Headers(scope=scope).getlist(HEADER)
        if not keys:
            await self._bounded(caller, scope, receive, send)
            return
        alike = f"as many requests with this {HEADER} as may be, {MOST_ALIKE}, wait for its answer"
        with _one_of(self._alike, (name, *keys), MOST_ALIKE, alike):
            await self._bounded(caller, scope, receive, send)

    async def _bounded(self, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        limits, loop = self._limits, asyncio.get_running_loop()
        most = limits.max_arriving
        many = f"as many bodies of one caller as may be, {most}, are arriving"
        begun, received = loop.time(), 0
        arriving = asyncio.timeout(limits.body_grace_s)
        with ExitStack() as until_arrived:
            until_arrived.enter_context(_one_of(self._arriving, caller, most, many))

            async def receive_in_time() -> Message:
                nonlocal received
                message = await receive()
                if arriving.when() is not None:
                    received += len(message.get("body", b""))
                    if message.get("more_body", False):
                        wait_s = limits.body_grace_s + received / limits.min_bytes_per_s
                        arriving.reschedule(begun + wait_s)
                    else:
                        arriving.reschedule(None)
                        until_arrived.close()
                return message

            try:
                async with arriving:
                    await self._app(scope, receive_in_time, send)
            except TimeoutError:
                if arriving.expired():
                    taken_s = loop.time() - begun
                    raise BodyTooSlow(
                        f"the body arrives too slowly: {received} bytes in {taken_s:.0f} s"
                    ) from None
                raise


@contextmanager
def _one_of(counts: Counter[Hashable], name: Hashable, most: int, told: str) -> Iterator[None]:
    """Count one, and count it off at the end.

    Raises:
        TooManyAtOnce: There are as many as may be.
    """
    if counts[name] >= most:
        raise TooManyAtOnce(told, RETRY_AFTER_S)
    counts[name] += 1
    try:
        yield
    finally:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]
