"""What a request must bring before its body is read: a key, a length and a type that fit.

Pure ASGI, so that a refused body is never read. It is also the last resort: an error that nothing
inside has answered is answered here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import Forbidden, ImageNotFound, Unauthorized, WrongMediaType
from deployments.ingress.http import problems
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.key_options import KeyScope

CALLS = ("/api/", "/v1/")
"""What the paths of calls start with, which need a key where keys are on."""

PICTURES = ("/generated/", "/cutouts/")
"""What the paths of stored pictures start with."""

JOBS = "/api/jobs"
RESULTS = "/api/results"
"""The paths of lists of one's own."""

READY = "/api/ready"
"""The path of readiness, which load balancers ask for without a key."""


class Gate:
    """Middleware that refuses what its headers alone make wrong.

    It leaves `api_key_name` in the request's state: the name of the API key, empty without one.

    Args:
        app: What it wraps.
        body_limits: Bytes of a body by path; a longer Content-Length is refused.
        body_types: The media types one of which the body of a POST to a path must have.
        keys: Keys that calls but `READY`, and removals, must carry; None lets everybody in.
        public_results: Results can be read without a key.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_limits: Mapping[str, int],
        body_types: Mapping[str, Collection[str]],
        keys: KeyRing | None,
        public_results: bool,
    ) -> None:
        self._app = app
        self._body_limits = body_limits
        self._body_types = body_types
        self._keys = keys
        self._public_results = public_results

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, begun = Headers(scope=scope), False

        async def send_seen(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            scope["state"]["api_key_name"] = self._check(
                scope["method"], problems.route_path(scope), headers
            )
            await self._app(scope, receive, send_seen)
        except Exception as error:
            request_id = scope["state"]["request_id"]
            shown = problems.as_service_error(error, request_id)
            scope["state"]["problem"] = (shown.status, shown.code)
            if not begun:
                await problems.response(shown, request_id)(scope, receive, send)

    def _check(self, method: str, path: str, headers: Headers) -> str:
        if not path.isprintable():
            # A pattern's end matches before a line break, and no address of ours has one.
            raise ImageNotFound("no address here has characters that cannot be printed")
        name = ""
        if self._keys is not None and (self._guards(method, path) or _tells_more(path, headers)):
            name = _authorize(self._keys, headers, scopes_for(method, path))
        length = headers.get("content-length", "")
        limit = problems.body_limit(self._body_limits, path)
        if length.isdecimal() and int(length) > limit:
            raise problems.too_large(limit)
        wanted = self._body_types.get(path, ())
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and wanted and given not in wanted:
            raise WrongMediaType(
                f"the body must be {' or '.join(wanted)}, not {given or 'untyped'}"
            )
        coding = headers.get("content-encoding", "identity").strip().lower()
        if method == "POST" and coding not in ("", "identity"):
            raise WrongMediaType(f"the body must not be compressed, and its coding is {coding}")
        return name

    def _guards(self, method: str, path: str) -> bool:
        """Whether a request needs a key, where keys are on."""
        if path == READY:
            return False
        if path.startswith(CALLS) or method == "DELETE":
            return True
        return not self._public_results and path.startswith(PICTURES)


def _tells_more(path: str, headers: Headers) -> bool:
    """Whether a key that a request needs not, but brings, decides what it is told."""
    sent = "authorization" in headers or "x-api-key" in headers
    return sent and path.startswith("/generated/") and path.endswith(".json")


def scopes_for(method: str, path: str) -> frozenset[KeyScope]:
    """The scopes one of which a key needs for a request; empty where every key will do."""
    if method == "POST" or (method == "DELETE" and path.startswith(JOBS)):
        return frozenset({"generate"})
    if method == "DELETE":
        return frozenset({"delete"})
    if path.startswith(JOBS):
        return frozenset({"generate", "read"})
    if path.startswith((RESULTS, *PICTURES)):
        return frozenset({"read"})
    return frozenset()


def _authorize(keys: KeyRing, headers: Headers, scopes: frozenset[KeyScope]) -> str:
    """The name of the API key that a request carries.

    Raises:
        Unauthorized: It carries none, or a wrong or expired one.
        Forbidden: The key has none of the scopes.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    secret = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not secret:
        raise Unauthorized("an API key is required: send Authorization: Bearer KEY, or X-API-Key")
    key = keys.find(secret)
    if key is None:
        raise Unauthorized("the API key is wrong")
    if key.options.expired:
        raise Unauthorized("the API key has expired")
    if scopes and not scopes & key.options.scopes:
        raise Forbidden(
            f"the API key may not do this: it needs the scope {' or '.join(sorted(scopes))}"
        )
    return key.name
