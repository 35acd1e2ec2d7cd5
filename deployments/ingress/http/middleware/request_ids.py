"""Which request ids of callers are taken over.

An id goes into logs and answers, so it may hold nothing that means something there. Serve's HTTP
proxy takes over whatever `X-Request-Id` a caller sends; `middlewares` is the hook that lets it see
only what is safe. `PROXY_HOOK` in the environment that Ray starts with names it.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "x-request-id"
PROXY_HOOK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
PROXY_MIDDLEWARES = "deployments.ingress.requestids:middlewares"
"""The environment variable through which Serve's proxy finds `middlewares`, and its value."""

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def safe_id(headers: Headers) -> str | None:
    """The caller's id, or None where there is none, several, or one of another form."""
    given = headers.getlist(HEADER)
    return given[0] if len(given) == 1 and _SAFE.fullmatch(given[0]) else None


class DropUnsafeIds:
    """Middleware of Serve's proxy: an id that is not safe is taken out, and the proxy makes one.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in ("http", "websocket") and safe_id(Headers(scope=scope)) is None:
            del MutableHeaders(scope=scope)[HEADER]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Serve's proxy runs around every request; it asks for it before its server starts."""
    # Imported here, because nobody but the proxy needs the server.
    from deployments.ingress.http.middleware.heads import bound_heads

    bound_heads()
    return [Middleware(DropUnsafeIds)]
