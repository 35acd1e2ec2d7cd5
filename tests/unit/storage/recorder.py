"""A real store that notes its calls and fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from storage.errors import StorageUnavailable
from storage.filesystem import FilesystemStore
from storage.store import ObjectInfo, StoredObject

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def key(number: int) -> str:
    return f"{number:032x}"


def path_of(root: Path, name: str) -> Path:
    """Where a store in a folder keeps an object."""
    (path,) = root.rglob(name.partition("/")[2])
    return path


class Recorder:
    """A real store that notes its calls and fails where a test wants it to."""

    def __init__(self, root: Path) -> None:
        self.store = FilesystemStore(root)
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self.dead = False

    def put(self, name: str, data: bytes, content_type: str) -> None:
        self._note("put", name)
        self.store.put(name, data, content_type)

    def get(self, name: str) -> StoredObject:
        self._note("get", name)
        return self.store.get(name)

    def delete(self, name: str) -> None:
        self._note("delete", name)
        self.store.delete(name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        self._note("list", f"{prefix}{after}")
        return self.store.list(prefix, after)

    def check(self) -> None:
        self._note("check", "")

    def _note(self, call: str, name: str) -> None:
        self.calls.append(f"{call} {name}".strip())
        if self.dead or name in self.broken:
            raise StorageUnavailable("the store is broken")

    def names(self) -> list[str]:
        return [info.name for info in self.store.list("")]
