"""Turns the operating system's errors into those of a store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import StorageFull, StorageGone, StorageMisconfigured, StorageUnavailable


@contextmanager
def os_errors() -> Iterator[None]:
    """Raise the errors of what is done inside as those of a store."""
    try:
        yield
    except OSError as error:
        raise translated(error) from None


def translated(error: OSError) -> StorageUnavailable | StorageMisconfigured:
    """Return what an error means for a store."""
    # Only strerror: str(error) holds the path.
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk of the filesystem store is full")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageGone(f"the folder of the filesystem store refuses access: {error.strerror}")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return StorageMisconfigured(
            "path: it holds a file or a symbolic link where a folder belongs"
        )
    return StorageUnavailable(f"the disk of the filesystem store fails: {error.strerror}")
