"""The keys of stored objects, and what tells whose they are."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

KEY_PATTERN = "[0-9a-f]{32}"
_LATEST_MS = 2**48 - 1


def new_key() -> str:
    """A key that nobody can guess, and that sorts before all older ones.

    Of its 128 bits 48 tell the time, counted down, and 80 are random. Who knows the millisecond in
    which a result was made still has 2^80 keys to try.

    Returns:
        32 lower-case hexadecimal digits.
    """
    return f"{_LATEST_MS - time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def is_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return re.fullmatch(KEY_PATTERN, text) is not None


def made_ms(key: str) -> int:
    """When a key of `new_key` was made, in milliseconds since 1970."""
    return _LATEST_MS - int(key[:12], 16)


def owner_of(api_key_name: str) -> str:
    """What the requests and results of an API key are stored under.

    Args:
        api_key_name: Empty without a key.

    Returns:
        32 lower-case hexadecimal digits.
    """
    return hashlib.sha256(b"owner " + api_key_name.encode()).hexdigest()[:32]
