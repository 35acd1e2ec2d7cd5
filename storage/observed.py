"""A store that tells an observer of every operation on the store inside it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from storage.errors import (
    CorruptObject,
    ObjectNotFound,
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
    Superseded,
)
from storage.observer import Observer
from storage.store import ObjectInfo, StoredObject, SwappingStore

_OUTCOMES: tuple[tuple[type[StorageError], str], ...] = (
    (ObjectNotFound, "not_found"),
    (Superseded, "superseded"),
    (CorruptObject, "corrupt"),
    (StorageUnavailable, "unavailable"),
    (StorageMisconfigured, "misconfigured"),
)


@dataclass
class _Operation:
    size: int = 0


class ObservedStore:
    """A `SwappingStore` around another one.

    Args:
        store: Does the work.
        observer: Hears of it.
    """

    def __init__(self, store: SwappingStore, observer: Observer) -> None:
        self._store = store
        self._observer = observer

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """Write an object; see `ImageStore.put`."""
        with self._observed("put") as operation:
            self._store.put(name, data, content_type)
            operation.size = len(data)

    def get(self, name: str) -> StoredObject:
        """Read an object; see `ImageStore.get`."""
        with self._observed("get") as operation:
            stored = self._store.get(name)
            operation.size = len(stored.data)
            return stored

    def delete(self, name: str) -> None:
        """Remove an object; see `ImageStore.delete`."""
        with self._observed("delete"):
            self._store.delete(name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ImageStore.list`."""
        with self._observed("list"):
            yield from self._store.list(prefix, after)

    def check(self) -> None:
        """Find out whether the store can serve; see `ImageStore.check`."""
        with self._observed("check"):
            self._store.check()

    def swap(self, name: str, data: bytes, content_type: str, version: str) -> str:
        """Replace one version of an object; see `SwappingStore.swap`."""
        with self._observed("swap") as operation:
            written = self._store.swap(name, data, content_type, version)
            operation.size = len(data)
            return written

    @contextmanager
    def _observed(self, operation: str) -> Iterator[_Operation]:
        seen = _Operation()
        begun = time.monotonic()
        outcome = "failed"
        try:
            yield seen
            outcome = "ok"
        except GeneratorExit:
            outcome = "ok"  # a listing that was not read to its end
            raise
        except StorageError as error:
            outcome = next((told for kind, told in _OUTCOMES if isinstance(error, kind)), "failed")
            raise
        finally:
            self._observer.operated(operation, outcome, time.monotonic() - begun, seen.size)
