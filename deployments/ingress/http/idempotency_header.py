"""The header by which a caller makes a request repeatable."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deployments.errors import InvalidRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""The header of an answer that was given before."""

PATTERN = "[!-~]{1,200}"
"""Visible ASCII characters."""


def idempotency_key_of(values: Sequence[str]) -> str | None:
    """The idempotency key of a request; None when it sent none.

    Args:
        values: The header's values, one for each time it was sent.

    Raises:
        InvalidRequest: It is not one key of the accepted form.
    """
    if not values:
        return None
    if len(values) > 1 or not re.fullmatch(PATTERN, values[0]):
        raise InvalidRequest(f"{HEADER} must be one key of 1 to 200 visible ASCII characters")
    return values[0]
