import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import (
    CorruptObject,
    InvalidObjectName,
    ObjectNotFound,
    StorageUnavailable,
)
from storage.filesystem import FilesystemStore
from storage.records import Records
from storage.store import ObjectInfo, StoredObject

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def key(number: int) -> str:
    return f"{number:032x}"


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

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._note("list", prefix)
        return self.store.list(prefix)

    def check(self) -> None:
        self._note("check", "")

    def _note(self, call: str, name: str) -> None:
        self.calls.append(f"{call} {name}".strip())
        if self.dead or name in self.broken:
            raise StorageUnavailable("The store is broken.")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> Recorder:
    return Recorder(root)


@pytest.fixture
def records(store: Recorder) -> Records:
    return Records(store)


def age(root: Path, name: str, by: timedelta) -> None:
    moment = (NOW - by).timestamp()
    os.utime(root / name, (moment, moment))


def names(store: Recorder) -> list[str]:
    return [info.name for info in store.store.list("")]


def test_a_result_is_an_image_and_its_recipe(records: Records) -> None:
    recipe = {"prompt": 'forest "\ud800" 🌲\n', "seed": 2**63, "mask": None, "points": [0.1, -1]}
    records.save(key(1), PNG, recipe)
    stored = records.load_image(key(1))
    assert (stored.data, stored.content_type) == (PNG, "image/png")
    assert records.load_recipe(key(1)) == recipe
    records.delete(key(1))
    with pytest.raises(ObjectNotFound, match=r"generated/0+1\.png"):
        records.load_image(key(1))
    with pytest.raises(ObjectNotFound, match=r"generated/0+1\.json"):
        records.load_recipe(key(1))


def test_an_image_never_is_without_its_recipe(records: Records, store: Recorder) -> None:
    records.save(key(1), PNG, {})
    records.delete(key(1))
    image, recipe = f"generated/{key(1)}.png", f"generated/{key(1)}.json"
    assert store.calls == [f"put {recipe}", f"put {image}", f"delete {image}", f"delete {recipe}"]
    store.broken = {recipe}
    with pytest.raises(StorageUnavailable):
        records.save(key(1), PNG, {})
    assert names(store) == []


def test_sources_are_apart_from_results(records: Records) -> None:
    records.save_source(key(1), PNG)
    assert records.load_source(key(1)).data == PNG
    with pytest.raises(ObjectNotFound):
        records.load_image(key(1))
    with pytest.raises(ObjectNotFound, match=r"sources/0+2\.png"):
        records.load_source(key(2))


@pytest.mark.parametrize("recipe", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_what_json_lacks_is_refused_before_anything_is_written(
    records: Records, store: Recorder, recipe: dict[str, object]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        records.save(key(1), PNG, recipe)
    assert store.calls == []


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b'"text"', b"null"])
def test_a_broken_recipe_is_named(records: Records, store: Recorder, data: bytes) -> None:
    store.put(f"generated/{key(1)}.json", data, "application/json")
    with pytest.raises(CorruptObject, match=key(1)):
        records.load_recipe(key(1))


@pytest.mark.parametrize("data", [b"", PNG[:7], b"<html>", b"\xff\xd8\xff\xe0JFIF"])
def test_a_broken_image_is_named(records: Records, store: Recorder, data: bytes) -> None:
    for name, load in (
        (f"generated/{key(1)}.png", records.load_image),
        (f"sources/{key(1)}.png", records.load_source),
    ):
        store.put(name, data, "image/png")
        with pytest.raises(CorruptObject, match=name):
            load(key(1))


@pytest.mark.parametrize(
    "bad", ["", "x", "A" * 32, key(1) + "\n", f"../generated/{key(1)}", key(1)[:-1], key(1) + "0"]
)
def test_what_is_no_key_is_refused(records: Records, store: Recorder, bad: str) -> None:
    for operation in (
        lambda: records.save(bad, PNG, {}),
        lambda: records.load_image(bad),
        lambda: records.load_recipe(bad),
        lambda: records.save_source(bad, PNG),
        lambda: records.load_source(bad),
        lambda: records.delete(bad),
    ):
        with pytest.raises(InvalidObjectName) as caught:
            operation()
        assert caught.value.name == bad
    assert store.calls == []


def test_the_sweep_removes_what_is_too_old(records: Records, store: Recorder, root: Path) -> None:
    for number in (1, 2):
        records.save(key(number), PNG, {})
        records.save_source(key(number), PNG)
    for name in names(store):
        age(root, name, DAY * 1.1 if key(1) in name else DAY * 0.9)
    assert records.sweep(DAY, NOW) == 2
    assert all(key(2) in name for name in names(store))
    assert len(names(store)) == 3
    assert records.sweep(DAY, NOW) == 0


def test_the_age_of_a_result_is_that_of_its_image(
    records: Records, store: Recorder, root: Path
) -> None:
    records.save(key(1), PNG, {})
    age(root, f"generated/{key(1)}.json", DAY * 2)
    age(root, f"generated/{key(1)}.png", DAY / 2)
    assert records.sweep(DAY, NOW) == 0
    assert len(names(store)) == 2


@pytest.mark.parametrize(("minutes", "removed"), [(59, 0), (61, 1)])
def test_the_sweep_removes_a_recipe_whose_image_never_came(
    records: Records, store: Recorder, root: Path, minutes: int, removed: int
) -> None:
    name = f"generated/{key(1)}.json"
    store.put(name, b"{}", "application/json")
    age(root, name, timedelta(minutes=minutes))
    assert records.sweep(DAY, NOW) == removed
    assert len(names(store)) == 1 - removed


def test_one_broken_object_does_not_stop_the_sweep(
    records: Records, store: Recorder, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        records.save(key(number), PNG, {})
    records.save_source(key(9), PNG)
    for name in names(store):
        age(root, name, DAY * 2)
    broken = f"generated/{key(1)}.png"
    store.broken = {broken}
    with caplog.at_level(logging.WARNING):
        assert records.sweep(DAY, NOW) == 4
    # Its recipe stays with it.
    assert names(store) == [f"generated/{key(1)}.json", broken]
    assert broken in caplog.text
    store.broken = set()
    assert records.sweep(DAY, NOW) == 1
    assert names(store) == []


def test_a_dead_store_stops_the_sweep(
    records: Records, store: Recorder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        records.save(key(number), PNG, {})
    for name in names(store):
        age(root, name, DAY * 2)
    store.calls.clear()
    delete = store.delete

    def die(name: str) -> None:
        store.dead = True
        delete(name)

    monkeypatch.setattr(store, "delete", die)
    with pytest.raises(StorageUnavailable):
        records.sweep(DAY, NOW)
    assert store.calls == [
        "list generated/",
        "list sources/",
        f"delete generated/{key(0)}.png",
        "check",
    ]
    with pytest.raises(StorageUnavailable):
        records.sweep(DAY, NOW)
