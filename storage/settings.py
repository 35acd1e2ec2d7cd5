"""Typed settings of the object stores.

Settings hold no secret, so they may be logged and pickled. Where credentials come from says
`storage.credentials`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from storage.errors import StorageMisconfigured

ACCESS_KEY_VARIABLE = "BACKDROP_S3_ACCESS_KEY"
# The name of a variable, not what it holds.
SECRET_KEY_VARIABLE = "BACKDROP_S3_SECRET_KEY"  # noqa: S105
SESSION_TOKEN_VARIABLE = "BACKDROP_S3_SESSION_TOKEN"  # noqa: S105
FILE_VARIABLE = "BACKDROP_S3_CREDENTIALS_FILE"

_ENDPOINT = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class _Settings(BaseModel):
    # An endpoint may be pasted with credentials in it; an error must not show these.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FilesystemSettings(_Settings):
    """Images in a folder.

    Attributes:
        kind: Selects this store.
        path: The folder; created when missing. Relative to the process's working folder.
        shared: The folder is the same one on every node of a Ray cluster, such as a network file
            system. Without it a cluster of several nodes is refused.
    """

    kind: Literal["filesystem"] = "filesystem"
    path: str = Field(default="data", min_length=1)
    shared: bool = False


class MinioSettings(_Settings):
    """Images in a bucket of an S3 endpoint: MinIO, AWS or any other.

    Attributes:
        kind: Selects this store.
        endpoint: `host` or `host:port`, without `https://`.
        bucket: The bucket's name.
        region: The region that requests are signed for.
        secure: Speak TLS.
        ca_file: PEM file of the authorities to trust instead of the system's.
        create_bucket: Create the bucket when it is missing. If false, credentials
            suffice that may only get, put, delete and list in the bucket.
        prefix: Put before every object's name; empty or ending in a slash.
        credentials: `environment` takes what the environment names, see `storage.credentials`;
            `iam` asks the machine for those of its role.
    """

    kind: Literal["minio"] = "minio"
    endpoint: str
    bucket: str = Field(default="backdrop", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$")
    secure: bool = True
    ca_file: str | None = Field(default=None, min_length=1)
    create_bucket: bool = True
    prefix: str = Field(default="", max_length=256, pattern=r"^(?:[A-Za-z0-9_-]+/)*$")
    credentials: Literal["environment", "iam"] = "environment"

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str) -> str:
        if "://" in endpoint:
            raise ValueError("write host:port without a scheme, and choose TLS with 'secure'")
        if not _ENDPOINT.fullmatch(endpoint):
            raise ValueError("write host:port, without credentials, path or query")
        port = endpoint.rpartition("]")[2].rpartition(":")[2]
        if port.isdigit() and not 0 < int(port) < 65536:
            raise ValueError("the port must be between 1 and 65535")
        return endpoint


StoreSettings = Annotated[FilesystemSettings | MinioSettings, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Signs requests to an S3 endpoint. Its repr shows no part of it.

    Attributes:
        access_key: The access key id.
        secret_key: The secret key.
        session_token: The token of temporary credentials.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def read_credentials(environment: Mapping[str, str]) -> Credentials:
    """Read the S3 credentials.

    Args:
        environment: Normally `os.environ`.

    Returns:
        The credentials.

    Raises:
        StorageMisconfigured: A variable is missing or empty, or has white space around its value.
            The message names the variable.
    """

    def read(variable: str) -> str:
        value = environment.get(variable, "")
        # A secret read from a file often ends in a newline. The server's error would not say so.
        if value != value.strip():
            raise StorageMisconfigured(f"{variable}: white space stands around its value")
        return value

    for variable in (ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE):
        if not read(variable):
            raise StorageMisconfigured(
                f"{variable}: the S3 store needs this environment variable, or another source of "
                f"credentials, such as {FILE_VARIABLE}, and it is not set"
            )
    return Credentials(
        read(ACCESS_KEY_VARIABLE), read(SECRET_KEY_VARIABLE), read(SESSION_TOKEN_VARIABLE) or None
    )
