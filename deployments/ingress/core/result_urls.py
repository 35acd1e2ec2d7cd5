"""Result keys and the URLs that name them.

A URL is read only to find one of our keys in it. No address of a caller is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deployments.composition import SUFFIXES, FileFormat
from deployments.errors import ForeignImage
from deployments.ingress.core.keys import KEY_PATTERN

_PATH = re.compile(rf"/generated/({KEY_PATTERN})\.({'|'.join(SUFFIXES.values())})")
_FORMATS = {suffix: file_format for file_format, suffix in SUFFIXES.items()}
_MADE = re.compile(
    rf".*(/generated/{KEY_PATTERN}\.(?:{'|'.join(SUFFIXES.values())})"
    rf"|/cutouts/{KEY_PATTERN}(?:-mask)?\.png)"
)
_URL_FIELDS = frozenset({"images", "url", "image_url", "mask_url"})
"""Fields of answers that hold URLs; what a caller wrote is in others."""
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ResultName:
    """What the URL of a result says.

    Attributes:
        key: The result's key.
        file_format: What its ending stands for; None where that is not known.
    """

    key: str
    file_format: FileFormat | None = None


class ResultUrls:
    """Makes and reads result URLs.

    Args:
        public_base_url: What every URL starts with, without a slash at its end; None takes the
            scheme and host of each request.
        earlier_base_urls: What URLs started with before, which are still understood.
    """

    def __init__(self, public_base_url: str | None, earlier_base_urls: Iterable[str] = ()) -> None:
        self._public = public_base_url
        self._earlier = [_split(url) for url in earlier_base_urls]

    def url(self, key: str, file_format: FileFormat, request_base: str) -> str:
        """The URL of a result.

        Args:
            key: A result's key.
            file_format: Of its file.
            request_base: Scheme and host the caller used, without a slash at its end.
        """
        return f"{self._public or request_base}/generated/{key}.{SUFFIXES[file_format]}"

    def cutout_urls(self, key: str, request_base: str) -> tuple[str, str]:
        """The URLs of a cut-out's picture and of its mask.

        Args:
            key: A cut-out's key.
            request_base: Scheme and host the caller used, without a slash at its end.
        """
        start = f"{self._public or request_base}/cutouts/{key}"
        return f"{start}.png", f"{start}-mask.png"

    def moved(self, answer: Mapping[str, object], request_base: str) -> dict[str, object]:
        """An answer that was given to somebody else, with the URLs that this caller can use.

        Args:
            answer: Of JSON types, as it was given.
            request_base: Scheme and host the caller used, without a slash at its end.
        """
        base = self._public or request_base

        def moved(value: object, url: bool) -> object:
            if isinstance(value, Mapping):
                return {name: moved(inner, name in _URL_FIELDS) for name, inner in value.items()}
            if isinstance(value, list):
                return [moved(inner, url) for inner in value]
            made = _MADE.fullmatch(value) if url and isinstance(value, str) else None
            return value if made is None else f"{base}{made[1]}"

        return {name: moved(value, name in _URL_FIELDS) for name, value in answer.items()}

    def name_of(self, image_url: str, request_base: str) -> ResultName:
        """The result that one of our URLs, or its path alone, names.

        URLs are compared as RFC 3986 has it (6.2.2.1 and 6.2.3): scheme and host in any case, and a
        port that is left out is the scheme's own.

        Args:
            image_url: What the caller sent.
            request_base: Scheme and host the caller used, without a slash at its end.

        Raises:
            ForeignImage: The URL is not one of ours.
        """
        own = _split(self._public or request_base)
        match = _PATH.fullmatch(image_url)
        given = None if match else _split(image_url)
        if given is not None:
            loopback = self._public is None
            for base in (own, *self._earlier):
                if base is not None and _below(given, base, loopback and base is own):
                    match = _PATH.fullmatch(given.path.removeprefix(base.path))
                    break
        if match is None:
            raise ForeignImage(
                "image_url must be the URL of an image made here, "
                "such as one from the images of an answer"
            )
        return ResultName(match[1], _FORMATS[match[2]])


@dataclass(frozen=True, slots=True)
class _Url:
    """The parts of a URL without credentials, query and fragment, in the form that is compared."""

    scheme: str
    host: str
    port: int
    path: str


def _split(url: str) -> _Url | None:
    """The parts of an address; None for what is none, and for one with more parts."""
    # The parser drops tabs and line breaks instead of refusing them.
    if not url.isprintable() or any(character in url for character in "?#@\\ "):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    port = _PORTS[parts.scheme] if port is None else port
    return _Url(parts.scheme, parts.hostname, port, parts.path)


def _below(given: _Url, base: _Url, loopback: bool) -> bool:
    """Whether an address is below a base, where all loopback names may be one server."""
    same_host = given.host == base.host or (loopback and {given.host, base.host} <= _LOOPBACK)
    same_server = same_host and (given.scheme, given.port) == (base.scheme, base.port)
    return same_server and given.path.startswith(f"{base.path}/")
