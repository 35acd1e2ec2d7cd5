from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage.filesystem import FilesystemStore
from storage.minio_store import MinioStore
from storage.settings import MinioSettings
from storage.store import ImageStore
from tests.s3_server import SCOPED_BUCKET, S3Server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Serve S3; SCOPED_BUCKET exists. Tests that stop it start it again."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.client().make_bucket(SCOPED_BUCKET)
        yield server


@pytest.fixture(params=["filesystem", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    """Open an empty store of each kind."""
    if request.param == "filesystem":
        return FilesystemStore(tmp_path / "images")
    server = request.getfixturevalue("s3_server")
    settings = MinioSettings(endpoint=server.endpoint, secure=False, prefix=f"{uuid4()}/")
    opened = MinioStore(settings, server.admin)
    opened.check()
    return opened
