"""How background requests are named, and in which order they are worked on."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_LATEST_MS = 2**48 - 1
_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Name:
    """What a background request is stored under.

    Attributes:
        owner: A digest of the API key's name; 32 lower-case hexadecimal digits.
        request: Its own key, of as many digits.
    """

    owner: str
    request: str

    @property
    def submitted_ms(self) -> int:
        """When it was submitted, in milliseconds since 1970."""
        return _LATEST_MS - int(self.request[:12], 16)


def owner_of(api_key_name: str) -> str:
    """What the requests of an API key are stored under.

    Args:
        api_key_name: Empty without a key.
    """
    return hashlib.sha256(b"owner " + api_key_name.encode()).hexdigest()[:32]


def new_request() -> str:
    """A key that nobody can guess, and that sorts before all older ones.

    It is no capability: it is looked up among the requests of the API key that asks. So 80 random
    bits are enough, and 48 bits tell the time.
    """
    return f"{_LATEST_MS - time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def is_request(text: str) -> bool:
    """Whether a text has the form of a request's key."""
    return _ID.fullmatch(text) is not None


def in_turn(names: Iterable[Name]) -> list[Name]:
    """The order in which requests are worked on.

    The oldest of each owner come first, then the second of each, and so on; among these the oldest
    first. So who submits many waits longer, and keeps nobody else waiting.
    """
    oldest_first = sorted(names, key=lambda name: (name.submitted_ms, name.request))
    before = Counter[str]()
    ranked = []
    for name in oldest_first:
        ranked.append((before[name.owner], name))
        before[name.owner] += 1
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
