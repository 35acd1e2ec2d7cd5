"""What a caller prefers: JSON or events as they happen, and whether it takes gzip."""

from __future__ import annotations

from collections.abc import Iterable

from deployments.ingress.http.forms import JSON

EVENT_STREAM = "text/event-stream"


def wants_events(accept: Iterable[str]) -> bool:
    """Read the Accept header (RFC 9110, 12.5.1).

    Args:
        accept: Its values, one for each line.

    Returns:
        Whether an event stream is named, and not with a lower weight than JSON. A wildcard alone
        asks for no stream.
    """
    weights = dict(_ranges(",".join(accept)))
    events = weights.get(EVENT_STREAM, 0.0)
    others = weights.get("application/*", weights.get("*/*", 0.0))
    return events > 0 and events >= weights.get(JSON, others)


def takes_gzip(accept_encoding: Iterable[str]) -> bool:
    """Read the Accept-Encoding header (RFC 9110, 12.5.3).

    Args:
        accept_encoding: Its values, one for each line.

    Returns:
        Whether gzip is named, or meant by a wildcard, with a weight over 0.
    """
    weights = dict(_ranges(",".join(accept_encoding)))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _ranges(accept: str) -> Iterable[tuple[str, float]]:
    """Media ranges or codings in lower case, with their weights."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        if kind:
            yield kind, weight


def _weight(value: str) -> float:
    """A weight from 0 to 1; what is none counts as 0, so that it asks for nothing."""
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
