"""The scheme that a caller used, where servers in front say it in X-Forwarded-Proto.

uvicorn, which Serve's proxy runs, reads the header only where it has one value, and only from
addresses that it is told to trust. Each server in a chain may add its own value; the caller's comes
first. The scheme decides nothing but how the URLs in this caller's own answer begin, so that it is
taken from everybody. Pure ASGI.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "X-Forwarded-Proto"
_SCHEMES = frozenset({"http", "https"})


class ForwardedScheme:
    """Middleware that puts the caller's scheme into the request.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http":
            told = ",".join(Headers(scope=scope).getlist(HEADER))
            first = told.partition(",")[0].strip().lower()
            if first in _SCHEMES:
                scope["scheme"] = first
        await self._app(scope, receive, send)
