"""What happens to every request before and after its route: id, key, size, log line, last resort.

Pure ASGI, so that a streamed answer streams and a refused body is never read.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import ImageNotFound, InvalidRequest, Unauthorized
from deployments.ingress.http import problems
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.middleware.request_ids import safe_id

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""Status, in the log, of a request whose caller left before its answer ended, as nginx has it."""


class RequestContext:
    """Middleware that frames every HTTP request.

    Leaves in the request's state its `request_id`, and `key_name`: the name of its API key, empty
    without one. Writes one line to the log when the answer has ended; routes leave there what else
    it tells: `order` and `run`. Failures leave `problem`, their status and code.

    Args:
        app: What it wraps.
        body_limits: Bytes of a body by path; a longer Content-Length is refused before the body is
            read.
        body_types: The media type of the body that a POST to a path must have.
        keys: Keys that calls under /api/, and removals, must carry; None lets everybody in.
        public_results: Results can be read without a key.
        sends_request_id: Put the id into the answer's headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_limits: Mapping[str, int],
        body_types: Mapping[str, str],
        keys: KeyRing | None,
        public_results: bool,
        sends_request_id: bool,
    ) -> None:
        self._app = app
        self._body_limits = body_limits
        self._body_types = body_types
        self._keys = keys
        self._public_results = public_results
        self._sends_request_id = sends_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        headers = Headers(scope=scope)
        request_id = safe_id(headers) or secrets.token_hex(8)
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= {"request_id": request_id, "key_name": ""}
        status, ended = CLIENT_GONE, False

        async def send_framed(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._sends_request_id:
                    MutableHeaders(scope=message)["X-Request-Id"] = request_id
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            state["key_name"] = self._check(scope["method"], problems.route_path(scope), headers)
            await self._app(scope, receive, send_framed)
        except Exception as error:
            shown = problems.as_service_error(error, request_id)
            if status == CLIENT_GONE:
                await problems.response(shown, request_id)(scope, receive, send_framed)
        finally:
            _log(scope, state, status if ended else CLIENT_GONE, time.monotonic() - begun)

    def _check(self, method: str, path: str, headers: Headers) -> str:
        if not path.isprintable():
            # A pattern's end matches before a line break, and no address of ours has one.
            raise ImageNotFound("no address here has characters that cannot be printed")
        name = ""
        if self._keys is not None and self._guards(method, path):
            name = _authorize(self._keys, headers)
        length = headers.get("content-length", "")
        limit = problems.body_limit(self._body_limits, path)
        if length.isdecimal() and int(length) > limit:
            raise problems.too_large(limit)
        wanted = self._body_types.get(path)
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and wanted is not None and given != wanted:
            raise InvalidRequest(f"the body must be {wanted}, not {given or 'untyped'}")
        return name

    def _guards(self, method: str, path: str) -> bool:
        """Whether a request needs a key, where keys are on."""
        if path.startswith("/api/") or method == "DELETE":
            return True
        return not self._public_results and path.startswith("/generated/")


def _log(scope: Scope, state: Mapping[str, Any], status: int, seconds: float) -> None:
    """One line about a request: nothing of what it says, and of its key the name.

    The path is the route's template: result keys are secrets of their holders.
    """
    status, code = state.get("problem", (status, "client_gone" if status == CLIENT_GONE else "ok"))
    fields: dict[str, object] = {
        "request_id": state["request_id"],
        "method": scope["method"],
        "route": getattr(scope.get("route"), "path", "unmatched"),
        "status": status,
        "code": code,
        "key": state["key_name"],
        "duration_ms": round(seconds * 1000, 1),
    }
    if (order := state.get("order")) is not None:
        fields |= {"model": order.model, "images": order.num_images}
    if (run := state.get("run")) is not None and run.made:
        fields["made"] = len(run.made)
        slowest = max((image.timings for image in run.made), key=lambda times: times.engine_s)
        for name, taken_s in asdict(slowest).items():
            fields[name.replace("_s", "_ms")] = round(taken_s * 1000, 1)
    told = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
    logger.info("request %s", told, extra=fields)


def _authorize(keys: KeyRing, headers: Headers) -> str:
    """The name of the key a request carries."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    secret = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not secret:
        raise Unauthorized("an API key is required: send Authorization: Bearer KEY, or X-API-Key")
    name = keys.name_of(secret)
    if name is None:
        raise Unauthorized("the API key is wrong")
    return name
