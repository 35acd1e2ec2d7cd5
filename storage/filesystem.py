"""Objects as files below one folder: the default store, on Linux and macOS.

Each file carries its checksum as an extended attribute, where the folder can hold one: it appears
and goes with the file. Copies need the attributes too (`cp -a`, `rsync -X`, `tar --xattrs`).

Every file is reached relative to an opened folder, and symbolic links are not followed. So nothing
outside the root is ever read or written, whatever lies in it.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import (
    CorruptObject,
    ObjectNotFound,
    StorageFull,
    StorageMisconfigured,
    StorageUnavailable,
    Superseded,
)
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

_CHECKSUM = "user.backdrop.sha256"
# Of file systems without extended attributes, and of Python on macOS.
_NO_ATTRIBUTES = frozenset({errno.ENOTSUP, errno.EPERM, errno.ENOSYS})

_logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"[a-z]{1,32}")
_LOCK = ".lock"
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.part")
# Far longer than any write takes: a younger file may belong to a living writer.
_UNFINISHED_MAX_AGE_S = 600.0


class FilesystemStore:
    """A `SwappingStore` in a folder. Several processes may share the folder."""

    def __init__(self, root: Path) -> None:
        """Create the folder and remove what killed writers left in it.

        Args:
            root: The folder; created when it is not there. It may itself be a symbolic
                link, nothing below it may.

        Raises:
            StorageMisconfigured: The folder cannot be created or is no folder.
            StorageUnavailable: The disk is full or fails.
        """
        # Absolute, because the working directory may change later.
        self._root = root.absolute()
        self._told = False
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _translate(error) from None
            raise StorageMisconfigured(
                f"path: it cannot be used as a folder: {error.strerror}"
            ) from None
        self._remove_unfinished()

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object; see `ImageStore.put`."""
        checksum = sealed(name, data, content_type)
        folder, _, file = name.partition("/")
        unfinished = f".{secrets.token_hex(16)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with _os_errors(), self._open_folder(folder, create=True) as directory:
            try:
                descriptor = os.open(unfinished, flags, 0o640, dir_fd=directory)
                try:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[os.write(descriptor, rest) :]
                    self._attach(descriptor, checksum)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.replace(unfinished, file, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished, dir_fd=directory)
                raise
            # Now the file's name is on disk, too.
            os.fsync(directory)

    def get(self, name: str) -> StoredObject:
        """Read an object; see `ImageStore.get`."""
        check_name(name)
        folder, _, file = name.partition("/")
        # O_NONBLOCK, so that a named pipe cannot make the reader wait before it is refused.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with _os_errors():
            try:
                with self._open_folder(folder) as directory:
                    descriptor = os.open(file, flags, dir_fd=directory)
            except FileNotFoundError:
                raise ObjectNotFound(name) from None
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise CorruptObject(name, "is not a regular file") from None
                raise
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise CorruptObject(name, "is not a regular file")
                with open(descriptor, "rb", closefd=False) as opened:
                    data = opened.read()
                checksum = _attached(descriptor)
            finally:
                os.close(descriptor)
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        return verified(name, data, modified, checksum)

    def swap(self, name: str, data: bytes, content_type: str, version: str) -> str:
        """Replace one version of an object; see `SwappingStore.swap`."""
        written = sealed(name, data, content_type)[:32]
        with self._locked(name.partition("/")[0]):
            try:
                present = self.get(name).version
            except ObjectNotFound:
                present = ""
            if present not in (version, written):
                raise Superseded(name)
            if present != written:
                self.put(name, data, content_type)
        return written

    def delete(self, name: str) -> None:
        """Remove an object; see `ImageStore.delete`."""
        check_name(name)
        folder, _, file = name.partition("/")
        with (
            _os_errors(),
            contextlib.suppress(FileNotFoundError),
            self._open_folder(folder) as directory,
        ):
            os.unlink(file, dir_fd=directory)
            os.fsync(directory)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ImageStore.list`."""
        check_listing(prefix, after)
        return self._list(prefix, after)

    def check(self) -> None:
        """Find out whether the folder can be used; see `ImageStore.check`."""
        probe(self)

    def _attach(self, descriptor: int, checksum: str) -> None:
        """Write a file's checksum beside its content."""
        try:
            if not hasattr(os, "setxattr"):
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
            os.setxattr(descriptor, _CHECKSUM, checksum.encode())
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
            if not self._told:
                self._told = True
                _logger.warning(
                    "the folder of the filesystem store holds no extended attributes, so that "
                    "objects are kept without checksums and damage is not noticed"
                )

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        with _os_errors():
            folder, _, start = prefix.partition("/")
            for listed in [folder] if prefix else self._folders():
                # The names of one folder at a time, so that the caller may delete while it
                # iterates.
                yield from self._list_folder(listed, start, after)

    def _list_folder(self, folder: str, start: str, after: str) -> Iterator[ObjectInfo]:
        with contextlib.suppress(FileNotFoundError), self._open_folder(folder) as directory:
            files = [f for f in os.listdir(directory) if f.startswith(start) and f > after]
            # Only the files that the caller comes to are looked at.
            for file in sorted(files):
                name = f"{folder}/{file}"
                if not is_name(name):
                    continue
                try:
                    status = os.stat(file, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                if stat.S_ISREG(status.st_mode):
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield ObjectInfo(name, status.st_size, modified)

    def _folders(self) -> Sequence[str]:
        with self._open_root() as root, os.scandir(root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def _remove_unfinished(self) -> None:
        """Remove the unfinished files of writers that were killed."""
        oldest_kept = time.time() - _UNFINISHED_MAX_AGE_S
        with _os_errors():
            for folder in self._folders():
                with self._open_folder(folder) as directory, os.scandir(directory) as entries:
                    for entry in entries:
                        if not _UNFINISHED.fullmatch(entry.name):
                            continue
                        # Another replica that starts at the same time may be faster.
                        with contextlib.suppress(FileNotFoundError):
                            if entry.stat(follow_symlinks=False).st_mtime < oldest_kept:
                                os.unlink(entry.name, dir_fd=directory)

    @contextmanager
    def _open_root(self) -> Iterator[int]:
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # Not ObjectNotFound: a lost volume must not look like deleted images.
            raise StorageUnavailable("the folder of the filesystem store is gone") from None
        try:
            yield root
        finally:
            os.close(root)

    @contextmanager
    def _locked(self, folder: str) -> Iterator[None]:
        """Keep all who swap in a folder waiting; the system frees it when a process dies."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with _os_errors(), self._open_folder(folder, create=True) as directory:
            lock = os.open(_LOCK, flags, 0o640, dir_fd=directory)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    @contextmanager
    def _open_folder(self, folder: str, *, create: bool = False) -> Iterator[int]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with self._open_root() as root:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o750, dir_fd=root)
                    os.fsync(root)
            directory = os.open(folder, flags, dir_fd=root)
        try:
            yield directory
        finally:
            os.close(directory)


def _attached(descriptor: int) -> str | None:
    """The checksum that a file carries; None where it carries none."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(descriptor, _CHECKSUM).decode("ascii", "replace")
    except OSError as error:
        if error.errno == errno.ENODATA or error.errno in _NO_ATTRIBUTES:
            return None
        raise


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _translate(error) from None


def _translate(error: OSError) -> StorageUnavailable | StorageMisconfigured:
    # Only strerror: str(error) holds the path.
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk of the filesystem store is full")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageUnavailable(
            f"the folder of the filesystem store refuses access: {error.strerror}"
        )
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return StorageMisconfigured(
            "path: it holds a file or a symbolic link where a folder belongs"
        )
    return StorageUnavailable(f"the disk of the filesystem store fails: {error.strerror}")
