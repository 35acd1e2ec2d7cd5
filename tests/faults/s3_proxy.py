"""A real HTTP proxy in front of an S3 server, that is down, slow or refuses when a test says so."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>")
INTERNAL = (500, b"<Error><Code>InternalError</Code><Message>We erred</Message></Error>")


@dataclass
class Faults:
    """What the proxy does to the requests that come now.

    Attributes:
        down: Close every connection without an answer.
        delay_s: Seconds before a request is passed on.
        answer: Status and body given instead of passing requests on.
        last: Method and path to whether this request is the last one that is passed on: it brings
            the server down.
        before_reply: Called with method, path and the caller's port after the server has done its
            work and before the caller hears of it.
    """

    down: bool = False
    delay_s: float = 0.0
    answer: tuple[int, bytes] | None = None
    last: Callable[[str, str], bool] | None = None
    before_reply: Callable[[str, str, int], None] | None = None
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class S3Proxy:
    """Listens on a port of its own and passes requests on to `upstream`, a `host:port`."""

    def __init__(self, upstream: str) -> None:
        self.faults = Faults()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy, self._server.upstream = self, upstream
        self.endpoint = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def failing(self, **faults: object) -> Iterator[Faults]:
        """Make trouble for as long as the block lasts."""
        self.faults = Faults(**faults)  # type: ignore[arg-type]  # the tests' own names
        try:
            yield self.faults
        finally:
            self.faults = Faults()


class _Server(ThreadingHTTPServer):
    proxy: S3Proxy
    upstream: str
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, address: object) -> None:
        """Callers that are killed on purpose are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        faults = self.server.proxy.faults
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with faults.lock:
            down = faults.down
            if down or faults.answer is not None:
                faults.refused += 1
            elif faults.last is not None and faults.last(self.command, self.path):
                faults.down = True
        if down:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if faults.answer is not None:
            status, text = faults.answer
            self._reply(status, [("Content-Type", "application/xml")], text)
            return
        time.sleep(faults.delay_s)
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            # The signature covers Host, so it stays as it came.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        if faults.before_reply is not None:
            faults.before_reply(self.command, self.path, self.client_address[1])
        dropped = {"connection", "transfer-encoding", "content-length"}
        headers = [item for item in answer.getheaders() if item[0].lower() not in dropped]
        self._reply(answer.status, headers, data)

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _pass_on

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""
