"""Multipart forms by RFC 2046 and RFC 7578, where the form parser does not follow them.

The parser takes a form that is cut off for whole, and leaves the temporary file of the part that
was cut to the garbage collector. It refuses text before the first boundary, and spaces after a
boundary. It takes a picture whose part has no file name for text. Pure ASGI; the parser closes its
files when what it reads from raises.

The parts are digested on their way, so that a request is known again without reading its files.
"""

from __future__ import annotations

from enum import Enum, auto
from hashlib import sha256

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import InvalidRequest

MAX_HEADER_BYTES = 8192
"""Of the headers of one part."""

_MAX_PADDING = 64
_TEXTS = (b"text/", b"application/json")


class MultipartForms:
    """Middleware that puts forms into the shape that the form parser understands.

    It writes `part_digests` into the request's state: see `Form`.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        boundary = _boundary(scope)
        if boundary is None:
            await self._app(scope, receive, send)
            return
        if not boundary:
            raise InvalidRequest("the Content-Type of a form must name its boundary")
        form = Form(boundary)
        scope.setdefault("state", {})["part_digests"] = form.digests

        async def receive_form() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                message = {**message, "body": form.feed(message.get("body", b""))}
                if not message.get("more_body", False):
                    form.end()
            return message

        await self._app(scope, receive_form, send)


class _Place(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    AFTER = auto()


class Form:
    """A form that arrives in pieces.

    Of what it is given it keeps no more than the headers of one part.

    Args:
        boundary: As the Content-Type has it.

    Attributes:
        digests: SHA-256 of the content of each part that has ended, 32 bytes, in their order.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._place = _Place.PREAMBLE
        self.digests: list[bytes] = []
        self._digest = sha256()
        # The first delimiter may stand at the very start (RFC 2046, 5.1.1).
        self._rest = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """What the parser is given of the next piece.

        Raises:
            InvalidRequest: A part's headers are too long.
        """
        if self._place is _Place.AFTER:
            return b""
        self._rest += data
        out = bytearray()
        while self._headers(out) if self._place is _Place.HEADERS else self._body(out):
            pass
        return bytes(out)

    def end(self) -> None:
        """Say that there is no more.

        Raises:
            InvalidRequest: It is not the end of a form.
        """
        if self._place is _Place.PREAMBLE:
            raise InvalidRequest(
                "the body is no form: the boundary that Content-Type names stands at the start of "
                "no line of it, or its lines do not end with CRLF"
            )
        if self._place is not _Place.AFTER:
            raise InvalidRequest("the form is cut off: its closing boundary is missing")

    def _body(self, out: bytearray) -> bool:
        """Go on to the end of a part, or of what stands before the first; whether it was found."""
        found = self._rest.find(self._delimiter)
        # So much may be the start of a delimiter.
        sure = found if found >= 0 else max(0, len(self._rest) - len(self._delimiter) + 1)
        first = self._place is _Place.PREAMBLE
        if not first:
            self._digest.update(self._rest[:sure])
            out += self._rest[:sure]
        self._rest = self._rest[sure:]
        if found < 0:
            return False
        after = self._rest[len(self._delimiter) :]
        line = after.lstrip(b" \t")
        if len(after) - len(line) <= _MAX_PADDING and len(line) < 2:
            return False
        delimiter = self._delimiter.removeprefix(b"\r\n") if first else self._delimiter
        if after.startswith(b"--"):
            out += delimiter + b"--\r\n"
            self._end_part(first)
            self._place, self._rest = _Place.AFTER, b""
            return False
        if not line.startswith(b"\r\n"):
            # A line that only begins like it: part of the body, as RFC 2046 reads it.
            if not first:
                self._digest.update(self._delimiter)
                out += self._delimiter
            self._rest = after
            return True
        out += delimiter + b"\r\n"
        self._end_part(first)
        # With its line break, so that no headers at all are an empty line too.
        self._place, self._rest = _Place.HEADERS, line
        return True

    def _end_part(self, first: bool) -> None:
        if not first:
            self.digests.append(self._digest.digest())
        self._digest = sha256()

    def _headers(self, out: bytearray) -> bool:
        """Go on to the end of a part's headers; whether it was found."""
        found = self._rest.find(b"\r\n\r\n")
        if found > MAX_HEADER_BYTES or (found < 0 and len(self._rest) > MAX_HEADER_BYTES):
            raise InvalidRequest(
                f"the form has a part with more than {MAX_HEADER_BYTES} bytes of headers"
            )
        if found < 0:
            return False
        if found:
            out += _as_file(self._rest[:found]).removeprefix(b"\r\n") + b"\r\n"
        out += b"\r\n"
        self._place, self._rest = _Place.BODY, self._rest[found + 4 :]
        return True


def _as_file(headers: bytes) -> bytes:
    """The headers of a part, with a file name where its media type says that it is no text.

    A file's name may be left out (RFC 7578, 4.2), and text is what a part is by default (4.4).
    """
    lines = headers.split(b"\r\n")
    fields = {}
    for index, line in enumerate(lines):
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = index, value.strip()
    kind = fields.get(b"content-type", (0, b""))[1].lower()
    if kind and not kind.startswith(_TEXTS) and b"content-disposition" in fields:
        index, value = fields[b"content-disposition"]
        if b"filename" not in parse_options_header(value)[1]:
            lines[index] += b'; filename=""'
    return b"\r\n".join(lines)


def _boundary(scope: Scope) -> bytes | None:
    """The boundary of a form, empty where it names none; None where the body is no form."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    kind, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else None
