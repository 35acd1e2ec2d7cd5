"""What a caller's Accept header asks for."""

from __future__ import annotations

import pytest

from deployments.ingress.http.negotiation import wants_events


@pytest.mark.parametrize(
    "accept",
    [
        ["text/event-stream"],
        ["TEXT/Event-Stream"],
        ["application/json, text/event-stream"],
        ["application/json;q=0.5", "text/event-stream; q=0.8"],
        ["text/event-stream;charset=utf-8, */*;q=0.1"],
        ["text/event-stream;q=0.001"],
    ],
)
def test_events_are_wanted(accept):
    assert wants_events(accept)


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        ["*/*"],
        ["text/*"],
        ["application/json"],
        ["text/event-stream;q=0"],
        ["text/event-stream; Q=0.0, application/json"],
        ["application/json, text/event-stream;q=0.5"],
        ["*/*, text/event-stream;q=0.5"],
        ["text/event-stream;q=high"],
        ["text/event-stream;q=2"],
        ["text/event-streams"],
    ],
)
def test_events_are_not_wanted(accept):
    assert not wants_events(accept)
