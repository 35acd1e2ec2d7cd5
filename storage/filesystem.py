"""Objects as files below one folder: the default store, on Linux and macOS.

Files whose keys tell a time lie in folders of about five hours each, see `storage.shelves`. So what
is read to find some of them does not grow with the store. Others, such as those of older versions,
lie beside these.

Each file carries its checksum as an extended attribute, where the folder can hold one: it appears
and goes with the file. Copies need the attributes too (`cp -a`, `rsync -X`, `tar --xattrs`).

Every file is reached relative to an opened folder, and symbolic links are not followed. So nothing
outside the root is ever read or written, whatever lies in it.
"""

import contextlib
import errno
import fcntl
import heapq
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
    StorageGone,
    StorageMisconfigured,
    Superseded,
)
from storage.file_checksums import attach, attached
from storage.names import is_key
from storage.os_errors import os_errors, translated
from storage.shelves import is_shelf, may_hold, places_of, shelf_of
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

_logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"[a-z]{1,32}")
_LOCK = ".lock"
# Somebody who deletes may remove an empty shelf again and again, while another wants to put there.
_MOST_MEETINGS = 20
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
                raise translated(error) from None
            raise StorageMisconfigured(
                f"path: it cannot be used as a folder: {error.strerror}"
            ) from None
        self._remove_unfinished()

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object; see `ImageStore.put`."""
        checksum = sealed(name, data, content_type)
        with os_errors():
            for meeting in range(_MOST_MEETINGS):
                try:
                    with self._open_folder(*shelf_of(name), create=True) as directory:
                        self._write(directory, name.partition("/")[2], data, checksum)
                    return
                except FileNotFoundError:
                    if meeting == _MOST_MEETINGS - 1:
                        raise

    def _write(self, directory: int, file: str, data: bytes, checksum: str) -> None:
        unfinished = f".{secrets.token_hex(16)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(unfinished, flags, 0o640, dir_fd=directory)
        try:
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
        with os_errors():
            for place in places_of(name):
                with contextlib.suppress(FileNotFoundError):
                    return self._read(place, name)
        raise ObjectNotFound(name)

    def _read(self, place: Sequence[str], name: str) -> StoredObject:
        # O_NONBLOCK, so that a named pipe cannot make the reader wait before it is refused.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with self._open_folder(*place) as directory:
            try:
                descriptor = os.open(name.partition("/")[2], flags, dir_fd=directory)
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
            checksum = attached(descriptor)
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
        with os_errors():
            for place in places_of(name):
                with contextlib.suppress(FileNotFoundError):
                    with self._open_folder(*place) as directory:
                        os.unlink(name.partition("/")[2], dir_fd=directory)
                        os.fsync(directory)
                    self._remove_empty(place)

    def _remove_empty(self, place: Sequence[str]) -> None:
        """Remove the last shelves that a file lay on, where they hold nothing else."""
        for depth in range(len(place) - 1, 0, -1):
            with self._open_folder(*place[:depth]) as above:
                try:
                    os.rmdir(place[depth], dir_fd=above)
                except OSError:
                    return

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ImageStore.list`."""
        check_listing(prefix, after)
        return self._list(prefix, after)

    def check(self) -> None:
        """Find out whether the folder can be used; see `ImageStore.check`."""
        probe(self)

    def _attach(self, descriptor: int, checksum: str) -> None:
        """Write a file's checksum beside its content, and tell once where that is not possible."""
        if not attach(descriptor, checksum) and not self._told:
            self._told = True
            _logger.warning(
                "the folder of the filesystem store holds no extended attributes, so that "
                "objects are kept without checksums and damage is not noticed"
            )

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        with os_errors():
            folder, _, start = prefix.partition("/")
            for listed in [folder] if prefix else self._folders():
                beside = self._list_shelf((listed,), start, after)
                shelved = self._list_shelves((listed,), "", start, after)
                last = ""
                for info in heapq.merge(beside, shelved, key=lambda info: info.name):
                    if info.name != last:  # one that was put again lies on its shelf, too
                        yield info
                    last = info.name

    def _list_shelves(
        self, place: tuple[str, ...], begins: str, start: str, after: str
    ) -> Iterator[ObjectInfo]:
        """List what lies on the shelves of a folder, or on those of one of these.

        Args:
            place: Of the folder.
            begins: What all names in it begin with.
            start: What the names that are wanted begin with.
            after: What they come after.
        """
        for shelf in self._shelves(place):
            begin = begins + shelf
            if may_hold(begin, start, after):
                inner = (*place, shelf)
                yield from self._list_shelf(inner, start, after)
                if is_key(begin):
                    yield from self._list_shelves(inner, begin, start, after)

    def _list_shelf(self, place: Sequence[str], start: str, after: str) -> Iterator[ObjectInfo]:
        with contextlib.suppress(FileNotFoundError), self._open_folder(*place) as directory:
            # The names first, so that the caller may delete while it iterates. Only the files that
            # it comes to are looked at.
            files = [f for f in os.listdir(directory) if f.startswith(start) and f > after]
            for file in sorted(files):
                name = f"{place[0]}/{file}"
                if not is_name(name):
                    continue
                try:
                    status = os.stat(file, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                if stat.S_ISREG(status.st_mode):
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield ObjectInfo(name, status.st_size, modified)

    def _shelves(self, place: Sequence[str]) -> Sequence[str]:
        with (
            contextlib.suppress(FileNotFoundError),
            self._open_folder(*place) as directory,
            os.scandir(directory) as entries,
        ):
            return sorted(
                entry.name
                for entry in entries
                if is_shelf(entry.name) and entry.is_dir(follow_symlinks=False)
            )
        return ()

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
        with os_errors():
            places: list[tuple[str, ...]] = [(folder,) for folder in self._folders()]
            for place in places:
                places += [(*place, shelf) for shelf in self._shelves(place)]
                with (
                    contextlib.suppress(FileNotFoundError),
                    self._open_folder(*place) as directory,
                    os.scandir(directory) as entries,
                ):
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
            raise StorageGone("the folder of the filesystem store is gone") from None
        try:
            yield root
        finally:
            os.close(root)

    @contextmanager
    def _locked(self, folder: str) -> Iterator[None]:
        """Keep all who swap in a folder waiting; the system frees it when a process dies."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with os_errors(), self._open_folder(folder, create=True) as directory:
            lock = os.open(_LOCK, flags, 0o640, dir_fd=directory)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    @contextmanager
    def _open_folder(self, *place: str, create: bool = False) -> Iterator[int]:
        """Open a folder by the names of those that it lies in, and its own."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with contextlib.ExitStack() as opened:
            directory = opened.enter_context(self._open_root())
            for folder in place:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(folder, 0o750, dir_fd=directory)
                        os.fsync(directory)
                directory = os.open(folder, flags, dir_fd=directory)
                opened.callback(os.close, directory)
            yield directory
