"""Which pages of other addresses may call: CORS, with refusals in the form of all others."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import OriginNotAllowed
from deployments.ingress.http import problems
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.prefer_header import APPLIED
from deployments.ingress.http.rate_headers import LEFT, LIMITS
from deployments.settings import CorsSettings

METHODS = ("GET", "HEAD", "POST", "DELETE")
_LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"


class PageAccess(CORSMiddleware):
    """Middleware that answers preflights, and says which pages may read an answer.

    Args:
        app: What it wraps.
        cors: The pages.
    """

    def __init__(self, app: ASGIApp, cors: CorsSettings) -> None:
        super().__init__(
            app,
            allow_origins=list(cors.origins),
            allow_origin_regex=_LOCALHOST if cors.localhost else None,
            allow_methods=METHODS,
            allow_headers=["*"],
            allow_private_network=cors.private_network,
            expose_headers=[
                "X-Request-Id",
                "Retry-After",
                "Server-Timing",
                LEFT,
                LIMITS,
                "Location",
                APPLIED,
                REPLAYED,
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS":  # a lifespan has no headers
            await super().__call__(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            await super().__call__(scope, receive, send)
            return
        answer = self.preflight_response(headers)
        if answer.status_code != 200:
            answer = self._refusal(headers, answer, scope["state"]["request_id"])
        await answer(scope, receive, send)

    def _refusal(self, asked: Headers, answer: Response, request_id: str) -> JSONResponse:
        """Say what stands against a preflight; a browser's console shows the status."""
        if not self.is_allowed_origin(asked["origin"]):
            why = "this page's address is not among the cors.origins of the configuration"
        elif asked["access-control-request-method"] not in METHODS:
            why = f"pages may call with {', '.join(METHODS)}"
        else:
            why = (
                "cors.private_network of the configuration lets no public page call into a "
                "private network"
            )
        refusal = problems.response(OriginNotAllowed(why), request_id)
        for name, value in answer.headers.items():
            if name not in ("content-length", "content-type"):
                refusal.headers[name] = value
        return refusal
