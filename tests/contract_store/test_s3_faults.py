"""An S3 endpoint that stalls, stutters and talks nonsense, scripted answer by answer."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3 import HTTPConnectionPool
from urllib3.util import Retry

from storage.errors import (
    StorageMisconfigured,
    StorageUnavailable,
)
from storage.minio_store import MinioStore
from tests.contract_store.quick_store import CREDENTIALS, NAME, PNG, open_quick, settings


class Script(BaseHTTPRequestHandler):
    """Answers with the server's scripted responses in turn, the last one for ever."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        script = self.server.script  # type: ignore[attr-defined]  # set by the fixture
        status, headers, body = script.pop(0) if len(script) > 1 else script[0]
        self.server.requests += 1  # type: ignore[attr-defined]  # set by the fixture
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


XML = {"Content-Type": "application/xml"}
SLOW_DOWN = (503, {**XML, "Retry-After": "3600"}, b"<Error><Code>SlowDown</Code></Error>")
BAD_GATEWAY = (502, {"Content-Type": "text/html"}, b"<html>secret page</html>")
PUT_DONE = (200, {"ETag": '"x"'}, b"")


@pytest.fixture
def scripted() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    server.requests = 0  # type: ignore[attr-defined]  # read by Script
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def script(server: ThreadingHTTPServer, *answers: tuple[int, dict[str, str], bytes]) -> str:
    server.script = list(answers)  # type: ignore[attr-defined]  # read by Script
    return f"127.0.0.1:{server.server_port}"


def test_a_server_that_never_answers_is_unavailable() -> None:
    # The kernel accepts connections into the backlog; nobody ever reads them.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        store = open_quick(f"127.0.0.1:{listener.getsockname()[1]}")
        for operation in (
            lambda: store.put(NAME, PNG, "image/png"),
            lambda: store.get(NAME),
            store.check,
        ):
            with pytest.raises(StorageUnavailable, match="does not answer in time"):
                operation()


def test_a_host_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(StorageUnavailable, match="host name does not resolve"):
        open_quick("no-such-host.invalid:9000").check()


def test_the_waits_are_bounded_by_default() -> None:
    pool = MinioStore(settings("127.0.0.1:1"), CREDENTIALS)._client._http
    timeout = pool.connection_pool_kw["timeout"]
    assert (timeout.connect_timeout, timeout.read_timeout) == (2.0, 15.0)
    assert pool.connection_pool_kw["retries"].total == 2


@pytest.mark.parametrize("hiccup", [SLOW_DOWN, BAD_GATEWAY])
def test_a_hiccup_is_retried_without_obeying_its_retry_after(
    scripted: ThreadingHTTPServer,
    hiccup: tuple[int, dict[str, str], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def obey(_: Retry, response: object) -> bool:
        raise AssertionError(f"would wait as long as {response} says")

    monkeypatch.setattr(Retry, "sleep_for_retry", obey)
    store = open_quick(script(scripted, hiccup, hiccup, PUT_DONE))
    store.put(NAME, PNG, "image/png")
    assert scripted.requests == 3  # type: ignore[attr-defined]  # counted by Script


@pytest.mark.parametrize(("answer", "status"), [(SLOW_DOWN, "503, SlowDown"), (BAD_GATEWAY, "502")])
def test_lasting_hiccups_are_unavailable(
    scripted: ThreadingHTTPServer, answer: tuple[int, dict[str, str], bytes], status: str
) -> None:
    store = open_quick(script(scripted, answer))
    with pytest.raises(StorageUnavailable, match=f"HTTP {status}") as caught:
        store.put(NAME, PNG, "image/png")
    assert "secret page" not in str(caught.value)
    assert scripted.requests == 3  # type: ignore[attr-defined]  # counted by Script
    with pytest.raises(StorageUnavailable):
        store.get(NAME)
    with pytest.raises(StorageUnavailable):
        list(store.list(""))


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"Content-Type": "text/plain"}, b"Client sent an HTTP request to an HTTPS server."),
        (404, {"Content-Type": "text/html"}, b"<html></html>"),
        (403, XML, b"<Error><Code>AccessDenied</Code></Error>"),
        (403, XML, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"),
        (400, XML, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"),
    ],
)
def test_answers_that_stay_the_same_until_settings_change(
    scripted: ThreadingHTTPServer, answer: tuple[int, dict[str, str], bytes]
) -> None:
    store = open_quick(script(scripted, answer))
    with pytest.raises(StorageMisconfigured):
        store.check()


@pytest.mark.parametrize(
    "answer",
    [
        (200, XML, b"this is not XML"),
        (200, XML, b"<ListBucketResult/>"),
        (200, {"Content-Type": "text/html"}, b"<html><br></html>"),
        (500, XML, b"this is not XML"),
        (507, XML, b"<Error><Code>XMinioStorageFull</Code></Error>"),
        (400, XML, b"<Error><Code>line one\nline two</Code></Error>"),
    ],
)
def test_whatever_else_it_answers_is_unavailable(
    scripted: ThreadingHTTPServer, answer: tuple[int, dict[str, str], bytes]
) -> None:
    store = open_quick(script(scripted, answer))
    with pytest.raises(StorageUnavailable) as caught:
        store.check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Length": "100", "Last-Modified": "Sun, 22 Nov 2026 21:34:59 GMT"}, b"cut"),
        (200, {}, b"no date"),
        (200, {"Last-Modified": "yesterday"}, b"no date"),
    ],
)
def test_a_broken_answer_is_never_an_image(
    scripted: ThreadingHTTPServer, answer: tuple[int, dict[str, str], bytes]
) -> None:
    store = open_quick(script(scripted, answer))
    with pytest.raises(StorageUnavailable):
        store.get(NAME)


def test_a_connection_goes_back_to_the_pool(scripted: ThreadingHTTPServer) -> None:
    dated = (200, {"Last-Modified": "Sun, 22 Nov 2026 21:34:59 GMT"}, PNG)
    store = open_quick(script(scripted, dated))
    for _ in range(5):
        assert store.get(NAME).data == PNG
    pool = store._client._http.connection_from_url(f"http://127.0.0.1:{scripted.server_port}")
    assert isinstance(pool, HTTPConnectionPool)
    assert pool.num_connections == 1


def test_a_bucket_that_another_replica_creates_meanwhile_is_used(
    scripted: ThreadingHTTPServer,
) -> None:
    missing = (404, XML, b"<Error><Code>NoSuchBucket</Code></Error>")
    created = (409, XML, b"<Error><Code>BucketAlreadyOwnedByYou</Code></Error>")
    store = open_quick(script(scripted, missing, created, SLOW_DOWN))
    # The third answer is to the first put: the check went on.
    with pytest.raises(StorageUnavailable, match="503, SlowDown"):
        store.check()
