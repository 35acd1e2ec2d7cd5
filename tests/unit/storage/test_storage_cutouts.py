"""Cut-outs: stored whole, found while their mask is there, and kept apart from results' needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorder import PNG, Recorder, key

from storage.cutouts import CutOuts
from storage.deployment import Storage
from storage.errors import CorruptObject, InvalidObjectName, ObjectNotFound
from storage.filesystem import FilesystemStore
from storage.fsck import examine
from storage.lineage import Lineage
from storage.records import Records
from storage.settings import FilesystemSettings
from tests.sweeping import sweep

PHOTO, CUTOUT, RESULT, OTHER = (key(number) for number in (1, 2, 11, 12))
RECORD = {"photo_key": PHOTO, "mask_key": CUTOUT, "api_key_name": "shop"}
WHOLE = [
    f"cutouts/{CUTOUT}.json",
    f"cutouts/{CUTOUT}.png",
    f"masks/{CUTOUT}.png",
    f"references/{PHOTO}{CUTOUT}.json",
    f"references/{CUTOUT}{CUTOUT}.json",
    f"sources/{PHOTO}.png",
]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Encoded:
    image: bytes = PNG + b"image"
    mask: bytes = PNG + b"mask"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> Recorder:
    made = Recorder(root)
    cut_out(made)
    made.calls.clear()
    return made


def cut_out(store: Recorder) -> None:
    lineage = Lineage(store)
    lineage.refer(PHOTO, [CUTOUT])
    lineage.save_source(PHOTO, PNG)
    CutOuts(store).save(CUTOUT, Encoded(), RECORD)


def result(store: Recorder, number: str = RESULT) -> None:
    """A result that was made with the cut-out."""
    for source in (PHOTO, CUTOUT):
        Lineage(store).refer(source, [number])
    Records(store).save(number, PNG, {"photo_key": PHOTO, "mask_key": CUTOUT})


def age(root: Path, store: Recorder, by: timedelta, *folders: str) -> None:
    moment = (NOW - by).timestamp()
    for name in store.names():
        if not folders or name.startswith(folders):
            os.utime(root / name, (moment, moment))


def test_a_cut_out_comes_back_as_it_was_saved(store: Recorder) -> None:
    cutouts = CutOuts(store)
    assert cutouts.load_image(CUTOUT).data == PNG + b"image"
    assert cutouts.load_mask(CUTOUT).data == PNG + b"mask"
    assert cutouts.load_record(CUTOUT) == RECORD
    assert sorted(store.names()) == sorted(WHOLE)
    # Results name its product as they name any other.
    assert Lineage(store).load_mask(CUTOUT) == PNG + b"image"
    assert store.store.get(f"cutouts/{CUTOUT}.png").verified


def test_a_cut_out_is_complete_before_its_mask_is_there(root: Path) -> None:
    store = Recorder(root)
    cut_out(store)
    assert store.calls[-4:] == [
        f"put references/{CUTOUT}{CUTOUT}.json",
        f"put masks/{CUTOUT}.png",
        f"put cutouts/{CUTOUT}.json",
        f"put cutouts/{CUTOUT}.png",
    ]


def test_the_mask_goes_first_and_the_record_last(store: Recorder) -> None:
    CutOuts(store).delete(CUTOUT, [PHOTO, CUTOUT])
    assert store.calls[0] == f"delete cutouts/{CUTOUT}.png"
    assert store.calls[-1] == f"delete cutouts/{CUTOUT}.json"
    assert store.names() == []


def test_what_a_result_was_made_with_outlives_the_cut_out(store: Recorder) -> None:
    result(store)
    cutouts = CutOuts(store)
    cutouts.delete(CUTOUT, [PHOTO, CUTOUT])
    assert Lineage(store).load_mask(CUTOUT) == PNG + b"image"
    assert Lineage(store).load_source(PHOTO).data == PNG
    # The cut-out itself is gone, although its product is not.
    for load in (cutouts.load_image, cutouts.load_mask, cutouts.load_record):
        with pytest.raises(ObjectNotFound, match=f"cutouts/{CUTOUT}"):
            load(CUTOUT)
    Records(store).delete(RESULT, [PHOTO, CUTOUT])
    assert store.names() == []


def test_a_cut_out_outlives_the_results_made_with_it(store: Recorder) -> None:
    result(store)
    Records(store).delete(RESULT, [PHOTO, CUTOUT])
    assert sorted(store.names()) == sorted(WHOLE)


def test_only_keys_and_whole_objects_are_taken(store: Recorder) -> None:
    cutouts = CutOuts(store)
    for wrong in ("", "x", CUTOUT.upper() + "A", f"../{CUTOUT}", f"{CUTOUT}\n"):
        for call in (cutouts.load_image, cutouts.load_mask, cutouts.load_record):
            with pytest.raises(InvalidObjectName):
                call(wrong)
    with pytest.raises(ValueError, match="JSON"):
        cutouts.save(CUTOUT, Encoded(), {"certainty": float("nan")})
    store.store.put(f"cutouts/{CUTOUT}.json", b"[]", "application/json")
    with pytest.raises(CorruptObject):
        cutouts.load_record(CUTOUT)


def test_the_sweep_removes_an_old_cut_out_with_its_photo(store: Recorder, root: Path) -> None:
    age(root, store, DAY * 0.9)
    assert sweep(store, DAY, NOW) == 0
    age(root, store, DAY * 1.1)
    assert sweep(store, None, NOW) == 0
    # The cut-out, its photo and its product.
    assert sweep(store, DAY, NOW) == 3
    assert store.names() == []


def test_the_sweep_leaves_what_a_younger_result_needs(store: Recorder, root: Path) -> None:
    result(store)
    age(root, store, DAY * 2)
    age(root, store, DAY / 2, f"generated/{RESULT}")
    assert sweep(store, DAY, NOW) == 1
    assert sorted(store.names()) == sorted([
        f"generated/{RESULT}.json",
        f"generated/{RESULT}.png",
        f"masks/{CUTOUT}.png",
        f"references/{PHOTO}{RESULT}.json",
        f"references/{CUTOUT}{RESULT}.json",
        f"sources/{PHOTO}.png",
    ])  # fmt: skip
    age(root, store, DAY * 2)
    assert sweep(store, DAY, NOW) == 3
    assert store.names() == []


def test_the_sweep_leaves_what_a_younger_cut_out_needs(store: Recorder, root: Path) -> None:
    result(store)
    age(root, store, DAY * 2)
    age(root, store, DAY / 2, f"cutouts/{CUTOUT}")
    assert sweep(store, DAY, NOW) == 1
    assert sorted(store.names()) == sorted(WHOLE)


def test_the_sweep_ends_a_removal_and_a_beginning_that_were_cut_off(
    store: Recorder, root: Path
) -> None:
    store.store.delete(f"cutouts/{CUTOUT}.png")
    age(root, store, timedelta(hours=26))
    assert sweep(store, None, NOW) == 3
    assert store.names() == []


def test_fsck_knows_cut_outs(store: Recorder) -> None:
    result(store)
    settled = datetime.now(UTC) + DAY
    sound = examine(store, settled)
    assert (sound.damaged, sound.half_there, sound.orphaned) == ({}, {}, {})

    store.store.delete(f"sources/{PHOTO}.png")
    store.store.delete(f"references/{CUTOUT}{CUTOUT}.json")
    found = examine(store, settled).half_there
    # The last that is missing is told; the result lacks its photo alone.
    assert found[f"cutouts/{CUTOUT}.png"].startswith(f"needs references/{CUTOUT}")
    assert found[f"generated/{RESULT}.png"].startswith("needs sources/")


@pytest.mark.parametrize(("gone", "told", "what"), [
    ("png", "json", "has no image"), ("json", "png", "has no record"),
])  # fmt: skip
def test_fsck_tells_of_half_a_cut_out(store: Recorder, gone: str, told: str, what: str) -> None:
    store.store.delete(f"cutouts/{CUTOUT}.{gone}")
    found = examine(store, datetime.now(UTC) + DAY)
    assert found.half_there == {f"cutouts/{CUTOUT}.{told}": what}
    # Without its mask it is no cut-out, and its marks keep what nobody needs.
    assert len(found.orphaned) == (2 if gone == "png" else 0)


def test_fsck_tells_of_a_damaged_record(store: Recorder) -> None:
    CutOuts(store).save(CUTOUT, Encoded(), {**RECORD, "photo_key": "nothing"})
    found = examine(store, datetime.now(UTC) + DAY)
    assert found.damaged == {f"cutouts/{CUTOUT}.json": "has a photo_key that is no key"}


async def test_the_replica_keeps_cut_outs(root: Path) -> None:
    storage = Storage(FilesystemSettings(path=str(root)), retention_s=None)
    assert await storage.borrow_cutout(CUTOUT, [PHOTO, CUTOUT], [OTHER]) is None
    await storage.delete_cutout(OTHER, [PHOTO, CUTOUT])
    await storage.save_cutout(CUTOUT, Encoded(), RECORD)
    assert await storage.load_cutout_record(CUTOUT) == RECORD
    assert (await storage.load_cutout(CUTOUT, "image")).data == PNG + b"image"
    assert (await storage.load_cutout(CUTOUT, "mask")).data == PNG + b"mask"
    assert (await storage.borrow_cutout(CUTOUT, [PHOTO, CUTOUT], [RESULT])).data == PNG + b"mask"
    await storage.delete_cutout(CUTOUT, [PHOTO, CUTOUT])
    assert await storage.load_cutout(CUTOUT, "image") is None
    assert await storage.load_cutout(CUTOUT, "mask") is None
    assert await storage.load_cutout_record(CUTOUT) is None
    # The marks of the result were there before the mask was looked for.
    assert await storage.load_mask(CUTOUT) == PNG + b"image"
    names = [info.name for info in FilesystemStore(root).list("references/")]
    assert sorted(names) == sorted(f"references/{key}{RESULT}.json" for key in (PHOTO, CUTOUT))
    storage.close()
