"""`python -m storage.provision` against a real S3 server.

SeaweedFS has no MinIO administration API, so a small server before it answers those requests, with
the encryption that MinIO's have, and passes all others on as they came.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from minio.crypto import decrypt, encrypt

from storage.provision import bucket_policy
from tests.s3_server import MISSING_BUCKET, S3Server

ADMIN = "/minio/admin/v3/"


class Administration(ThreadingHTTPServer):
    """Remembers policies, users and who has which policy."""

    def __init__(self, s3: S3Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.s3 = s3
        self.policies: dict[str, object] = {}
        self.users: dict[str, str] = {}
        self.attached: dict[str, list[str]] = {}

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def administer(
        self, command: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, bytes]:
        secret = self.s3.admin.secret_key
        if command == "add-canned-policy":
            self.policies[query["name"][0]] = json.loads(body)
            return 200, b""
        if command == "add-user":
            self.users[query["accessKey"][0]] = json.loads(_opened(body, secret))["secretKey"]
            return 200, b""
        assert command == "idp/builtin/policy/attach"
        wanted = json.loads(_opened(body, secret))
        if self.attached.get(wanted["user"]) == wanted["policies"]:
            return 400, b'{"Code":"XMinioAdminPolicyChangeAlreadyApplied"}'
        self.attached[wanted["user"]] = wanted["policies"]
        return 200, encrypt(b"{}", secret)


def _opened(body: bytes, secret: str) -> bytes:
    """Decrypt a request; the SDK only knows how to decrypt responses."""
    return decrypt(urllib3.HTTPResponse(io.BytesIO(body), preload_content=False), secret)


class _Handler(BaseHTTPRequestHandler):
    server: Administration

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        if url.path.startswith(ADMIN):
            command = url.path.removeprefix(ADMIN)
            status, content = self.server.administer(command, parse_qs(url.query), body)
            headers: list[tuple[str, str]] = []
        else:
            # The signature covers the host that the client meant, so the header stays.
            connection = http.client.HTTPConnection(self.server.s3.endpoint, timeout=10)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            status, content = response.status, response.read()
            kept = ("content-type", "etag", "last-modified")
            headers = [pair for pair in response.getheaders() if pair[0].lower() in kept]
            connection.close()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def administration(s3: S3Server) -> Iterator[Administration]:
    with Administration(s3) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def provision(
    s3: S3Server, endpoint: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {
        "BACKDROP_S3_ROOT_ACCESS_KEY": s3.admin.access_key,
        "BACKDROP_S3_ROOT_SECRET_KEY": s3.admin.secret_key,
        "BACKDROP_S3_ACCESS_KEY": s3.scoped.access_key,
        "BACKDROP_S3_SECRET_KEY": s3.scoped.secret_key,
        **environment,
    }
    return subprocess.run(
        [
            sys.executable,
            *("-m", "storage.provision", "--insecure", f"--endpoint={endpoint}"),
            *(f"--bucket={MISSING_BUCKET}", *options),
        ],
        env={**os.environ, **variables},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bucket_user_policy_and_lifecycle_are_made(
    s3: S3Server, administration: Administration
) -> None:
    # The second run finds all of it there.
    for _ in range(2):
        done = provision(s3, administration.endpoint, "--expire-days=31")
        assert done.returncode == 0, done.stderr
        assert "is ready, and its user may use it" in done.stderr
    policy = f"{MISSING_BUCKET}-readwrite"
    assert administration.policies == {policy: bucket_policy(MISSING_BUCKET)}
    assert administration.users == {s3.scoped.access_key: s3.scoped.secret_key}
    assert administration.attached == {s3.scoped.access_key: [policy]}
    lifecycle = s3.client().get_bucket_lifecycle(MISSING_BUCKET)
    assert {rule.rule_filter.prefix: rule.expiration.days for rule in lifecycle.rules} == {
        "generated/": 31,
        "tiles/": 31,
        "cutouts/": 31,
    }


def test_the_policy_is_for_one_bucket_and_no_more_than_is_used() -> None:
    allowed = {
        (action, resource)
        for statement in bucket_policy("b")["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    assert allowed == {
        ("s3:ListBucket", "arn:aws:s3:::b"),
        ("s3:GetBucketLocation", "arn:aws:s3:::b"),
        ("s3:GetObject", "arn:aws:s3:::b/*"),
        ("s3:PutObject", "arn:aws:s3:::b/*"),
        ("s3:DeleteObject", "arn:aws:s3:::b/*"),
    }


def test_a_user_that_may_not_use_the_bucket_is_no_success(
    s3: S3Server, administration: Administration
) -> None:
    wrong = {"BACKDROP_S3_SECRET_KEY": s3.scoped.secret_key[::-1]}
    done = provision(s3, administration.endpoint, **wrong)
    assert done.returncode != 0
    assert "refuses the credentials (SignatureDoesNotMatch)" in done.stderr


@pytest.mark.parametrize(
    "variable",
    [
        "BACKDROP_S3_ROOT_ACCESS_KEY",
        "BACKDROP_S3_ROOT_SECRET_KEY",
        "BACKDROP_S3_ACCESS_KEY",
        "BACKDROP_S3_SECRET_KEY",
    ],
)
def test_a_missing_secret_is_named(s3: S3Server, variable: str) -> None:
    done = provision(s3, s3.endpoint, **{variable: ""})
    assert done.returncode == 1
    assert variable in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_minio_is_named(s3: S3Server) -> None:
    done = provision(s3, s3.endpoint)
    assert done.returncode == 1
    assert done.stderr.startswith(f"storage.provision: endpoint: {s3.endpoint} refuses")
    assert s3.scoped.secret_key not in done.stderr


def test_a_server_that_never_comes_is_waited_for_and_named(s3: S3Server) -> None:
    done = provision(s3, "127.0.0.1:1", "--wait=1")
    assert done.returncode == 1
    assert "trying again" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("storage.provision: the S3 endpoint 127.0.0.1:1")
