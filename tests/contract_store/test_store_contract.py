"""What both stores must do alike, each against its real medium."""

import hashlib
import os
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage.answers import Answers
from storage.cutouts import CutOuts
from storage.errors import InvalidObjectName, ObjectNotFound
from storage.lineage import Lineage
from storage.records import Records
from storage.store import ImageStore
from storage.tiles import Tiles
from tests.sweeping import sweep

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def key(number: int) -> str:
    return f"{number:032x}"


def image(number: int) -> str:
    return f"generated/{key(number)}.png"


def test_an_object_comes_back_as_it_was_put(store: ImageStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    store.put(image(1), PNG, "image/png")
    stored = store.get(image(1))
    assert stored.data == PNG
    assert stored.content_type == "image/png"
    assert stored.etag == hashlib.sha256(PNG).hexdigest()[:32]
    assert stored.modified.utcoffset() == timedelta(0)
    assert before <= stored.modified <= datetime.now(UTC)


def test_the_content_type_follows_the_suffix(store: ImageStore) -> None:
    name = f"generated/{key(1)}.json"
    store.put(name, b"{}", "application/json")
    assert store.get(name).content_type == "application/json"
    with pytest.raises(ValueError, match="holds application/json"):
        store.put(name, b"{}", "text/html")


@pytest.mark.parametrize("size", [0, 1, 6 * 1024 * 1024])
def test_sizes(store: ImageStore, size: int) -> None:
    data = os.urandom(size)
    store.put(image(1), data, "image/png")
    stored = store.get(image(1))
    assert stored.data == data
    assert stored.etag == hashlib.sha256(data).hexdigest()[:32]
    assert [info.size for info in store.list("generated/")] == [size]


def test_a_missing_object_is_named(store: ImageStore) -> None:
    with pytest.raises(ObjectNotFound) as caught:
        store.get(image(1))
    assert caught.value.name == image(1)
    store.put(image(2), PNG, "image/png")
    with pytest.raises(ObjectNotFound):
        store.get(image(1))


def test_put_overwrites_and_repeats(store: ImageStore) -> None:
    store.put(image(1), b"old and longer", "image/png")
    for _ in range(2):
        store.put(image(1), b"new", "image/png")
    assert store.get(image(1)).data == b"new"
    assert [info.name for info in store.list("")] == [image(1)]


def test_delete_repeats(store: ImageStore) -> None:
    store.delete(image(1))
    store.put(image(1), PNG, "image/png")
    store.put(image(2), PNG, "image/png")
    for _ in range(2):
        store.delete(image(1))
    with pytest.raises(ObjectNotFound):
        store.get(image(1))
    assert [info.name for info in store.list("")] == [image(2)]


def test_a_listing_is_sorted_and_of_one_folder(store: ImageStore) -> None:
    assert list(store.list("")) == []
    assert list(store.list("generated/")) == []
    source = f"sources/{key(1)}.png"
    names = [image(3), f"generated/{key(1)}.json", image(1), image(2)]
    for name in [source, *names]:
        store.put(name, name.encode(), "image/png" if name.endswith("png") else "application/json")
    assert [info.name for info in store.list("generated/")] == sorted(names)
    assert [info.name for info in store.list("sources/")] == [source]
    assert [info.name for info in store.list("")] == sorted([source, *names])
    pairs = [f"references/{key(one)}{key(two)}.json" for one, two in ((1, 2), (1, 3), (2, 1))]
    for name in pairs:
        store.put(name, name.encode(), "application/json")
    assert [info.name for info in store.list(f"references/{key(1)}")] == pairs[:2]
    assert [info.name for info in store.list("references/")] == pairs
    assert list(store.list(f"references/{key(3)}")) == []
    for info in store.list(""):
        assert info.size == len(info.name)
        assert info.modified.utcoffset() == timedelta(0)
        # One of the two may be given in whole seconds only.
        assert abs(info.modified - store.get(info.name).modified) <= timedelta(seconds=1)


def test_a_listing_begins_where_it_is_told(store: ImageStore) -> None:
    for number in range(1, 5):
        store.put(image(number), PNG, "image/png")
        store.put(f"generated/{key(number)}.json", b"{}", "application/json")
    store.put(f"tiles/{key(9)}-128.webp", b"RIFF", "image/webp")

    def numbers(after: str) -> list[int]:
        return [int(info.name[10:42], 16) for info in store.list("generated/", after)]

    assert numbers(key(3)) == [3, 3, 4, 4]
    assert numbers(f"{key(3)}~") == [4, 4]
    assert numbers(key(3)[:31]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert numbers(f"{key(3)[:31]}~") == numbers("f") == []
    pairs = [f"owned/{key(one)}{key(two)}.json" for one in (1, 2) for two in (1, 2, 3)]
    for name in pairs:
        store.put(name, b"{}", "application/json")
    passed = f"{key(1)}{key(1)}~"
    assert [info.name for info in store.list(f"owned/{key(1)}", passed)] == pairs[1:3]
    assert [info.name for info in store.list("owned/", f"{key(1)}~")] == pairs[3:]
    with pytest.raises(InvalidObjectName):
        store.list("generated/", "../")


def test_objects_may_be_deleted_while_they_are_listed(store: ImageStore) -> None:
    for number in range(5):
        store.put(image(number), PNG, "image/png")
    for info in store.list("generated/"):
        store.delete(info.name)
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    "name",
    ["", "generated/../sources/x.png", "../../etc/passwd", f"generated/{key(1)}.png\n", "/a.png"],
)
def test_no_method_takes_another_name(store: ImageStore, name: str) -> None:
    with pytest.raises(InvalidObjectName):
        store.put(name, PNG, "image/png")
    with pytest.raises(InvalidObjectName):
        store.get(name)
    with pytest.raises(InvalidObjectName):
        store.delete(name)
    with pytest.raises(InvalidObjectName):
        store.list(name or "..")
    with pytest.raises(InvalidObjectName):
        store.list(f"generated/{key(1)[:-1]}")


def test_check_leaves_nothing_behind(store: ImageStore) -> None:
    store.check()
    assert list(store.list("")) == []


def test_readers_see_one_writer_s_object_whole(store: ImageStore) -> None:
    contents = {bytes([number]) * 200_000 for number in range(4)}
    store.put(image(1), min(contents), "image/png")
    with ThreadPoolExecutor(8) as threads:
        writers = [threads.submit(store.put, image(1), data, "image/png") for data in contents] * 4
        readers = [threads.submit(store.get, image(1)) for _ in range(16)]
        for writer in writers:
            writer.result()
        assert {reader.result().data for reader in readers} <= contents


def test_records_keep_results_and_sweep_them(store: ImageStore) -> None:
    records = Records(store)
    recipe = {"prompt": "Perfume backdrop, \u2603 \ud800", "seeds": [1, 2], "mask": None}
    records.save(key(1), PNG, recipe)
    lineage = Lineage(store)
    lineage.refer(key(2), [key(1)])
    lineage.save_source(key(2), PNG)
    lineage.save_mask(key(2), PNG + b"product")
    assert records.load_image(key(1), "png").data == PNG
    assert records.load_recipe(key(1)) == recipe
    assert lineage.load_source(key(2)).data == PNG
    assert lineage.load_mask(key(2)) == PNG + b"product"
    now = datetime.now(UTC)
    assert sweep(store, timedelta(days=1), now) == 0
    assert len(list(store.list(""))) == 5
    assert sweep(store, timedelta(days=1), now + timedelta(days=2)) == 2
    assert list(store.list("")) == []


def test_results_of_every_format_and_their_smaller_copies_are_kept_and_swept(
    store: ImageStore,
) -> None:
    records, tiles = Records(store), Tiles(store)
    files = {"png": PNG, "jpeg": b"\xff\xd8\xff", "webp": b"RIFF\x10\0\0\0WEBP"}
    for number, (file_format, data) in enumerate(files.items()):
        records.save(key(number), data, {"file_format": file_format})
        for width in (128, 1024):
            tiles.save(key(number), width, files["webp"] + bytes([number]))
        stored = records.load_image(key(number), file_format)
        assert (stored.data, stored.content_type) == (data, f"image/{file_format}")
        tile = tiles.load(key(number), file_format, 1024)
        assert (tile.data[-1], tile.content_type) == (number, "image/webp")
    records.delete(key(0), [])
    assert len(list(store.list("tiles/"))) == 4
    with pytest.raises(ObjectNotFound):
        tiles.save(key(0), 128, files["webp"])
    now = datetime.now(UTC)
    assert sweep(store, timedelta(days=1), now) == 0
    assert sweep(store, timedelta(days=1), now + timedelta(days=2)) == 2
    assert list(store.list("")) == []


def test_an_answer_is_kept_and_swept(store: ImageStore) -> None:
    answers = Answers(store)
    assert answers.load(key(1)) is None
    answer = {"answer": {"prompt_used": "\u2603", "seeds": [1]}, "events": [["image", {}]]}
    for _ in range(2):
        answers.save(key(1), {"answer": "older"})
        answers.save(key(1), answer)
    assert answers.load(key(1)) == answer
    assert [info.name for info in store.list("")] == [f"answers/{key(1)}.json"]
    now = datetime.now(UTC)
    assert sweep(store, timedelta(days=1), now) == 0
    assert answers.load(key(1)) == answer
    assert sweep(store, timedelta(days=1), now + timedelta(days=2)) == 1
    assert answers.load(key(1)) is None


def test_a_source_goes_with_its_last_result(store: ImageStore) -> None:
    records, lineage = Records(store), Lineage(store)
    lineage.refer(key(9), [key(1), key(2)])
    lineage.save_source(key(9), PNG)
    lineage.save_mask(key(9), PNG)
    for number in (1, 2):
        records.save(key(number), PNG, {})
    records.delete(key(1), [key(9)])
    assert lineage.load_mask(key(9)) == PNG
    records.delete(key(2), [key(9)])
    assert list(store.list("")) == []


def test_a_cut_out_is_kept_and_swept(store: ImageStore) -> None:
    cutouts, lineage, records = CutOuts(store), Lineage(store), Records(store)
    encoded = namedtuple("encoded", "image mask")(PNG + b"image", PNG + b"mask")
    lineage.refer(key(1), [key(2)])
    lineage.save_source(key(1), PNG)
    record = {"photo_key": key(1), "mask_key": key(2), "warnings": ["\u2603"]}
    cutouts.save(key(2), encoded, record)
    assert cutouts.load_image(key(2)).data == PNG + b"image"
    assert cutouts.load_mask(key(2)).data == PNG + b"mask"
    assert cutouts.load_record(key(2)) == record
    for source in (key(1), key(2)):
        lineage.refer(source, [key(3)])
    records.save(key(3), PNG, {"photo_key": key(1), "mask_key": key(2)})
    cutouts.delete(key(2), [key(1), key(2)])
    with pytest.raises(ObjectNotFound):
        cutouts.load_image(key(2))
    assert lineage.load_mask(key(2)) == PNG + b"image"
    lineage.refer(key(1), [key(2)])
    cutouts.save(key(2), encoded, record)
    records.delete(key(3), [key(1), key(2)])
    assert len(list(store.list(""))) == 6
    now = datetime.now(UTC)
    assert sweep(store, timedelta(days=1), now) == 0
    # The cut-out, its photo and its product.
    assert sweep(store, timedelta(days=1), now + timedelta(days=2)) == 3
    assert list(store.list("")) == []


def test_a_checksum_is_kept_and_checked(store: ImageStore) -> None:
    name = f"generated/{key(1)}.png"
    store.put(name, b"pixels", "image/png")
    assert store.get(name).verified
