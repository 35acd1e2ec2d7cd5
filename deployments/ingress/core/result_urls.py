"""Result keys and the URLs that name them.

A URL is read only to find one of our keys in it. No address of a caller is ever fetched.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from deployments.composition import SUFFIXES, FileFormat
from deployments.errors import ForeignImage

KEY_PATTERN = "[0-9a-f]{32}"
_PATH = re.compile(rf"/generated/({KEY_PATTERN})\.(?:{'|'.join(SUFFIXES.values())})")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def new_key() -> str:
    """A key that nobody can guess: 128 random bits as 32 lower-case hexadecimal digits."""
    return secrets.token_hex(16)


def is_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return re.fullmatch(KEY_PATTERN, text) is not None


class ResultUrls:
    """Makes and reads result URLs.

    Args:
        public_base_url: What every URL starts with, without a slash at its end; None takes the
            scheme and host of each request.
    """

    def __init__(self, public_base_url: str | None) -> None:
        self._public = public_base_url

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

    def key_of(self, image_url: str, request_base: str) -> str:
        """The key in one of our URLs, or in its path alone.

        Args:
            image_url: What the caller sent.
            request_base: Scheme and host the caller used, without a slash at its end.

        Raises:
            ForeignImage: The URL is not one of ours.
        """
        base = self._public or request_base
        if image_url.startswith(base):
            rest = image_url.removeprefix(base)
        elif self._public is None and (path := _loopback_path(image_url, base)) is not None:
            rest = path
        else:
            rest = image_url
        match = _PATH.fullmatch(rest)
        if match is None:
            raise ForeignImage(
                "image_url must be the URL of an image made here, "
                "such as one from the images of an answer"
            )
        return match[1]


def _loopback_path(image_url: str, base: str) -> str | None:
    """A URL's path below our base, if it is on this same server by another loopback name."""
    try:
        given, own = urlsplit(image_url), urlsplit(base)
        same_port = given.port == own.port
    except ValueError:
        return None
    same_server = (
        given.hostname in _LOOPBACK
        and own.hostname in _LOOPBACK
        and given.scheme == own.scheme
        and same_port
        and given.username is None
        and not given.query
        and not given.fragment
    )
    inside = given.path.startswith(f"{own.path}/")
    return given.path.removeprefix(own.path) if same_server and inside else None
