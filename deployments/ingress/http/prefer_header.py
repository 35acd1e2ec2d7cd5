"""The header by which a caller asks to be answered later (RFC 7240)."""

from __future__ import annotations

from collections.abc import Iterable

HEADER = "Prefer"
APPLIED = "Preference-Applied"
RESPOND_ASYNC = "respond-async"


def prefers_async(values: Iterable[str]) -> bool:
    """Whether a caller prefers an answer at once, and the images later.

    Args:
        values: The header's values, one for each line. Other preferences in them, such as `wait`,
            are ignored, as the RFC wants it.
    """
    preferences = (part.partition(";")[0].strip().lower() for part in ",".join(values).split(","))
    return RESPOND_ASYNC in preferences
