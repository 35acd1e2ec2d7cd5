"""What guards the service on a real Serve: request ids, logs, and who may be let in."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.ingress.http.middleware.heads import MOST_BYTES
from tests.serve.conftest import KEY, Cluster
from tests.serve.test_service import AUTH, LIMITED, png

PROMPT = "prompt-marker-4d7a"


@pytest.mark.parametrize("path", ["/nothing", "/api/models"])
@pytest.mark.parametrize("given", ["a b", "<script>alert(1)</script>", "x" * 200, 'a"b', "${x}"])
def test_an_unsafe_request_id_comes_back_nowhere(cluster: Cluster, path, given):
    answer = cluster.client.get(path, headers={"X-Request-Id": given})
    (sent,) = answer.headers.get_list("x-request-id")
    assert sent.replace("-", "").isalnum()
    assert given not in f"{answer.headers} {answer.text}"
    if answer.status_code >= 400:
        assert answer.json()["request_id"] == sent


def test_a_safe_request_id_is_kept(cluster: Cluster):
    answer = cluster.client.get("/nothing", headers={"X-Request-Id": "ticket-17"})
    assert answer.headers.get_list("x-request-id") == ["ticket-17"]
    assert answer.json()["request_id"] == "ticket-17"


@pytest.mark.parametrize("piece", [b"a: b\r\n" * 1000, b"a" * 8192], ids=["many", "one"])
def test_the_proxy_reads_no_headers_without_an_end(cluster: Cluster, piece: bytes):
    url = cluster.client.base_url
    with socket.create_connection((url.host, url.port), 30) as line:
        line.sendall(b"GET /api/models HTTP/1.1\r\nHost: a\r\nb: ")
        sent = 0
        with suppress(OSError):  # it is closed while more is sent
            while sent < 4 * MOST_BYTES:
                line.sendall(piece)
                sent += len(piece)
                line.settimeout(0.05)
                with suppress(TimeoutError):
                    assert line.recv(12) in (b"HTTP/1.1 400", b"")
                    break
                line.settimeout(30)
        assert sent < 4 * MOST_BYTES
    assert cluster.client.get("/-/healthz").status_code == 200


def logs(cluster: Cluster) -> dict[Path, bytes]:
    """Every log file of the running Ray."""
    for process in psutil.Process(cluster.pid).children(recursive=True):
        for part in process.cmdline():
            if part.startswith("--session_dir="):
                folder = Path(part.partition("=")[2]) / "logs"
                return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    raise AssertionError("no process tells its session")


def line_about(files: dict[Path, bytes], answer: httpx.Response) -> bytes:
    """The log line of a request."""
    request_id = b"request_id=" + answer.headers["x-request-id"].encode()
    (line,) = {
        line[line.index(b"request request_id=") :]
        for text in files.values()
        for line in text.splitlines()
        if request_id in line
    }
    return line


def test_logs_tell_of_a_request_and_neither_its_prompt_nor_its_key(cluster: Cluster):
    data = {"negative_prompt": PROMPT, "model": "stable-diffusion", "steps": "2"}
    data |= {"num_images": "1", "preserve_product": "false"}
    made = cluster.client.post(
        "/api/generate",
        data={**data, "prompt": f"{PROMPT} " * 60},  # longer than the text encoder reads
        files={"image": (f"{PROMPT}.png", png())},
        headers=AUTH,
    )
    assert made.status_code == 200, made.text
    refused = cluster.client.post(
        f"{LIMITED}/api/generate?{PROMPT}",
        data={**data, "prompt": PROMPT, "num_images": "99"},
        files={"image": ("a", png())},
        headers=AUTH,
    )
    assert refused.status_code == 400
    files = logs(cluster)
    for word in (b"model=stable-diffusion", b"images=1", b"status=200", b"made=1", b"engine_ms="):
        assert word in line_about(files, made)
    for word in (
        b"route=/api/generate",
        b"status=400",
        b"code=invalid_request",
        b"api_key_name=test",
    ):
        assert word in line_about(files, refused)
    for secret in (PROMPT, KEY):
        leaking = [file.name for file, text in files.items() if secret.encode() in text]
        assert not leaking, leaking


def test_an_ingress_knows_from_serve_that_only_this_machine_can_reach_it(cluster: Cluster):
    said = b"no API keys are set: whoever is on this machine may call"
    assert any(said in text for text in logs(cluster).values())
