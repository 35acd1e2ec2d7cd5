"""What a line of the file of API keys may say of its key: what it may do, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast, get_args

KeyScope = Literal["generate", "read", "delete"]
"""What a key may do: make images and jobs, read what is not public, remove results."""

SCOPES: frozenset[KeyScope] = frozenset(get_args(KeyScope))


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What is said of a key.

    Attributes:
        scopes: What it may do.
        expires: From when on it is not valid any more; None for never.
    """

    scopes: frozenset[KeyScope] = SCOPES
    expires: datetime | None = None

    @property
    def expired(self) -> bool:
        """Whether it is not valid any more."""
        return self.expires is not None and datetime.now(UTC) >= self.expires


def read_options(words: Iterable[str], place: str) -> KeyOptions:
    """Read what stands after a key.

    Args:
        words: Pairs such as `scopes=generate,read`.
        place: Of the line, for the sentence about what is wrong.

    Raises:
        ValueError: One is no option, is given twice, or has a wrong value.
    """
    told: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in ("scopes", "expires"):
            raise ValueError(
                f"{place}: after the key come scopes=… and expires=…, with blanks between"
            )
        if name in told:
            raise ValueError(f"{place}: {name} is given twice")
        told[name] = value
    scopes = frozenset(told["scopes"].split(",")) if "scopes" in told else SCOPES
    if not scopes <= SCOPES:
        raise ValueError(
            f"{place}: scopes must be some of {', '.join(get_args(KeyScope))}, with commas between"
        )
    expires = None
    if "expires" in told:
        try:
            expires = datetime.fromisoformat(told["expires"])
        except ValueError:
            raise ValueError(
                f"{place}: expires must be a date or a time by ISO 8601, such as 2027-06-30 or "
                "2027-06-30T12:00:00Z"
            ) from None
        if expires.tzinfo is None:
            expires = expires.replace(tzinfo=UTC)
    return KeyOptions(cast("frozenset[KeyScope]", scopes), expires)
