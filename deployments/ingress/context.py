"""What happens to every request before and after its route: id, size, key, headers, last resort.

Pure ASGI, so that a streamed answer streams and a refused body is never read.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import InvalidRequest, Unauthorized
from deployments.ingress import problems
from deployments.ingress.keys import KeyRing

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Middleware that frames every HTTP request.

    Args:
        app: What it wraps.
        max_body_bytes: A longer Content-Length is refused before the body is read.
        body_types: The media type of the body that a POST to a path must have.
        keys: Keys that calls under /api/, and removals, must carry; None lets everybody in.
        sends_request_id: Put the id into the answer's headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        body_types: Mapping[str, str],
        keys: KeyRing | None,
        sends_request_id: bool,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_types = body_types
        self._keys = keys
        self._sends_request_id = sends_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_framed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                framed = MutableHeaders(scope=message)
                if self._sends_request_id:
                    framed["X-Request-Id"] = request_id
                framed["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            self._check(scope["method"], _route_path(scope), headers)
            await self._app(scope, receive, send_framed)
        except Exception as error:
            shown = problems.as_service_error(error, request_id)
            if not started:
                await problems.response(shown, request_id)(scope, receive, send_framed)

    def _check(self, method: str, path: str, headers: Headers) -> None:
        if self._keys is not None and (path.startswith("/api/") or method == "DELETE"):
            _authorize(self._keys, headers)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            raise problems.too_large(self._max_body_bytes)
        wanted = self._body_types.get(path)
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and wanted is not None and given != wanted:
            raise InvalidRequest(f"the body must be {wanted}, not {given or 'untyped'}")


def _route_path(scope: Scope) -> str:
    """The path as routes see it: without the prefix the application is mounted at."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    inside = path.startswith(f"{prefix}/")
    return path[len(prefix) :] if inside else path


def _authorize(keys: KeyRing, headers: Headers) -> None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    secret = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not secret:
        raise Unauthorized("an API key is required: send Authorization: Bearer KEY, or X-API-Key")
    if keys.name_of(secret) is None:
        raise Unauthorized("the API key is wrong")


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(8)
