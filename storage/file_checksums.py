"""Checksums as extended attributes of files: they appear and go with them."""

import errno
import os

_CHECKSUM = "user.backdrop.sha256"
# Of file systems without extended attributes, and of Python on macOS.
_NO_ATTRIBUTES = frozenset({errno.ENOTSUP, errno.EPERM, errno.ENOSYS})


def attach(descriptor: int, checksum: str) -> bool:
    """Write a checksum beside an open file's content.

    Returns:
        Whether the file system holds any.

    Raises:
        OSError: It does, and fails.
    """
    if not hasattr(os, "setxattr"):
        return False
    try:
        os.setxattr(descriptor, _CHECKSUM, checksum.encode())
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise
        return False
    return True


def attached(descriptor: int) -> str | None:
    """Return the checksum that an open file carries; None where it carries none.

    Raises:
        OSError: The file system fails.
    """
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(descriptor, _CHECKSUM).decode("ascii", "replace")
    except OSError as error:
        if error.errno == errno.ENODATA or error.errno in _NO_ATTRIBUTES:
            return None
        raise
