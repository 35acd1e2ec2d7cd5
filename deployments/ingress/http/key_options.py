"""What a line of the file of API keys may say of its key: what it may do, how much, how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from pydantic import ValidationError

from deployments.rate_settings import RateSettings

KeyScope = Literal["generate", "read", "delete"]
"""What a key may do: make images and jobs, read what is not public, remove results."""

SCOPES: frozenset[KeyScope] = frozenset(get_args(KeyScope))

NO_LIMIT = "none"
"""Of a rate: the key has none, whatever the service's is."""

_NAMES = ("scopes", "expires", *RateSettings.model_fields)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What is said of a key.

    Attributes:
        scopes: What it may do.
        expires: From when on it is not valid any more; None for never.
        rates: Those of its own: what it does not set is the service's.
    """

    scopes: frozenset[KeyScope] = SCOPES
    expires: datetime | None = None
    rates: RateSettings = field(default_factory=RateSettings)

    def rates_over(self, service: RateSettings) -> RateSettings:
        """The key's rates.

        Args:
            service: What holds where it has none of its own.
        """
        own = self.rates.model_dump(exclude_unset=True)
        return service.model_copy(update=own) if own else service

    @property
    def expired(self) -> bool:
        """Whether it is not valid any more."""
        return self.expires is not None and datetime.now(UTC) >= self.expires


def read_options(words: Iterable[str], place: str, max_images: int) -> KeyOptions:
    """Read what stands after a key.

    Args:
        words: Pairs such as `scopes=generate,read`.
        place: Of the line, for the sentence about what is wrong.
        max_images: The most images of one request, which a rate must allow.

    Raises:
        ValueError: One is no option, is given twice, or has a wrong value.
    """
    told: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in _NAMES:
            raise ValueError(
                f"{place}: after the key come {', '.join(f'{each}=…' for each in _NAMES)}, with "
                "blanks between"
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
    rates = _read_rates(told, place, max_images)
    return KeyOptions(cast("frozenset[KeyScope]", scopes), expires, rates)


def _read_rates(told: Mapping[str, str], place: str, max_images: int) -> RateSettings:
    given = {name: told[name] for name in RateSettings.model_fields if name in told}
    try:
        rates = RateSettings.model_validate(
            {name: None if value == NO_LIMIT else value for name, value in given.items()}
        )
    except ValidationError as error:
        raise ValueError(
            f"{place}: {error.errors()[0]['loc'][0]} must be a whole number from 1 to 1000000, or "
            f"{NO_LIMIT}"
        ) from None
    try:
        rates.check(max_images)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return rates
