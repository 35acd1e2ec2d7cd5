"""API keys: who may ask for work.

Keys come from the environment, are kept as digests only, and are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping

KEYS_VARIABLE = "BACKDROP_API_KEYS"


class KeyRing:
    """The active keys, several of which may be valid at once.

    Args:
        keys: Secret by name.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._digests = {name: _digest(secret) for name, secret in keys.items()}

    @classmethod
    def from_environment(cls) -> KeyRing | None:
        """Read `name:secret` pairs, separated by commas; None when the variable is not set.

        Raises:
            ValueError: A pair has no name or no secret, repeats a name, or has a secret that no
                header can carry; the sentence shows no secret.
        """
        text = os.environ.get(KEYS_VARIABLE, "").strip()
        if not text:
            return None
        keys: dict[str, str] = {}
        for position, pair in enumerate(text.split(","), start=1):
            name, _, secret = (part.strip() for part in pair.partition(":"))
            if not name or not secret:
                raise ValueError(
                    f"{KEYS_VARIABLE} must be name:secret pairs separated by commas; "
                    f"pair {position} is not one"
                )
            if name in keys:
                raise ValueError(f"{KEYS_VARIABLE} names two keys alike; pair {position} is one")
            if not (secret.isascii() and secret.isprintable()):
                raise ValueError(
                    f"{KEYS_VARIABLE} must have secrets of printable ASCII characters; "
                    f"that of pair {position} has others"
                )
            keys[name] = secret
        return cls(keys)

    def name_of(self, secret: str) -> str | None:
        """The name of a key, or None if it is not one of ours."""
        given = _digest(secret)
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
