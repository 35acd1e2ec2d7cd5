"""Tells an observer of every HTTP request: its route, model, outcome and duration.

Pure ASGI, around everything else, so that a streamed answer is observed to its end. Knows nothing
of what is made of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import Overloaded

NO_MODEL = "none"
"""The model of a request that names none, or whose fields were refused before it was read."""

UNKNOWN_MODEL = "unknown"
"""The model of a request that names one we do not have: callers choose the name."""

UNMATCHED = "unmatched"
"""The route of a path we do not have."""

CLIENT_GONE = 499
"""Status of an answer whose caller left before it began, as proxies log it."""


class Observer(Protocol):
    """Hears of requests. Every method must be quick and must not raise."""

    def answered(self, route: str, model: str, status: int, code: str, seconds: float) -> None:
        """A request has ended.

        Args:
            route: Its route's template, or `UNMATCHED`.
            model: A catalog id, `NO_MODEL` or `UNKNOWN_MODEL`.
            status: HTTP status; of a stream that ended in an error, that error's.
            code: `ok`, the failure's code, or `client_gone`.
            seconds: From its first byte to the end of its answer.
        """
        ...

    def refused(self, model: str, reason: str, images: int) -> None:
        """A request for so many images found no room, or was over a rate."""
        ...


class Observation:
    """Middleware that reports to an observer.

    Routes leave what they know in the request's state: `order` once it is read, and `problem`, the
    `(status, code)` of a failure.

    Args:
        app: What it wraps.
        routes: The application's routes, for their templates.
        models: Catalog ids.
        observer: Hears of it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[BaseRoute],
        models: Sequence[str],
        observer: Observer,
    ) -> None:
        self._app = app
        self._routes = routes
        self._models = frozenset(models)
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        state: dict[str, Any] = scope.setdefault("state", {})
        route = self._template(scope)
        status = CLIENT_GONE

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        code = "client_gone"
        try:
            await self._app(scope, receive, send_seen)
            code = "ok" if status < 400 else "http_error"
        except asyncio.CancelledError:
            status = CLIENT_GONE
            raise
        finally:
            status, code = state.get("problem", (status, code))
            self._report(state, route, status, code, time.monotonic() - begun)

    def _report(
        self, state: dict[str, Any], route: str, status: int, code: str, seconds: float
    ) -> None:
        order = state.get("order")
        model = NO_MODEL
        if order is not None:
            model = order.model if order.model in self._models else UNKNOWN_MODEL
        self._observer.answered(route, model, status, code, seconds)
        if status == Overloaded.status and order is not None:
            self._observer.refused(model, code, order.num_images)

    def _template(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is not Match.NONE:
                return str(getattr(route, "path", UNMATCHED))
        return UNMATCHED
