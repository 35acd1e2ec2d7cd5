"""Where the credentials of an S3 store come from, and how they are changed while it runs.

They are looked for in this order: the service's own variables, a file in the form of AWS that is
read again when it changes, AWS's variables, a web identity, and the role of a container. The role
of a machine tells by nothing that it is there, so the settings must say that it is meant.
"""

import configparser
import logging
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import ParseError

import urllib3
from minio.credentials.credentials import Credentials as SignedWith
from minio.credentials.providers import IamAwsProvider, Provider, StaticProvider
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from storage.errors import StorageMisconfigured, StorageUnavailable
from storage.settings import (
    ACCESS_KEY_VARIABLE,
    FILE_VARIABLE,
    SECRET_KEY_VARIABLE,
    Credentials,
    MinioSettings,
    read_credentials,
)

# The names that AWS's own programs read.
_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_IDENTITY = "AWS_WEB_IDENTITY_TOKEN_FILE"
_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_STS = "AWS_ENDPOINT_URL_STS"
_METADATA = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

_logger = logging.getLogger(__name__)


class ToldProvider(Provider):
    """Credentials from somewhere, with errors that say where.

    Attributes:
        told: What an operator knows the source by.

    Args:
        told: See there.
        source: Where they come from.
    """

    def __init__(self, told: str, source: Provider) -> None:
        self.told = told
        self._source = source

    def retrieve(self) -> SignedWith:
        """Return the present credentials.

        Raises:
            StorageMisconfigured: There are none, or they are refused.
            StorageUnavailable: Who gives them cannot be reached.
        """
        try:
            return self._source.retrieve()
        except HTTPError as error:
            raise StorageUnavailable(
                f"{self.told}: who gives the S3 credentials cannot be reached "
                f"({type(error).__name__})"
            ) from None
        except (ValueError, KeyError, OSError, ParseError) as error:
            # Not its text, which may hold what was answered.
            raise StorageMisconfigured(
                f"{self.told}: it gives no S3 credentials ({type(error).__name__})"
            ) from None


class FileProvider(Provider):
    """The credentials of a file in the form of AWS, `[default]`, read again when it changes.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version: tuple[int, ...] = ()
        self._credentials: SignedWith | None = None
        self._complaint = ""

    def retrieve(self) -> SignedWith:
        """Return what the file says, or what it said while it was right.

        Raises:
            ValueError: It was never right.
            OSError: It could never be read.
        """
        before = self._credentials
        try:
            told = self._file.stat()
            version = told.st_ino, told.st_size, told.st_mtime_ns
            if before is not None and version == self._version:
                return before
            credentials = self._read()
        except (OSError, ValueError) as error:
            if before is None:
                raise
            if str(error) != self._complaint:  # not at every request
                self._complaint = str(error)
                _logger.error("the S3 credentials stay as they were: %s", type(error).__name__)
            return before
        if before is not None:
            _logger.info("the S3 credentials were read again")
        self._complaint = ""
        self._version, self._credentials = version, credentials
        return credentials

    def _read(self) -> SignedWith:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(self._file.read_text(encoding="utf-8"))
            section = parser["default"]
            access, secret = section["aws_access_key_id"], section["aws_secret_access_key"]
        except (configparser.Error, KeyError):
            raise ValueError("no [default] with both keys") from None
        if not (access and secret):
            raise ValueError("an empty key")
        return SignedWith(access, secret, section.get("aws_session_token") or None)


def provider_for(settings: MinioSettings, environment: Mapping[str, str]) -> ToldProvider:
    """Choose where the credentials come from.

    Args:
        settings: Whether the machine's role is meant.
        environment: Normally `os.environ`. The SDK reads AWS's variables there itself.

    Raises:
        StorageMisconfigured: It names no source, or one that cannot be.
    """
    if settings.credentials == "iam":
        source = _role(environment.get(_METADATA))
        return ToldProvider("store.credentials: iam", source)
    if environment.get(ACCESS_KEY_VARIABLE) or environment.get(SECRET_KEY_VARIABLE):
        return fixed(read_credentials(environment))
    if file := environment.get(FILE_VARIABLE, "").strip():
        return ToldProvider(FILE_VARIABLE, FileProvider(Path(file)))
    if environment.get(_AWS[0]) and environment.get(_AWS[1]):
        access, secret, token = (environment.get(name, "") for name in _AWS)
        keys = StaticProvider(access, secret, token or None)
        return ToldProvider(f"{_AWS[0]} and {_AWS[1]}", keys)
    if environment.get(_IDENTITY):
        return ToldProvider(_IDENTITY, _role(environment.get(_STS)))
    for name in _CONTAINER:
        if environment.get(name):
            return ToldProvider(name, _role(None))
    # Which is the sentence for the variable that is missing.
    return fixed(read_credentials(environment))


def fixed(credentials: Credentials) -> ToldProvider:
    """Take credentials that do not change."""
    source = StaticProvider(
        credentials.access_key, credentials.secret_key, credentials.session_token
    )
    return ToldProvider(f"{ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}", source)


def _role(endpoint: str | None) -> Provider:
    return IamAwsProvider(
        custom_endpoint=endpoint,
        # The SDK's own waits without end.
        http_client=urllib3.PoolManager(
            timeout=Timeout(connect=2, read=15),
            retries=Retry(total=2, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504]),
        ),
    )
