"""What an observer hears of a store's operations."""

from pathlib import Path

import pytest

from storage.errors import InvalidObjectName, ObjectNotFound, StorageUnavailable
from storage.filesystem import FilesystemStore
from storage.observed import ObservedStore

NAME = f"generated/{'0' * 32}.png"


class Heard(list[tuple[str, str, int]]):
    def operated(self, operation: str, outcome: str, seconds: float, size: int) -> None:
        assert seconds >= 0
        self.append((operation, outcome, size))


class Away(FilesystemStore):
    def get(self, name: str) -> None:
        raise StorageUnavailable("the store is away")


def test_operations_are_told_with_their_outcome_and_size(tmp_path: Path) -> None:
    heard = Heard()
    store = ObservedStore(FilesystemStore(tmp_path), heard)
    store.check()
    store.put(NAME, b"12345", "image/png")
    assert store.get(NAME).data == b"12345"
    assert [info.name for info in store.list("generated/")] == [NAME]
    store.delete(NAME)
    with pytest.raises(ObjectNotFound):
        store.get(NAME)
    with pytest.raises(InvalidObjectName):
        store.put("../up", b"", "image/png")
    assert heard == [
        ("check", "ok", 0),
        ("put", "ok", 5),
        ("get", "ok", 5),
        ("list", "ok", 0),
        ("delete", "ok", 0),
        ("get", "not_found", 0),
        ("put", "failed", 0),
    ]


def test_a_store_that_is_away_is_told_apart(tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(StorageUnavailable):
        ObservedStore(Away(tmp_path), heard).get(NAME)
    assert heard == [("get", "unavailable", 0)]


def test_a_listing_that_is_left_early_is_told_once(tmp_path: Path) -> None:
    heard = Heard()
    store = ObservedStore(FilesystemStore(tmp_path), heard)
    for digit in "ab":
        store.put(f"generated/{digit * 32}.png", b"1", "image/png")
    listing = store.list("")
    next(listing)
    listing.close()
    assert heard[2:] == [("list", "ok", 0)]
