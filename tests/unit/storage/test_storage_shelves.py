"""Files by their time: what is put where, what is read for a listing, and older layouts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import ObjectNotFound
from storage.filesystem import FilesystemStore
from storage.names import made_by
from storage.shelves import may_hold, places_of, shelf_of
from storage.store import is_name

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
NOW = datetime(2026, 11, 29, tzinfo=UTC)
OWNER, RANDOM = "0123456789abcdef" * 2, "c" * 32


def timed(hours: float, number: int = 0) -> str:
    return f"{made_by(NOW - timedelta(hours=hours))}{number:020x}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> FilesystemStore:
    return FilesystemStore(root)


def put(store: FilesystemStore, *names: str) -> None:
    for name in names:
        image = name.endswith("png")
        store.put(name, PNG if image else b"{}", "image/png" if image else "application/json")


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_where_files_lie() -> None:
    key = timed(0)
    assert shelf_of(f"generated/{key}.png") == ("generated", key[:6])
    assert shelf_of(f"generated/{RANDOM}.png") == ("generated",)
    assert shelf_of(f"references/{key}{timed(9)}.json") == ("references", key[:6])
    assert shelf_of(f"references/{RANDOM}{key}.json") == ("references", RANDOM, key[:6])
    assert shelf_of(f"owned/{OWNER}{key}.json") == ("owned", OWNER, key[:6])
    assert shelf_of(f"answers/{RANDOM}.json") == ("answers",)
    assert list(places_of(f"tiles/{key}-128.webp")) == [("tiles", key[:6]), ("tiles",)]
    assert list(places_of(f"tiles/{RANDOM}-128.webp")) == [("tiles",)]


def test_five_hours_share_a_shelf(store: FilesystemStore, root: Path) -> None:
    put(store, *(f"generated/{timed(hours)}.png" for hours in range(24 * 10)))
    shelves = sorted((root / "generated").iterdir())
    assert 50 <= len(shelves) <= 54
    assert all(4 <= len(list(shelf.iterdir())) <= 5 for shelf in shelves[1:-1])


def names(store: FilesystemStore, prefix: str, after: str = "") -> list[str]:
    return [info.name for info in store.list(prefix, after)]


def test_listings_have_one_order(store: FilesystemStore) -> None:
    owners = ["0" * 32, OWNER, "e" * 32, timed(3)]
    keys = [timed(hours) for hours in (0, 1, 7, 30, 900)] + [RANDOM, "0" * 32, "f" * 32]
    put(store, *(f"owned/{owner}{key}.json" for owner in owners for key in keys))
    put(store, *(f"generated/{key}.{end}" for key in keys for end in ("png", "json")))
    everything = sorted(names(store, "owned/") + names(store, "generated/"))
    assert names(store, "") == everything
    assert len(everything) == len(owners) * len(keys) + 2 * len(keys)
    for prefix in ("owned/", "generated/"):
        own = [name for name in everything if name.startswith(prefix)]
        assert names(store, prefix) == own
        for name in own:
            text = name.partition("/")[2].partition(".")[0]
            for after in (text, f"{text}~", text[:32], f"{text[:32]}~", text[:7], f"{text[:3]}~"):
                assert names(store, prefix, after) == [n for n in own if n > prefix + after]
    for owner in owners:
        own = [name for name in everything if name.startswith(f"owned/{owner}")]
        assert names(store, f"owned/{owner}") == own
        after = f"{owner}{timed(1)}~"
        assert names(store, f"owned/{owner}", after) == [n for n in own if n > f"owned/{after}"]


def test_a_listing_reads_only_the_shelves_that_it_needs(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [f"references/{timed(hours)}{timed(0)}.json" for hours in range(0, 1000, 10)]
    put(store, *made)
    read: list[int] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: read.append(1) or listdir(place))
    assert names(store, f"references/{timed(500)}") == [made[50]]
    assert len(read) == 2  # the folder and the shelf
    read.clear()
    assert names(store, "references/", timed(980)) == made[98:]
    assert len(read) <= 5
    read.clear()
    assert next(store.list("references/")).name == made[0]
    assert len(read) == 2


@pytest.mark.parametrize(("begin", "start", "after", "may"), [
    ("fe5d00", "", "", True), ("fe5d00", "fe5d00aa", "", True), ("fe5d00", "fe5d01aa", "", False),
    ("fe5d00", "", "fe5d00ff", True), ("fe5d00", "", "fe5d01", False), ("fe5d00", "", "fe~", False),
    ("fe5d00", "", "fe5d00~", True), ("fe5d00", "", "fd", True),
])  # fmt: skip
def test_which_shelves_are_read(begin: str, start: str, after: str, may: bool) -> None:
    assert may_hold(begin, start, after) is may


def test_files_of_older_layouts_are_found(store: FilesystemStore, root: Path) -> None:
    old, new = f"generated/{timed(2)}.png", f"generated/{timed(1)}.png"
    put(store, new)
    (root / old).write_bytes(PNG)
    assert store.get(old).data == PNG
    assert names(store, "generated/") == [new, old]
    # Put again it lies on its shelf, and is one object still.
    store.put(old, PNG + b"2", "image/png")
    assert store.get(old).data == PNG + b"2"
    assert names(store, "generated/") == [new, old]
    assert len(files(root)) == 3
    store.delete(old)
    assert names(store, "generated/") == [new]
    with pytest.raises(ObjectNotFound):
        store.get(old)


def test_empty_shelves_are_removed(store: FilesystemStore, root: Path) -> None:
    marks = [f"owned/{OWNER}{timed(hours)}.json" for hours in (0, 100)]
    put(store, *marks, f"generated/{timed(0)}.png")
    store.delete(marks[0])
    assert len(list((root / "owned" / OWNER).iterdir())) == 1
    for _ in range(2):
        store.delete(marks[1])
        store.delete(f"generated/{timed(0)}.png")
    assert sorted(path.name for path in root.rglob("*")) == ["generated", "owned"]


def test_who_puts_on_a_shelf_that_others_empty_succeeds(store: FilesystemStore) -> None:
    keys = [timed(0, number) for number in range(8)]

    def again_and_again(key: str) -> None:
        for _ in range(40):
            put(store, f"generated/{key}.json")
            assert store.get(f"generated/{key}.json").data == b"{}"
            store.delete(f"generated/{key}.json")
        put(store, f"generated/{key}.json")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(again_and_again, keys))
    assert names(store, "generated/") == [f"generated/{key}.json" for key in keys]


def test_what_killed_writers_left_on_shelves_goes(root: Path) -> None:
    store = FilesystemStore(root)
    put(store, f"owned/{OWNER}{timed(0)}.json")
    (mark,) = files(root)
    left = (root / mark).parent / f".{'0' * 32}.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    FilesystemStore(root)
    assert files(root) == [mark]


def test_what_is_no_shelf_is_left_out(store: FilesystemStore, root: Path) -> None:
    name = f"generated/{timed(0)}.png"
    put(store, name)
    folder = root / "generated"
    (folder / "abcdef").write_text("a file")
    (folder / "elsewhere").mkdir()
    (folder / "fe0000").symlink_to(root)
    assert names(store, "generated/") == [name]
    assert is_name(name)
