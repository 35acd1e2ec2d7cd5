"""Refuses a multipart form that is cut off.

The form parser takes one for whole, drops the part that was cut, and leaves its temporary file to
the garbage collector. Pure ASGI; the parser closes its files when what it reads from raises.
"""

from __future__ import annotations

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import InvalidRequest


class WholeForms:
    """Middleware that looks for the closing delimiter of forms (RFC 2046, 5.1.1).

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        boundary = _boundary(scope)
        if not boundary:
            await self._app(scope, receive, send)
            return
        closing = b"--" + boundary + b"--"
        closed, tail = False, b""

        async def receive_whole() -> Message:
            nonlocal closed, tail
            message = await receive()
            if message["type"] == "http.request" and not closed:
                seen = tail + message.get("body", b"")
                closed, tail = closing in seen, seen[-len(closing) :]
                if not (closed or message.get("more_body", False)):
                    raise InvalidRequest("the form is cut off: its closing boundary is missing")
            return message

        await self._app(scope, receive_whole, send)


def _boundary(scope: Scope) -> bytes:
    """The boundary of a form; empty where the body is none."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return b""
    kind, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else b""
