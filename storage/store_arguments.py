"""The arguments by which a command names its store."""

import argparse
import os

from storage.settings import FilesystemSettings, MinioSettings, StoreSettings


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a command's."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--path", help="folder of a filesystem store")
    place.add_argument("--endpoint", help="host:port of an S3 store")
    parser.add_argument("--bucket", default="backdrop")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--prefix", default="", help="what object names start with")
    parser.add_argument("--insecure", action="store_true", help="do not speak TLS")
    parser.add_argument("--ca-file", default=None, help="PEM file of a CA bundle of your own")


def settings_of(options: argparse.Namespace) -> StoreSettings:
    """The store that was named.

    Raises:
        ValueError: There is no such folder, or an argument has another form.
    """
    if options.path is not None:
        if not os.path.isdir(options.path):
            raise ValueError(f"{options.path!r} is not a folder")
        return FilesystemSettings(path=options.path)
    return MinioSettings(
        endpoint=options.endpoint,
        bucket=options.bucket,
        region=options.region,
        prefix=options.prefix,
        secure=not options.insecure,
        ca_file=options.ca_file,
        create_bucket=False,
    )
