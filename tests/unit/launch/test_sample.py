"""The sample request, against a small server that answers as the service would, or does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from deployments.ingress.http.api_keys import KEYS_VARIABLE
from deployments.launch import sample as module
from deployments.launch.errors import LaunchError
from deployments.launch.plan import Plan, make_plan
from deployments.launch.sample import make_sample
from deployments.launch.service_log import OWN_IDS

Answer = tuple[int, object]


class Server(ThreadingHTTPServer):
    """Answers GETs and POSTs by two functions, and keeps what it was asked."""

    daemon_threads = True
    listing: Callable[[], Answer] = staticmethod(lambda: (200, {"models": []}))
    generating: Callable[[], Answer] = staticmethod(lambda: (200, {"images": ["one", "two"]}))

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *arguments: object) -> None:
        """Some callers leave before their answer, as they should."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(*self.server.listing())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), body))
        self._answer(*self.server.generating())

    def _answer(self, status: int, body: object) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class Quiet:
    """A watch that sees nothing."""

    def look(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def plan(folder: Path, server: Server, deadline_s: float = 30) -> Plan:
    args = {"models": [{"id": "m", "name": "M"}], "ingress": {"deadline_s": deadline_s}}
    application = {"import_path": "deployments.app:build", "route_prefix": "/shop", "args": args}
    (folder / "config.yaml").write_text(yaml.safe_dump({"applications": [application]}))
    return make_plan(folder / "config.yaml", server.server_port)


def test_four_images_are_asked_for_as_a_client_would(tmp_path, server):
    sample = make_sample(plan(tmp_path, server), Quiet(), "m")
    assert (sample.images, sample.problem) == (["one", "two"], "")
    ((path, headers, body),) = server.asked
    assert path == "/shop/api/generate"
    assert headers["X-Request-Id"].startswith(OWN_IDS)
    assert "X-API-Key" not in headers
    for part in (b'name="model"\r\n\r\nm\r\n', b'name="num_images"\r\n\r\n4\r\n', b"coffee.png"):
        assert part in body


def test_a_key_that_is_told_is_sent(tmp_path, server, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, "shop:s3cret")
    make_sample(plan(tmp_path, server), Quiet(), "m")
    assert server.asked[0][1]["X-API-Key"] == "s3cret"


def test_the_route_is_waited_for(tmp_path, server):
    statuses = iter([404, 503, 200])
    server.listing = lambda: (next(statuses), {})
    assert make_sample(plan(tmp_path, server), Quiet(), "m").images == ["one", "two"]
    assert next(statuses, None) is None


@pytest.mark.parametrize(
    ("listing", "generating", "problem"),
    [
        ((401, {}), None, "no key is told in plain"),
        ((200, {}), (429, {"error": "no room"}), "'m' made no images of the sample photo: no room"),
        ((200, {}), (500, b"<html>"), "made no images of the sample photo: status 500"),
        ((200, {}), (503, ["x"]), "made no images of the sample photo: status 503"),
    ],
)
def test_an_answer_without_images_is_told(tmp_path, server, listing, generating, problem):
    server.listing, server.generating = (lambda: listing), (lambda: generating)
    sample = make_sample(plan(tmp_path, server), Quiet(), "m")
    assert sample.images == []
    assert problem in sample.problem


def test_one_that_is_late_is_told_and_ends_nothing(tmp_path, server, monkeypatch, capsys):
    monkeypatch.setattr(module, "MARGIN_S", 0.1)
    monkeypatch.setattr(module, "FIRST_WORD_S", 0.1)
    release = threading.Event()
    server.generating = lambda: (200 if release.wait(60) else 500, {})
    try:
        sample = make_sample(plan(tmp_path, server, deadline_s=0.2), Quiet(), "m")
    finally:
        release.set()
    assert (sample.images, sample.problem) == (
        [],
        "the sample request had no answer in time; the service goes on",
    )
    assert "/shop answers already" in capsys.readouterr().out


def test_a_service_that_ends_meanwhile_ends_it_at_once(tmp_path, server):
    release = threading.Event()
    server.generating = lambda: (200 if release.wait(60) else 500, {"images": []})

    class Ending:
        def look(self) -> None:
            if server.asked:
                raise LaunchError("the node is gone")

    try:
        with pytest.raises(LaunchError, match="the node is gone"):
            make_sample(plan(tmp_path, server), Ending(), "m")
    finally:
        release.set()
