"""Bounds what Serve's proxy reads of a request before any application sees it: its head.

The proxy's server, uvicorn over httptools, reads headers without end and waits for them for ever.
Serve has no setting for that. `bound_heads` puts the class below in the place where uvicorn looks
for its protocol, in the proxy's process alone, before the server starts.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 65_536
"""Of a head that is not whole yet: request line and headers."""

MOST_HEADERS = 128
"""Headers of a request."""

LONGEST_S = 20.0
"""Seconds in which a head must be whole."""


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, which answers 400 to a head that is too long, and ends one that trickles.

    Its arguments are uvicorn's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too long."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._wait_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header.

        Raises:
            ValueError: There are too many. The parser passes it on, and uvicorn answers 400.
        """
        if len(self.headers) >= MOST_HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        if self._too_late is None:
            self._too_late = self.loop.call_later(LONGEST_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None


def bound_heads() -> None:
    """Let every server that starts in this process from now on bound its heads."""
    auto.AutoHTTPProtocol = BoundedHeads
