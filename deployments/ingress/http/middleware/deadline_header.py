"""Begins a request's deadline when it arrives, and bounds the arrival of its body.

Pure ASGI. Serve has a timeout header of its own, which callers choose freely; nothing here depends
on it.
"""

from __future__ import annotations

import asyncio
import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import InvalidRequest
from deployments.ingress.core.deadline import Deadline

HEADER = "X-Deadline-Seconds"


class RequestDeadline:
    """Middleware that begins the deadline of a POST and bounds the arrival of its body.

    Leaves the `Deadline` in the request's state. What comes after the body is bounded by those who
    know how to end it.

    Args:
        app: What it wraps.
        longest_s: The longest; a caller who asks for more gets this.
    """

    def __init__(self, app: ASGIApp, *, longest_s: float) -> None:
        self._app = app
        self._longest_s = longest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        deadline = Deadline(min(self._longest_s, asked_s(Headers(scope=scope))))
        scope.setdefault("state", {})["deadline"] = deadline
        arriving = asyncio.timeout(deadline.rest_s())

        arrived = False

        async def receive_in_time() -> Message:
            nonlocal arrived
            message = await receive()
            if not (arrived or message.get("more_body", False)):
                arrived = True
                arriving.reschedule(None)
            return message

        try:
            async with arriving:
                await self._app(scope, receive_in_time, send)
        except TimeoutError:
            if arriving.expired():
                raise deadline.exceeded() from None
            raise


def asked_s(headers: Headers) -> float:
    """Seconds that a caller gives a request; infinity where it says none.

    Raises:
        InvalidRequest: It is no number above 0.
    """
    given = headers.getlist(HEADER)
    if not given:
        return math.inf
    try:
        (text,) = given
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise InvalidRequest(f"{HEADER} must be one number of seconds above 0")
    return seconds
