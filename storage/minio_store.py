"""Objects in a bucket of any S3 endpoint, through the minio SDK.

Every error of the SDK and of its HTTP client becomes a StorageError here. Messages hold the
endpoint's error codes, never its free text.
"""

import contextlib
import io
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as TLSError
from urllib3.util import Retry, Timeout

from storage.credentials import ToldProvider, fixed
from storage.errors import (
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageMisconfigured,
    StorageUnavailable,
    Superseded,
)
from storage.settings import Credentials, MinioSettings
from storage.store import (
    ObjectInfo,
    StoredObject,
    check_listing,
    check_name,
    is_name,
    probe,
    sealed,
    verified,
)

_BAD_CREDENTIALS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}
)
_BAD_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)
# Another replica that started at the same time was faster.
_CREATED_MEANWHILE = frozenset(
    {"BucketAlreadyOwnedByYou", "BucketAlreadyExists", "OperationAborted"}
)
# The last where there is no object at all; the one before it where two put at the same time.
_NOT_THE_VERSION = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
_CODE = re.compile(r"[A-Za-z0-9]{1,64}")


class MinioStore:
    """A `SwappingStore` in a bucket. It cannot be pickled, so it is built where it is used.

    A call without an answer fails after three attempts, so after about three times the timeouts.
    """

    def __init__(
        self,
        settings: MinioSettings,
        credentials: Credentials | ToldProvider,
        *,
        connect_timeout_s: float = 2.0,
        read_timeout_s: float = 15.0,
        connections: int = 16,
    ) -> None:
        """Build the client; nothing is sent yet.

        Args:
            settings: Endpoint and bucket.
            credentials: What signs the requests; a provider may change it at any time.
            connect_timeout_s: Longest wait for a connection, in seconds.
            read_timeout_s: Longest silence of the endpoint within a request, in seconds.
            connections: Connections kept open. More threads than that can work, but slower.

        Raises:
            StorageMisconfigured: The file of trusted authorities is unusable.
        """
        self._credentials = (
            fixed(credentials) if isinstance(credentials, Credentials) else credentials
        )
        self._endpoint = settings.endpoint
        self._bucket = settings.bucket
        self._prefix = settings.prefix
        self._create_bucket = settings.create_bucket
        try:
            trust = ssl.create_default_context(cafile=settings.ca_file)
        except OSError:
            raise StorageMisconfigured(
                "ca_file: it cannot be read as a PEM file of certificates"
            ) from None
        self._client = Minio(
            settings.endpoint,
            credentials=self._credentials,
            secure=settings.secure,
            # Without it the SDK asks for the region, which scoped credentials may not do.
            region=settings.region,
            # The SDK's own client waits six times 300 s.
            http_client=urllib3.PoolManager(
                maxsize=connections,
                timeout=Timeout(connect=connect_timeout_s, read=read_timeout_s),
                retries=Retry(
                    total=2,
                    backoff_factor=0.1,
                    status_forcelist=[500, 502, 503, 504],
                    raise_on_status=False,
                    # Otherwise the endpoint could make a thread sleep for hours.
                    respect_retry_after_header=False,
                ),
                ssl_context=trust,
            ),
        )

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object; see `ImageStore.put`."""
        checksum = sealed(name, data, content_type)
        with self._sdk_errors(name):
            # The length is known and below 500 MiB, so the SDK sends one request.
            self._client.put_object(
                self._bucket,
                self._prefix + name,
                io.BytesIO(data),
                len(data),
                content_type=content_type,
                metadata={"sha256": checksum},
            )

    def get(self, name: str) -> StoredObject:
        """Read an object; see `ImageStore.get`."""
        check_name(name)
        with self._sdk_errors(name):
            response = self._client.get_object(self._bucket, self._prefix + name)
            try:
                data = response.read()
                modified = parsedate_to_datetime(response.headers.get("last-modified", ""))
                checksum = response.headers.get("x-amz-meta-sha256")
                version = response.headers.get("etag", "").strip('"')
            finally:
                response.close()
                response.release_conn()
        # Not the response's content type: who can write to the bucket could make a browser run a
        # script.
        return verified(name, data, modified, checksum, version)

    def swap(self, name: str, data: bytes, content_type: str, version: str) -> str:
        """Replace one version of an object; see `SwappingStore.swap`.

        The endpoint must honour If-Match and If-None-Match of a put, as AWS, MinIO and SeaweedFS
        do.
        """
        checksum = sealed(name, data, content_type)
        condition = {"If-Match": f'"{version}"'} if version else {"If-None-Match": "*"}
        headers: dict[str, str | list[str] | tuple[str]] = {
            "Content-Type": content_type,
            "x-amz-meta-sha256": checksum,
            **condition,
        }
        with self._sdk_errors(name):
            try:
                # The SDK's own put takes no conditions.
                written = self._client._put_object(self._bucket, self._prefix + name, data, headers)
                return str(written.etag)
            except S3Error as error:
                if error.code not in _NOT_THE_VERSION:
                    raise
        # A put whose answer was lost has been repeated.
        with contextlib.suppress(ObjectNotFound):
            present = self.get(name)
            if present.data == data:
                return present.version
        raise Superseded(name)

    def delete(self, name: str) -> None:
        """Remove an object; see `ImageStore.delete`."""
        check_name(name)
        with contextlib.suppress(ObjectNotFound), self._sdk_errors(name):
            self._client.remove_object(self._bucket, self._prefix + name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ImageStore.list`. One request for each thousand names."""
        check_listing(prefix, after)
        return self._list(prefix, after)

    def check(self) -> None:
        """Find out whether the bucket can be used; see `ImageStore.check`.

        Creates the bucket when it is missing and the settings allow it.
        """
        with self._sdk_errors():
            # Listing is first: it needs no further permission, and some endpoints create a missing
            # bucket at the first put.
            try:
                next(self._client.list_objects(self._bucket, self._prefix + "probe/"), None)
            except S3Error as error:
                if error.code != "NoSuchBucket" or not self._create_bucket:
                    raise
                self._make_bucket()
        probe(self)

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as error:
            if error.code == "AccessDenied":
                raise StorageMisconfigured(
                    f"bucket: {self._bucket} does not exist at {self._endpoint}, and the "
                    "credentials may not create it"
                ) from None
            if error.code not in _CREATED_MEANWHILE:
                raise

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        folder = prefix.partition("/")[0]
        start = f"{self._prefix}{folder}/{after}" if after else None
        with self._sdk_errors():
            for found in self._client.list_objects(
                self._bucket, self._prefix + prefix, recursive=True, start_after=start
            ):
                name = (found.object_name or "").removeprefix(self._prefix)
                if is_name(name):
                    if found.size is None or found.last_modified is None:
                        raise ValueError("a listed object has no size or no date")
                    yield ObjectInfo(name, found.size, found.last_modified)

    @contextmanager
    def _sdk_errors(self, name: str = "") -> Iterator[None]:
        # `from None`: the SDK's errors hold responses, and their long stack would hide the message
        # that an operator needs.
        try:
            yield
        except S3Error as error:
            raise self._from_s3(error, name) from None
        except InvalidResponseError as error:
            # The SDK keeps the status private.
            raise self._from_status(error._code) from None
        except ServerError as error:
            raise self._from_status(error.status_code) from None
        except HTTPError as error:
            raise self._from_transport(error) from None
        except (ValueError, ParseError):
            raise StorageUnavailable(
                f"endpoint: {self._endpoint} gave an answer that is not S3: check that it is not "
                "the port of a web console"
            ) from None

    def _from_s3(self, error: S3Error, name: str) -> StorageError:
        code = error.code or ""
        status = error.response.status
        if code == "NoSuchKey":
            return ObjectNotFound(name)
        if code == "NoSuchBucket":
            return StorageMisconfigured(
                f"bucket: {self._bucket} does not exist at {self._endpoint}"
            )
        if code in _BAD_CREDENTIALS:
            return StorageMisconfigured(
                f"{self._credentials.told}: the S3 endpoint {self._endpoint} refuses the "
                f"credentials ({code})"
            )
        if code in _BAD_REGION:
            return StorageMisconfigured(
                f"region: the S3 endpoint {self._endpoint} refuses it ({code})"
            )
        if code == "RequestTimeTooSkewed":
            return StorageMisconfigured(
                f"this machine's clock differs too much from that of {self._endpoint}"
            )
        if status in (401, 403):
            return StorageMisconfigured(
                f"bucket: the credentials may not get, put, delete and list in {self._bucket} "
                f"at {self._endpoint} ({_shown(code)})"
            )
        if status == 507:
            return StorageFull(f"the S3 endpoint {self._endpoint} is full ({_shown(code)})")
        return StorageUnavailable(
            f"the S3 endpoint {self._endpoint} cannot serve: HTTP {status}, {_shown(code)}"
        )

    def _from_status(self, status: int) -> StorageError:
        if status >= 500 or status in (408, 429):
            return StorageUnavailable(
                f"the S3 endpoint {self._endpoint} cannot serve: HTTP {status}"
            )
        return StorageMisconfigured(
            f"endpoint: {self._endpoint} does not answer as an S3 endpoint (HTTP {status}): check "
            "endpoint and secure"
        )

    def _from_transport(self, error: HTTPError) -> StorageError:
        reason: BaseException | None = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(reason, TLSError):
            cause = reason.args[0] if reason.args else None
            if isinstance(cause, ssl.SSLCertVerificationError):
                return StorageMisconfigured(
                    f"ca_file: the certificate of the S3 endpoint {self._endpoint} is not trusted "
                    f"({cause.verify_message})"
                )
            if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
                return StorageMisconfigured(
                    f"secure: the S3 endpoint {self._endpoint} does not speak TLS"
                )
        if isinstance(reason, NameResolutionError):
            what = "its host name does not resolve"
        elif isinstance(reason, NewConnectionError):
            what = "it accepts no connections"
        elif isinstance(reason, ConnectTimeoutError | ReadTimeoutError):
            what = "it does not answer in time"
        else:
            what = f"the connection failed ({type(reason).__name__})"
        return StorageUnavailable(f"the S3 endpoint {self._endpoint} cannot be reached: {what}")


def _shown(code: str) -> str:
    """Return the endpoint's error code if it has the form of one."""
    return code if _CODE.fullmatch(code) else "no known error code"
