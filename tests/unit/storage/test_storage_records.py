"""Results in a store: what is written and removed in which order, and what is refused."""

from pathlib import Path

import pytest
from recorder import PNG, Recorder, key

from storage.errors import (
    CorruptObject,
    InvalidObjectName,
    ObjectNotFound,
    StorageUnavailable,
)
from storage.lineage import Lineage
from storage.records import Records


@pytest.fixture
def store(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "images")


@pytest.fixture
def records(store: Recorder) -> Records:
    return Records(store)


@pytest.fixture
def lineage(store: Recorder) -> Lineage:
    return Lineage(store)


def test_a_result_is_an_image_and_its_recipe(records: Records) -> None:
    recipe = {"prompt": 'forest "\ud800" 🌲\n', "seed": 2**63, "mask": None, "points": [0.1, -1]}
    records.save(key(1), PNG, recipe)
    stored = records.load_image(key(1), "png")
    assert (stored.data, stored.content_type) == (PNG, "image/png")
    assert records.load_recipe(key(1)) == recipe
    records.delete(key(1), [])
    with pytest.raises(ObjectNotFound, match=r"generated/0+1\.png"):
        records.load_image(key(1), "png")
    with pytest.raises(ObjectNotFound, match=r"generated/0+1\.json"):
        records.load_recipe(key(1))


def test_an_image_never_is_without_its_recipe(records: Records, store: Recorder) -> None:
    records.save(key(1), PNG, {})
    records.delete(key(1), [])
    image, recipe = f"generated/{key(1)}.png", f"generated/{key(1)}.json"
    calls = [f"put {recipe}", f"put {image}", f"get {recipe}", f"delete {image}"]
    assert store.calls[:4] == calls
    assert store.calls[-1] == f"delete {recipe}"
    store.broken = {recipe}
    with pytest.raises(StorageUnavailable):
        records.save(key(1), PNG, {})
    assert store.names() == []


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
def test_a_broken_image_is_named(
    records: Records, lineage: Lineage, store: Recorder, data: bytes
) -> None:
    for name, load in (
        (f"generated/{key(1)}.png", lambda key: records.load_image(key, "png")),
        (f"sources/{key(1)}.png", lineage.load_source),
        (f"masks/{key(1)}.png", lineage.load_mask),
    ):
        store.put(name, data, "image/png")
        with pytest.raises(CorruptObject, match=name):
            load(key(1))


@pytest.mark.parametrize(
    "bad", ["", "x", "A" * 32, key(1) + "\n", f"../generated/{key(1)}", key(1)[:-1], key(1) + "0"]
)
def test_what_is_no_key_is_refused(
    records: Records, lineage: Lineage, store: Recorder, bad: str
) -> None:
    for operation in (
        lambda: records.save(bad, PNG, {}),
        lambda: records.load_image(bad, "png"),
        lambda: records.load_recipe(bad),
        lambda: records.delete(bad, []),
        lambda: lineage.save_source(bad, PNG),
        lambda: lineage.load_source(bad),
        lambda: lineage.save_mask(bad, PNG),
        lambda: lineage.load_mask(bad),
        lambda: lineage.refer(bad, [key(1)]),
        lambda: lineage.refer(key(1), [key(2), bad]),
        lambda: lineage.release(bad, key(1)),
        lambda: lineage.release(key(1), bad),
    ):
        with pytest.raises(InvalidObjectName) as caught:
            operation()
        assert caught.value.name == bad
    assert store.calls == []
