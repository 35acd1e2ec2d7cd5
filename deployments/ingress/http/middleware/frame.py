"""What happens around every request: its id, its outcome, its log line and its metrics.

Pure ASGI and outermost, so that a streamed answer is followed to its end.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.ingress.core.usage import Usage, end_of
from deployments.ingress.http.middleware.request_ids import safe_id
from deployments.ingress.http.outcome import (
    CLIENT_GONE,
    NO_MODEL,
    UNKNOWN_MODEL,
    UNMATCHED,
    Observer,
    Outcome,
)
from deployments.ingress.http.rate_headers import rate_headers

logger = logging.getLogger(__name__)

OTHER_METHOD = "other"
"""The method of a request whose own is none that HTTP defines: callers choose it."""

_METHODS = frozenset({
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
})  # fmt: skip


class RequestFrame:
    """Middleware that frames every HTTP request.

    It leaves `request_id` and an empty `api_key_name` in the request's state. What is inside leaves
    there `order` and `generation`, of a failure `problem`, its status and code, and `rates`, what
    is left of the key's, which the answer's headers tell. When the answer has ended, one `Outcome`
    is made of that. The log line and the metrics are written from it.

    Args:
        app: What it wraps.
        routes: The application's routes, for their templates.
        models: Catalog ids.
        observer: Hears of every outcome; None where nobody wants to know.
        usage: Hears of every POST request, by its API key.
        sends_request_id: Put the id into the answer's headers.
        departures: Errors that `receive` raises when the caller has left.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[BaseRoute],
        models: Sequence[str],
        observer: Observer | None,
        usage: Usage,
        sends_request_id: bool,
        departures: tuple[type[BaseException], ...],
    ) -> None:
        self._app = app
        self._routes = routes
        self._models = frozenset(models)
        self._observer = observer
        self._usage = usage
        self._sends_request_id = sends_request_id
        self._departures = departures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        request_id = safe_id(Headers(scope=scope)) or secrets.token_hex(8)
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= {"request_id": request_id, "api_key_name": ""}
        status, ended, left = CLIENT_GONE, False, False

        async def receive_framed() -> Message:
            nonlocal left
            try:
                message = await receive()
            except self._departures:
                message = {"type": "http.disconnect"}
            left = left or message["type"] == "http.disconnect"
            return message

        async def send_framed(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(rate_headers(state.get("rates", ())))
                if self._sends_request_id:
                    headers["X-Request-Id"] = request_id
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended = not left

        try:
            await self._app(scope, receive_framed, send_framed)
        except asyncio.CancelledError:
            left = True
            raise
        except self._departures:
            left = True
        finally:
            outcome = self._outcome(scope, status if ended or not left else CLIENT_GONE, begun)
            _log(scope, outcome)
            if scope["method"] == "POST":
                self._usage.asked(state["api_key_name"], end_of(outcome.status))
            if self._observer is not None:
                self._observer.ended(outcome)

    def _outcome(self, scope: Scope, status: int, begun: float) -> Outcome:
        state = scope["state"]
        code = "client_gone" if status == CLIENT_GONE else "ok" if status < 400 else "http_error"
        if status != CLIENT_GONE:
            status, code = state.get("problem", (status, code))
        model, images = NO_MODEL, 0
        if (order := state.get("order")) is not None:
            if order.look.painted:
                model = order.model if order.model in self._models else UNKNOWN_MODEL
            images = order.num_images
        seconds = time.monotonic() - begun
        return Outcome(self._route(scope), status, code, model, images, seconds)

    def _route(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is not Match.NONE:
                path = getattr(route, "path", UNMATCHED)
                return str(getattr(route, "path_format", path))
        return UNMATCHED


def _log(scope: Scope, outcome: Outcome) -> None:
    """Write one line about a request: nothing that its caller wrote but a known method or model.

    The path is the route's template, because who knows an image's key can read it. The field is
    `http_route`: Serve's log filter sets a field `route` of its own.
    """
    state: Mapping[str, Any] = scope["state"]
    fields: dict[str, object] = {
        "request_id": state["request_id"],
        "method": scope["method"] if scope["method"] in _METHODS else OTHER_METHOD,
        "http_route": outcome.route,
        "status": outcome.status,
        "code": outcome.code,
        "api_key_name": state["api_key_name"],
        "duration_ms": round(outcome.seconds * 1000, 1),
    }
    if outcome.images:
        fields |= {"model": outcome.model, "images": outcome.images}
    if (generation := state.get("generation")) is not None and generation.made:
        fields["made"] = len(generation.made)
        slowest = max(
            (image.timings for image in generation.made), key=lambda times: times.engine_s
        )
        for name, taken_s in asdict(slowest).items():
            fields[name.replace("_s", "_ms")] = round(taken_s * 1000, 1)
    told = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
    logger.info("request %s", told, extra=fields)
