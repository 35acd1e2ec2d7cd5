"""An S3 store that gives up soon, with credentials that no server knows."""

from storage.minio_store import MinioStore
from storage.settings import (
    Credentials,
    MinioSettings,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
WRONG = "not-the-secret-77aa"
CREDENTIALS = Credentials("some-access", WRONG)
NAME = f"generated/{1:032x}.png"


def settings(endpoint: str, **changes: object) -> MinioSettings:
    return MinioSettings.model_validate({"endpoint": endpoint, "secure": False, **changes})


def open_quick(endpoint: str, **changes: object) -> MinioStore:
    return MinioStore(
        settings(endpoint, **changes), CREDENTIALS, connect_timeout_s=0.2, read_timeout_s=0.2
    )
