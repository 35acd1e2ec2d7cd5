"""What the routes have in common: who asks, and how a stream of events is answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType

from fastapi import Request
from sse_starlette import EventSourceResponse, JSONServerSentEvent

from deployments.errors import ServiceError

NO_STORE = {"Cache-Control": "no-store"}

PING_S = 15
"""Seconds between comments that keep an idle event stream open through proxies."""


def base_of(request: Request) -> str:
    """Scheme and host that a caller uses, with the prefix of the application."""
    return str(request.base_url).rstrip("/")


def event_stream(
    events: AsyncGenerator[JSONServerSentEvent],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> EventSourceResponse:
    """An answer that is a stream.

    Args:
        events: As they happen.
        headers: Further headers.
    """
    return EventSourceResponse(events, ping=PING_S, headers={**NO_STORE, **headers})


def note_failure(request: Request, error: ServiceError) -> None:
    """Tell the frame how an answer ended whose status was sent long ago."""
    request.state.problem = (error.status, error.code)
