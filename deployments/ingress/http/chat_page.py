"""Serves the files of the chat page from memory, without comments, and with confining headers."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from mimetypes import guess_type
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from deployments.ingress.http.negotiation import takes_gzip

INDEX = "index.html"
SAMPLES = "samples"
"""The folder of sample photos, of the package and of the page's addresses."""

PICTURES = "pictures"
"""The same of what the empty page shows."""

JOINED = {"first.css": ("styles.css", "conversation.css", "composer.css", "fields.css")}
"""Files that are sent as one: nothing is painted before all of them are there."""

_COPIED = "client.js"
"""What is made to be copied, and so is sent with its comments."""

_COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/).)*\*/[ \t]*|//[^\n]*)$", re.DOTALL | re.MULTILINE)
"""A comment of JavaScript or CSS that has its lines to itself."""

_TYPES = {  # the system's table may differ
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page.

    Attributes:
        content: Its bytes.
        compressed: The same by gzip; None where that gains nothing.
        media_type: What they are.
        etag: Of the content, the same on every replica that serves the same package.
    """

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """The page's files, its pictures and the sample photos, by their path below `/playground/`."""
    package = files("deployments")
    http = package / "ingress" / "http"
    pages = (http / "page").iterdir()
    shown = (entry for entry in (http / PICTURES).iterdir() if entry.name.endswith(".webp"))
    photos = (entry for entry in (package / SAMPLES).iterdir() if entry.name.endswith(".png"))
    sent = {entry.name: _sent(entry.name, entry.read_bytes()) for entry in pages}
    for name, parts in JOINED.items():
        sent[name] = b"\n".join(sent.pop(part) for part in parts)
    assets = {name: _asset(name, content) for name, content in sent.items()}
    for entry in shown:
        assets[f"{PICTURES}/{entry.name}"] = _asset(entry.name, entry.read_bytes())
    for entry in photos:
        assets[f"{SAMPLES}/{entry.name}"] = _asset(entry.name, entry.read_bytes())
    return assets


def security_headers(public_base_url: str | None) -> dict[str, str]:
    """The headers that confine the page, and everything it loads, to this service.

    Args:
        public_base_url: What result URLs start with; its origin may be shown and read as well.
    """
    origin = "" if public_base_url is None else f" {_origin(public_base_url)}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: data:{origin}",
        "connect-src": f"'self'{origin}",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def add_playground(app: FastAPI, public_base_url: str | None) -> None:
    """Let `/` be the chat page, and `/playground/` what it is made of.

    Args:
        app: The application.
        public_base_url: What result URLs start with; None for the application's own address.
    """
    assets = load_assets()
    # Revalidated at each use, so that an update is seen at once.
    headers = {"Cache-Control": "no-cache", **security_headers(public_base_url)}

    def answer(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise HTTPException(404)
        # A weak tag, because it is the same whatever the coding is (RFC 9110, 8.8.1).
        tagged = {**headers, "ETag": f"W/{asset.etag}", "Vary": "Accept-Encoding"}
        known = request.headers.get("if-none-match", "")
        if asset.etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return Response(status_code=304, headers=tagged)
        content = asset.content
        if asset.compressed is not None and takes_gzip(request.headers.getlist("accept-encoding")):
            content = asset.compressed
            tagged["Content-Encoding"] = "gzip"
        return Response(content, media_type=asset.media_type, headers=tagged)

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return answer(request, INDEX)

    @app.get("", include_in_schema=False)
    async def prefix(request: Request) -> Response:
        # Under a route prefix, the page's relative addresses need the slash.
        return RedirectResponse(f"{request.scope['root_path']}/")

    @app.head("/playground/{name:path}", include_in_schema=False)
    @app.get("/playground/{name:path}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        return answer(request, name)


def _sent(name: str, content: bytes) -> bytes:
    """A file of the page without its comments, which are a quarter of the bytes of all.

    Their lines stay, empty, so that what a browser's console names is the line of the source.
    """
    if name == _COPIED or not name.endswith((".js", ".css")):
        return content
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), content.decode()).encode()


def _asset(name: str, content: bytes) -> Asset:
    suffix = name[name.rindex(".") :]
    media_type = _TYPES.get(suffix) or guess_type(name)[0] or "application/octet-stream"
    compressed = gzip.compress(content, mtime=0)  # without a time: the same on every replica
    smaller = compressed if len(compressed) < len(content) * 0.9 else None
    return Asset(content, smaller, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
