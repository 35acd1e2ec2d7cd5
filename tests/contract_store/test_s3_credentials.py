"""Credentials from a file, a web identity, a container and a machine, and their change."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from storage.credentials import provider_for
from storage.errors import StorageError, StorageMisconfigured, StorageUnavailable
from storage.minio_store import MinioStore
from storage.settings import FILE_VARIABLE, Credentials, MinioSettings
from tests.s3_server import S3Server

NAME = f"generated/{'1' * 32}.json"
ROLE = "/latest/meta-data/iam/security-credentials/"
IDENTITY = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_STS"}


class Giver:
    """Gives credentials over HTTP, as AWS's and MinIO's STS, a container's agent and a machine do.

    Attributes:
        gives: Which; None refuses.
        lasting_s: How long they are said to be valid.
        asked: What it was asked for.
    """

    def __init__(self) -> None:
        self.gives: Credentials | None = None
        self.lasting_s = 3600.0
        self.asked: list[str] = []
        giver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_PUT(self) -> None:
                self._answer(b"a-session")

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path == ROLE:
                    self._answer(b"a-role")
                else:
                    self._answer(giver.document().encode())

            def do_POST(self) -> None:
                self._answer(giver.xml().encode())

            def _answer(self, body: bytes) -> None:
                giver.asked.append(self.path)
                self.send_response(200 if giver.gives else 403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def until(self) -> str:
        moment = datetime.now(UTC) + timedelta(seconds=self.lasting_s)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def document(self) -> str:
        given = self.gives or Credentials("", "")
        return json.dumps({
            "Code": "Success", "AccessKeyId": given.access_key,
            "SecretAccessKey": given.secret_key, "Token": "", "Expiration": self.until,
        })  # fmt: skip

    def xml(self) -> str:
        given = self.gives or Credentials("", "")
        return (
            "<R><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{given.access_key}</AccessKeyId>"
            f"<SecretAccessKey>{given.secret_key}</SecretAccessKey>"
            f"<SessionToken></SessionToken><Expiration>{self.until}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></R>"
        )


@pytest.fixture
def giver() -> Iterator[Giver]:
    giver = Giver()
    yield giver
    giver.server.shutdown()
    giver.server.server_close()


def opened(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **more: str
) -> MinioStore:
    """A store with such an environment, which the SDK reads itself, too."""
    for name in (*IDENTITY, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = MinioSettings(endpoint=s3_server.endpoint, secure=False, **more)
    store = MinioStore(settings, provider_for(settings, environment))
    store.check()
    return store


def write(file: Path, credentials: Credentials) -> None:
    file.with_suffix(".new").write_text(
        f"[default]\naws_access_key_id = {credentials.access_key}\n"
        f"aws_secret_access_key = {credentials.secret_key}\n"
    )
    file.with_suffix(".new").rename(file)


def works(store: MinioStore) -> None:
    store.put(NAME, b"{}", "application/json")
    assert store.get(NAME).data == b"{}"


def test_a_file_is_read_again_when_it_changes(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    file = tmp_path / "credentials"
    write(file, s3_server.admin)
    store = opened(s3_server, monkeypatch, {FILE_VARIABLE: str(file)})
    works(store)
    write(file, Credentials("nobody", "wrong-secret"))
    with pytest.raises(StorageMisconfigured, match=f"{FILE_VARIABLE}: the S3 endpoint .* refuses"):
        store.get(NAME)
    write(file, s3_server.admin)
    works(store)
    # What is wrong, or gone for a moment, changes nothing.
    for text in ("", "no file of this kind", "[default]\naws_access_key_id = only\n"):
        file.write_text(text)
        works(store)
    file.unlink()
    works(store)
    works(store)
    # Once for each that is wrong in another way: no key, no section, one key, no file.
    assert 2 <= caplog.text.count("the S3 credentials stay as they were") <= 4
    assert s3_server.admin.secret_key not in caplog.text


def test_a_web_identity_is_changed_for_credentials_again_and_again(
    s3_server: S3Server, tmp_path: Path, giver: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first-token")
    giver.gives, giver.lasting_s = s3_server.admin, 5  # so short that each request asks anew
    role = "arn:aws:iam::1:role/backdrop"
    store = opened(s3_server, monkeypatch, {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": role,
        "AWS_ENDPOINT_URL_STS": giver.url,
    })  # fmt: skip
    works(store)
    token.write_text("second-token")
    works(store)
    asked = [parse_qs(urlsplit(path).query) for path in giver.asked]
    assert {query["Action"][0] for query in asked} == {"AssumeRoleWithWebIdentity"}
    assert {query["RoleArn"][0] for query in asked} == {role}
    tokens = [query["WebIdentityToken"][0] for query in asked]
    assert list(dict.fromkeys(tokens)) == ["first-token", "second-token"]
    giver.lasting_s = 3600
    works(store)
    giver.asked.clear()
    works(store)
    assert giver.asked == []  # kept as long as they are valid


def test_a_machine_s_role_is_taken_where_it_is_meant(
    s3_server: S3Server, giver: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    giver.gives = s3_server.admin
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": giver.url}
    works(opened(s3_server, monkeypatch, environment, credentials="iam"))
    assert giver.asked == ["/latest/api/token", ROLE, f"{ROLE}a-role"]
    with pytest.raises(StorageMisconfigured, match="BACKDROP_S3_ACCESS_KEY"):
        opened(s3_server, monkeypatch, environment)


def test_a_container_s_role_is_taken(
    s3_server: S3Server, giver: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    giver.gives = s3_server.admin
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{giver.url}/role"}
    works(opened(s3_server, monkeypatch, environment))
    assert giver.asked == ["/role"]


def test_aws_s_own_variables_are_taken(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = s3_server.admin.access_key, s3_server.admin.secret_key
    names = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
    works(opened(s3_server, monkeypatch, dict(zip(names, keys, strict=True))))
    own = {"BACKDROP_S3_ACCESS_KEY": "nobody", "BACKDROP_S3_SECRET_KEY": "wrong"}
    with pytest.raises(StorageMisconfigured, match="BACKDROP_S3_ACCESS_KEY and"):
        opened(s3_server, monkeypatch, {**dict(zip(names, keys, strict=True)), **own})


@pytest.mark.parametrize(
    ("lasting", "kind"), [("refused", StorageMisconfigured), ("gone", StorageUnavailable)]
)
def test_who_gives_none_is_named(
    s3_server: S3Server, tmp_path: Path, giver: Giver, monkeypatch: pytest.MonkeyPatch,
    lasting: str, kind: type[StorageError],
) -> None:  # fmt: skip
    (tmp_path / "token").write_text("a-secret-token")
    if lasting == "gone":
        giver.server.shutdown()
        giver.server.server_close()
    with pytest.raises(kind, match="AWS_WEB_IDENTITY_TOKEN_FILE: ") as caught:
        opened(s3_server, monkeypatch, {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "a-role",
            "AWS_ENDPOINT_URL_STS": giver.url,
        })  # fmt: skip
    assert "a-secret-token" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "[other]\n"])
def test_a_file_that_was_never_right_stops_the_start(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "credentials"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StorageMisconfigured, match=f"{FILE_VARIABLE}: it gives no S3 credentials"):
        opened(s3_server, monkeypatch, {FILE_VARIABLE: str(file)})
