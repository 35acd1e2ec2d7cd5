"""Results of every format, and their smaller copies: kept, removed and swept with the result."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorder import PNG, Recorder, key

from storage.errors import CorruptObject, InvalidObjectName, ObjectNotFound
from storage.fsck import Findings, examine
from storage.records import Records
from storage.store import ImageStore
from storage.tiles import Tiles
from tests.sweeping import sweep

FILES = {
    "png": PNG,
    "jpeg": b"\xff\xd8\xff\xe0" + b"pixels",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 " + b"pixels",
}
ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
WEBP = FILES["webp"]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> Recorder:
    return Recorder(root)


@pytest.fixture
def tiles(store: Recorder) -> Tiles:
    return Tiles(store)


@pytest.fixture
def records(store: Recorder) -> Records:
    return Records(store)


def found(store: ImageStore) -> Findings:
    return examine(store, NOW + DAY)


@pytest.mark.parametrize("file_format", FILES)
def test_a_result_has_the_ending_that_its_recipe_says(
    records: Records, store: Recorder, file_format: str
) -> None:
    records.save(key(1), FILES[file_format], {"file_format": file_format})
    assert set(store.names()) == {
        f"generated/{key(1)}.json",
        f"generated/{key(1)}.{ENDINGS[file_format]}",
    }
    stored = records.load_image(key(1), file_format)
    assert (stored.data, stored.content_type) == (FILES[file_format], f"image/{file_format}")
    for other in FILES.keys() - {file_format}:
        with pytest.raises(ObjectNotFound):
            records.load_image(key(1), other)
    records.delete(key(1), [])
    assert store.names() == []


@pytest.mark.parametrize("file_format", ["gif", "jpg", "", None, 7, ["png"]])
def test_a_format_that_no_image_has_is_refused(
    records: Records, store: Recorder, file_format: object
) -> None:
    with pytest.raises(ValueError, match="file_format"):
        records.save(key(1), PNG, {"file_format": file_format})
    assert store.calls == []


@pytest.mark.parametrize("file_format", FILES)
def test_a_file_of_another_format_is_damaged(
    records: Records, store: Recorder, file_format: str
) -> None:
    for data in (b"", *(FILES[other] for other in FILES.keys() - {file_format})):
        records.save(key(1), data, {"file_format": file_format})
        with pytest.raises(CorruptObject, match=r"is not a (PNG|JPEG|WebP) image"):
            records.load_image(key(1), file_format)
        assert f"generated/{key(1)}.{ENDINGS[file_format]}" in found(store).damaged


def test_a_copy_is_kept_and_goes_with_its_result(
    records: Records, tiles: Tiles, store: Recorder
) -> None:
    for number in (1, 2):
        records.save(key(number), FILES["jpeg"], {"file_format": "jpeg"})
        for width in (128, 1024):
            tiles.save(key(number), width, WEBP + bytes([number]))
    assert tiles.load(key(1), "jpeg", 128).data == WEBP + b"\x01"
    with pytest.raises(ObjectNotFound):
        tiles.load(key(1), "jpeg", 256)
    with pytest.raises(ObjectNotFound):
        tiles.load(key(1), "png", 128)
    records.delete(key(1), [])
    assert all(key(2) in name for name in store.names())
    assert len(store.names()) == 4
    with pytest.raises(ObjectNotFound):
        tiles.load(key(1), "jpeg", 128)


def test_a_copy_is_as_old_as_its_result(
    records: Records, tiles: Tiles, store: Recorder, root: Path
) -> None:
    records.save(key(1), PNG, {})
    stored = (NOW - DAY).timestamp()
    os.utime(root / f"generated/{key(1)}.json", (stored, stored))
    tiles.save(key(1), 128, WEBP)
    assert tiles.load(key(1), "png", 128).modified == NOW - DAY


def test_a_copy_of_what_was_removed_meanwhile_does_not_stay(
    records: Records, tiles: Tiles, store: Recorder
) -> None:
    records.save(key(1), PNG, {})
    (name,) = [name for name in store.names() if name.endswith(".png")]
    store.delete(name)
    with pytest.raises(ObjectNotFound):
        tiles.save(key(1), 128, WEBP)
    assert store.names() == [f"generated/{key(1)}.json"]


def test_a_removal_beside_a_first_copy_leaves_nothing(
    records: Records, tiles: Tiles, store: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.save(key(1), PNG, {})
    put = store.put

    def removed_right_after(name: str, data: bytes, content_type: str) -> None:
        put(name, data, content_type)
        records.delete(key(1), [])

    def removed_right_before(name: str, data: bytes, content_type: str) -> None:
        records.delete(key(1), [])
        put(name, data, content_type)

    for between in (removed_right_after, removed_right_before):
        records.save(key(1), PNG, {})
        monkeypatch.setattr(store, "put", between)
        with pytest.raises(ObjectNotFound):
            tiles.save(key(1), 128, WEBP)
        assert store.names() == []
        monkeypatch.setattr(store, "put", put)


def test_the_sweep_takes_copies_along(
    records: Records, tiles: Tiles, store: Recorder, root: Path
) -> None:
    for number, file_format in enumerate(FILES):
        records.save(key(number), FILES[file_format], {"file_format": file_format})
        tiles.save(key(number), 128, WEBP)
    store.put(f"tiles/{key(9)}-128.webp", WEBP, "image/webp")
    old = (NOW - 2 * DAY).timestamp()
    for name in store.names():
        moment = old if key(1) in name else NOW.timestamp()
        os.utime(root / name, (moment, moment))
    assert found(store).orphaned == {f"tiles/{key(9)}-128.webp": "is a smaller copy of no result"}
    assert sweep(store, DAY, NOW) == 1
    assert {name.partition("/")[2][:32] for name in store.names()} == {key(0), key(2)}
    assert len(store.names()) == 6
    assert found(store).orphaned == {}


def test_an_image_that_its_recipe_does_not_name_is_told(store: Recorder, records: Records) -> None:
    records.save(key(1), FILES["jpeg"], {"file_format": "jpeg"})
    other = f'{{"file_format": "webp", "photo_key": "{key(2)}"}}'
    store.put(f"generated/{key(1)}.json", other.encode(), "application/json")
    assert found(store).orphaned == {
        f"generated/{key(1)}.jpg": "is not of the format that its recipe says"
    }
    other = other.replace("webp", "gif")
    store.put(f"generated/{key(1)}.json", other.encode(), "application/json")
    assert found(store).damaged[f"generated/{key(1)}.json"] == "has a file_format that is none"
    with pytest.raises(CorruptObject, match="file_format"):
        Tiles(store).load(key(1), "jpeg", 128)


@pytest.mark.parametrize("bad", ["", "x", "A" * 32, key(1)[:-1], key(1) + "0", f"../{key(1)}"])
def test_what_is_no_key_is_refused(tiles: Tiles, store: Recorder, bad: str) -> None:
    for operation in (
        lambda: tiles.save(bad, 128, WEBP),
        lambda: tiles.load(bad, "png", 128),
        lambda: tiles.delete(bad),
    ):
        with pytest.raises(InvalidObjectName):
            operation()
    assert store.calls == []
