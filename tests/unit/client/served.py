"""What the clients call in these tests: the real ingress over real HTTP, and canned answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from deployments.client import AsyncBackdrop, Backdrop


@asynccontextmanager
async def served(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """An application behind a port of this machine; 0 is any."""
    config = uvicorn.Config(app, port=port, lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task


class Caller:
    """One of the two clients, called in one way.

    Args:
        client: Either.
    """

    def __init__(self, client: Backdrop | AsyncBackdrop) -> None:
        self.client = client

    async def __call__(self, method: str, *args: object, **fields: object) -> Any:
        """The value of a method, the events of one that streams as a list."""
        called = getattr(self.client, method)
        streams = method in ("follow", "generate_events", "variation_events")
        if isinstance(self.client, Backdrop):
            if streams:
                return await asyncio.to_thread(lambda: list(called(*args, **fields)))
            return await asyncio.to_thread(called, *args, **fields)
        if streams:
            return [event async for event in called(*args, **fields)]
        return await called(*args, **fields)

    async def close(self) -> None:
        closed = self.client.close()
        if closed is not None:
            await closed


def caller(kind: str, url: str, **settings: Any) -> Caller:
    """A client of a kind, `sync` or `async`."""
    return Caller((Backdrop if kind == "sync" else AsyncBackdrop)(url, **settings))


@dataclass
class Canned:
    """Answers in turn, the last one for ever, and what was asked for them.

    Attributes:
        answers: Whole HTTP responses; the connection is closed after each.
        requests: Whole requests.
    """

    answers: list[bytes]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)

    def headers(self, name: str) -> list[str]:
        """A header's value in each request; empty where it had none."""
        found = [re.search(rf"(?im)^{name}: *(.*?)\r$", r.decode("latin-1")) for r in self.requests]
        return [match[1] if match else "" for match in found]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        await writer.drain()
        writer.close()


@asynccontextmanager
async def canned(*answers: bytes, port: int = 0) -> AsyncIterator[Canned]:
    """A server of such answers."""
    told = Canned(list(answers))
    async with await asyncio.start_server(told.answer, "127.0.0.1", port) as server:
        told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield told


def response(status: int, body: object = "", **headers: str) -> bytes:
    """A response with JSON, or with text."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/plain" if isinstance(body, str) else "application/json"
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(text)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", text]).encode()


def stream(events: Sequence[tuple[str, object]], first: int = 0, *, cut: bool = False) -> bytes:
    """A response with events, numbered from `first` where that is not 0.

    Args:
        events: Name and data of each.
        first: The first id.
        cut: Whether the connection is lost before its proper end.
    """
    blocks = []
    for number, (name, data) in enumerate(events):
        id_ = f"id: {first + number}\r\n" if first else ""
        blocks.append(f"{id_}event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n")
    text = "".join(blocks).encode()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"%x\r\n%s\r\n" % (len(text), text) + (b"" if cut else b"0\r\n\r\n")
