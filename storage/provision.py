"""Makes the bucket, its user and its policy on a MinIO server: `python -m storage.provision`.

It may run at any time: what exists already is kept or set again. The server's own credentials are
used only here; the service gets a user that may use this one bucket. On any other S3 service, make
the bucket and its user with that service's own tools.
"""

import argparse
import logging
import os
import sys
import time

import urllib3
from minio import Minio, MinioAdmin
from minio.commonconfig import ENABLED, Filter
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from urllib3.exceptions import HTTPError

from storage.errors import StorageError, StorageMisconfigured, StorageUnavailable
from storage.minio_store import MinioStore
from storage.names import CUTOUTS, RESULTS, TILES
from storage.settings import Credentials, MinioSettings, read_credentials

ROOT_ACCESS_KEY_VARIABLE = "BACKDROP_S3_ROOT_ACCESS_KEY"
# The name of a variable, not what it holds.
ROOT_SECRET_KEY_VARIABLE = "BACKDROP_S3_ROOT_SECRET_KEY"  # noqa: S105

_ATTACHED_ALREADY = "XMinioAdminPolicyChangeAlreadyApplied"
_RETRY_INTERVAL_S = 2.0

_logger = logging.getLogger(__name__)


def bucket_policy(bucket: str) -> dict[str, object]:
    """Return the IAM policy that the service needs: the use of this bucket, not its administration.

    Args:
        bucket: The bucket's name.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}"],
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            },
        ],
    }


def provision(
    settings: MinioSettings, root: Credentials, user: Credentials, expire_days: int | None
) -> None:
    """Make the bucket and the user that may use it, and check that this user can.

    Args:
        settings: The endpoint and the bucket, as in the service's settings.
        root: Credentials that may administer the server.
        user: The access and secret key of the user; an existing user gets this secret key.
        expire_days: Days after which the server itself removes results, their smaller copies and
            cut-outs, if no replica has done so; None leaves that to the replicas. It removes no
            sources, because a newer result may still need them.

    Raises:
        StorageError: Something could not be made; the message says what and why.
    """
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=2, read=15),
        retries=False,
        cert_reqs="CERT_REQUIRED",
        ca_certs=settings.ca_file,
    )
    client = Minio(
        settings.endpoint,
        access_key=root.access_key,
        secret_key=root.secret_key,
        secure=settings.secure,
        region=settings.region,
        http_client=http,
    )
    admin = MinioAdmin(
        endpoint=settings.endpoint,
        credentials=StaticProvider(root.access_key, root.secret_key),
        region=settings.region,
        secure=settings.secure,
        http_client=http,
    )
    try:
        if not client.bucket_exists(settings.bucket):
            client.make_bucket(settings.bucket)
        if expire_days is not None:
            rules = [
                Rule(
                    ENABLED,
                    rule_filter=Filter(prefix=settings.prefix + folder),
                    rule_id=rule_id,
                    expiration=Expiration(days=expire_days),
                )
                for rule_id, folder in (
                    ("expire-results", RESULTS),
                    ("expire-tiles", TILES),
                    ("expire-cutouts", CUTOUTS),
                )
            ]
            client.set_bucket_lifecycle(settings.bucket, LifecycleConfig(rules))
        policy = f"{settings.bucket}-readwrite"
        admin.policy_add(policy, policy=bucket_policy(settings.bucket))
        admin.user_add(user.access_key, user.secret_key)
        try:
            admin.attach_policy([policy], user=user.access_key)
        except MinioAdminException as error:
            if _ATTACHED_ALREADY not in str(error):
                raise
    except HTTPError as error:
        raise StorageUnavailable(
            f"the S3 endpoint {settings.endpoint} cannot be reached ({type(error).__name__})"
        ) from None
    except S3Error as error:
        raise StorageMisconfigured(
            f"{ROOT_ACCESS_KEY_VARIABLE} and {ROOT_SECRET_KEY_VARIABLE}: the S3 endpoint "
            f"{settings.endpoint} refuses to make the bucket {settings.bucket} ({error.code})"
        ) from None
    except MinioAdminException as error:
        # Its text is not shown: it holds the server's answer, which may be anything.
        raise StorageMisconfigured(
            f"endpoint: {settings.endpoint} refuses to make the user {user.access_key} "
            f"(HTTP {error._code}): it is no MinIO server, or the user's secret key is too short"
        ) from None
    except (MinioException, ValueError):
        raise StorageUnavailable(
            f"endpoint: {settings.endpoint} gave an answer that is not MinIO's"
        ) from None
    MinioStore(settings, user).check()


def main() -> None:
    """Entry point: provision as the arguments and the environment say."""
    parser = argparse.ArgumentParser(prog="python -m storage.provision", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="host:port of the server")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--prefix", default="", help="what object names start with")
    parser.add_argument("--insecure", action="store_true", help="do not speak TLS")
    parser.add_argument("--ca-file", default=None, help="PEM file of a CA bundle of your own")
    parser.add_argument(
        "--expire-days", type=int, default=None, help="expire results and cut-outs on the server"
    )
    parser.add_argument("--wait", type=float, default=0, help="seconds to wait for the server")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    deadline = time.monotonic() + options.wait
    try:
        settings = MinioSettings(
            endpoint=options.endpoint,
            bucket=options.bucket,
            region=options.region,
            prefix=options.prefix,
            secure=not options.insecure,
            ca_file=options.ca_file,
            create_bucket=False,
        )
        user = read_credentials(os.environ)
        root = _root_credentials()
        while True:
            try:
                provision(settings, root, user, options.expire_days)
                break
            except StorageUnavailable as error:
                if time.monotonic() >= deadline:
                    raise
                _logger.info("%s; trying again", error)
                time.sleep(_RETRY_INTERVAL_S)
    except (StorageError, ValueError) as error:
        sys.exit(f"storage.provision: {error}")
    _logger.info(
        "the bucket %s at %s is ready, and its user may use it", settings.bucket, settings.endpoint
    )


def _root_credentials() -> Credentials:
    for variable in (ROOT_ACCESS_KEY_VARIABLE, ROOT_SECRET_KEY_VARIABLE):
        if not os.environ.get(variable):
            raise StorageMisconfigured(
                f"{variable}: this environment variable is needed, and it is not set"
            )
    return Credentials(os.environ[ROOT_ACCESS_KEY_VARIABLE], os.environ[ROOT_SECRET_KEY_VARIABLE])


if __name__ == "__main__":
    main()
