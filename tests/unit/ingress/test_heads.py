"""Heads of requests that never end, are too long, or trickle, at the proxy's server."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http import auto
from uvicorn.server import ServerState

from deployments.ingress.http.middleware import heads
from deployments.ingress.http.middleware.heads import MOST_HEADERS, BoundedHeads
from deployments.ingress.requestids import middlewares

LINE = b"GET / HTTP/1.1\r\n"


class Line(asyncio.Transport):
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def echo(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(scope["headers"])).encode()})


@pytest.fixture
async def connection() -> tuple[BoundedHeads, Line]:
    config = uvicorn.Config(echo, http=BoundedHeads, lifespan="off", log_config=None)
    config.load()
    protocol = BoundedHeads(config=config, server_state=ServerState(), app_state={})
    line = Line()
    protocol.connection_made(line)
    yield protocol, line
    protocol.connection_lost(RuntimeError())


async def answered(line: Line) -> bytes:
    for _ in range(20):
        await asyncio.sleep(0)
    return line.written


async def test_a_request_is_answered_as_ever(connection):
    protocol, line = connection
    for _ in range(2):
        line.written = b""
        protocol.data_received(LINE + b"a: b\r\n" * MOST_HEADERS)
        assert not line.written
        protocol.data_received(b"\r\n")
        assert (await answered(line)).endswith(str(MOST_HEADERS).encode() + b"\r\n0\r\n\r\n")
    assert not line.closed


@pytest.mark.parametrize("piece", [b"a: b\r\n", b"a: " + b"b" * 5000 + b"\r\n", b"c" * 5000])
async def test_a_head_without_an_end_is_refused(connection, piece):
    protocol, line = connection
    protocol.data_received(LINE + (b"" if b"\r\n" in piece else b"a: "))
    sent = 0
    while not line.closed:
        protocol.data_received(piece)
        sent += len(piece)
        assert sent < 2 * heads.MOST_BYTES
    assert line.written.startswith(b"HTTP/1.1 400")


async def test_an_address_without_an_end_is_refused(connection):
    protocol, line = connection
    protocol.data_received(b"GET /")
    for _ in range(20):
        if not line.closed:
            protocol.data_received(b"a" * 5000)
    assert line.closed


async def test_a_long_body_is_no_head(connection):
    protocol, line = connection
    protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(200):
        protocol.data_received(b"x" * 5000)
    assert (await answered(line)).startswith(b"HTTP/1.1 200")


async def test_a_head_that_trickles_is_ended(monkeypatch):
    monkeypatch.setattr(heads, "LONGEST_S", 0.05)
    config = uvicorn.Config(echo, http=BoundedHeads, lifespan="off", log_config=None)
    config.load()
    protocol = BoundedHeads(config=config, server_state=ServerState(), app_state={})
    line = Line()
    protocol.connection_made(line)
    protocol.data_received(LINE)
    async with asyncio.timeout(20):
        while not line.closed:
            await asyncio.sleep(0.01)
            protocol.data_received(b"a")
    protocol.connection_lost(RuntimeError())
    whole = BoundedHeads(config=config, server_state=ServerState(), app_state={})
    second = Line()
    whole.connection_made(second)
    whole.data_received(LINE + b"\r\n")
    await asyncio.sleep(0.2)
    assert not second.closed
    whole.connection_lost(RuntimeError())


def test_the_proxys_hook_puts_it_in_place(monkeypatch):
    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    assert len(middlewares()) == 1
    config = uvicorn.Config(echo, log_config=None)
    config.load()
    assert config.http_protocol_class is BoundedHeads
