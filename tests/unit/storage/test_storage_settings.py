import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.errors import StorageMisconfigured
from storage.filesystem import FilesystemStore
from storage.minio_store import MinioStore
from storage.opening import open_store
from storage.settings import (
    ACCESS_KEY_VARIABLE,
    SECRET_KEY_VARIABLE,
    SESSION_TOKEN_VARIABLE,
    Credentials,
    FilesystemSettings,
    MinioSettings,
    StoreSettings,
    read_credentials,
)

ADAPTER: TypeAdapter[StoreSettings] = TypeAdapter(StoreSettings)
VARIABLES = {ACCESS_KEY_VARIABLE: "an-access-key", SECRET_KEY_VARIABLE: "a-secret-key"}


def test_the_kind_selects_the_store() -> None:
    files = ADAPTER.validate_python({"kind": "filesystem"})
    assert files == FilesystemSettings(path="data")
    bucket = ADAPTER.validate_python({"kind": "minio", "endpoint": "minio:9000"})
    assert bucket == MinioSettings(
        endpoint="minio:9000",
        bucket="backdrop",
        region="us-east-1",
        secure=True,
        ca_file=None,
        create_bucket=True,
        prefix="",
    )
    for settings in (files, bucket):
        assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own pickle
        assert ADAPTER.validate_json(ADAPTER.dump_json(settings)) == settings


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "s3"},
        {"kind": "filesystem", "path": ""},
        {"kind": "filesystem", "root": "x"},
        {"kind": "filesystem", "endpoint": "minio:9000"},
        {"kind": "minio"},
        {"kind": "minio", "endpoint": "minio:9000", "path": "x"},
        {"kind": "minio", "endpoint": "minio:9000", "secret_key": "x"},
        {"kind": "minio", "endpoint": "minio:9000", "bucket": "No"},
        {"kind": "minio", "endpoint": "minio:9000", "bucket": "a/../b"},
        {"kind": "minio", "endpoint": "minio:9000", "region": ""},
        {"kind": "minio", "endpoint": "minio:9000", "ca_file": ""},
        {"kind": "minio", "endpoint": "minio:9000", "prefix": "/"},
        {"kind": "minio", "endpoint": "minio:9000", "prefix": "no-slash"},
        {"kind": "minio", "endpoint": "minio:9000", "prefix": "../"},
    ],
)
def test_what_is_not_a_setting_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(data)


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "s3.eu-west-1.amazonaws.com", "10.0.0.1:80", "[::1]:9000", "[::1]"]
)
def test_endpoints(endpoint: str) -> None:
    assert MinioSettings(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint", ["", "minio:", "minio:0", "minio:65536", "minio/bucket", "a b:1", "minio:9000\n"]
)
def test_what_is_not_an_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        MinioSettings(endpoint=endpoint)


def test_a_scheme_is_refused_with_a_hint_and_without_the_credentials_in_it() -> None:
    with pytest.raises(ValidationError, match=r"without a scheme.*'secure'") as caught:
        MinioSettings(endpoint="https://user:hunter2@minio:9000")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError, match="without credentials") as caught:
        MinioSettings(endpoint="user:hunter2@minio:9000")
    assert "hunter2" not in str(caught.value)


def test_settings_do_not_change() -> None:
    settings = FilesystemSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.path = "elsewhere"  # type: ignore[misc]  # the point of the test


def test_credentials_come_from_the_environment() -> None:
    assert read_credentials(VARIABLES) == Credentials("an-access-key", "a-secret-key")
    with_token = read_credentials({**VARIABLES, SESSION_TOKEN_VARIABLE: "a-token"})
    assert with_token == Credentials("an-access-key", "a-secret-key", "a-token")
    for shown in (repr(with_token), str(with_token), f"{with_token}"):
        assert not any(secret in shown for secret in ("an-access-key", "a-secret-key", "a-token"))


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("value", [None, "", "a-secret-key\n"])
def test_a_missing_or_spoiled_variable_is_named(variable: str, value: str | None) -> None:
    environment = {name: text for name, text in VARIABLES.items() if name != variable}
    if value is not None:
        environment[variable] = value
    with pytest.raises(StorageMisconfigured, match=variable) as caught:
        read_credentials(environment)
    assert "a-secret-key" not in str(caught.value)


def test_open_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ACCESS_KEY_VARIABLE, raising=False)
    settings = MinioSettings(endpoint="minio:9000")
    with pytest.raises(StorageMisconfigured, match=ACCESS_KEY_VARIABLE):
        open_store(settings)
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    assert isinstance(open_store(settings), MinioStore)
    opened = open_store(FilesystemSettings(path=str(tmp_path / "deep" / "images")))
    assert isinstance(opened, FilesystemStore)
    assert (tmp_path / "deep" / "images").is_dir()
