"""Headers that confine what browsers do with answers.

Pure ASGI, around everything that answers. Never replaces a header: a page brings its own policy.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.ingress.http.middleware.gate import CALLS, PICTURES, READY
from deployments.ingress.http.problems import route_path

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_PAGE_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_DATA_POLICY = f"default-src 'none'; {_PAGE_POLICY}"


class SecurityHeaders:
    """Middleware that adds what is missing to every answer's headers.

    Nothing may be framed, sniffed or told where it was linked from. What is not HTML may load
    nothing, should a browser take it for a page. Other sites' pages may show results in `<img>`,
    and embed nothing else (Fetch, 3.7: Cross-Origin-Resource-Policy; it leaves CORS alone).
    They may ask whether the service is up, and so tell being refused from its being down. API
    answers and failures are not cached.

    Args:
        app: What it wraps.
        public_results: Pages of other sites may embed results.
    """

    def __init__(self, app: ASGIApp, *, public_results: bool) -> None:
        self._app = app
        self._public_results = public_results

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        shown = self._public_results and path.startswith(PICTURES)
        embedded = shown or path == READY

        async def send_confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                page = headers.get("content-type", "").startswith("text/html")
                for name, value in _EVERYWHERE.items():
                    headers.setdefault(name, value)
                headers.setdefault(
                    "Content-Security-Policy", _PAGE_POLICY if page else _DATA_POLICY
                )
                headers.setdefault(
                    "Cross-Origin-Resource-Policy", "cross-origin" if embedded else "same-origin"
                )
                if path.startswith(CALLS) or message["status"] >= 400:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_confined)
