"""The retention sweep: what goes, what stays, and what stops it."""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorder import PNG, Recorder, key

from storage.errors import StorageUnavailable
from storage.lineage import Lineage
from storage.records import Records
from tests.sweeping import sweep

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> Recorder:
    return Recorder(root)


@pytest.fixture
def records(store: Recorder) -> Records:
    return Records(store)


@pytest.fixture
def lineage(store: Recorder) -> Lineage:
    return Lineage(store)


def age(root: Path, name: str, by: timedelta) -> None:
    moment = (NOW - by).timestamp()
    os.utime(root / name, (moment, moment))


def test_the_sweep_removes_what_is_too_old(
    records: Records, lineage: Lineage, store: Recorder, root: Path
) -> None:
    for number in (1, 2):
        records.save(key(number), PNG, {})
        lineage.save_source(key(number), PNG)
    for name in store.names():
        age(root, name, DAY * 1.1 if key(1) in name else DAY * 0.9)
    assert sweep(store, DAY, NOW) == 2
    assert all(key(2) in name for name in store.names())
    assert len(store.names()) == 3
    assert sweep(store, DAY, NOW) == 0


def test_the_sweep_removes_marks_of_results_that_are_gone_or_never_came(
    records: Records, store: Recorder, root: Path
) -> None:
    owner = "d" * 32
    marks = {number: f"owned/{owner}{key(number)}.json" for number in (1, 2, 3, 4)}
    for number in (1, 2):
        records.save(key(number), PNG, {"owner": owner})
    for number in (3, 4):
        store.put(marks[number], b"{}", "application/json")
    for name in store.names():
        age(root, name, timedelta(minutes=90))
    for name in [f"generated/{key(1)}.png", f"generated/{key(1)}.json", marks[1]]:
        age(root, name, DAY * 1.1)
    age(root, marks[4], timedelta(minutes=30))
    sweep(store, DAY, NOW)
    assert records.of(owner, None, 10) == [key(2), key(4)]


def test_the_age_of_a_result_is_that_of_its_image(
    records: Records, store: Recorder, root: Path
) -> None:
    records.save(key(1), PNG, {})
    age(root, f"generated/{key(1)}.json", DAY * 2)
    age(root, f"generated/{key(1)}.png", DAY / 2)
    assert sweep(store, DAY, NOW) == 0
    assert len(store.names()) == 2


@pytest.mark.parametrize(("minutes", "removed"), [(59, 0), (61, 1)])
def test_the_sweep_removes_a_recipe_whose_image_never_came(
    records: Records, store: Recorder, root: Path, minutes: int, removed: int
) -> None:
    name = f"generated/{key(1)}.json"
    store.put(name, b"{}", "application/json")
    age(root, name, timedelta(minutes=minutes))
    assert sweep(store, DAY, NOW) == removed
    assert len(store.names()) == 1 - removed


@pytest.mark.parametrize(("hours", "removed"), [(24, 1), (26, 3)])
def test_without_a_retention_only_what_nothing_needs_goes(
    records: Records, lineage: Lineage, store: Recorder, root: Path, hours: int, removed: int
) -> None:
    conversation(records, lineage, 1, [11])
    store.put(f"answers/{key(9)}.json", b"{}", "application/json")
    complete = set(store.names())
    store.put(f"generated/{key(2)}.json", b"{}", "application/json")
    lineage.refer(key(3), [key(12)])
    lineage.save_source(key(3), PNG)
    lineage.save_source(key(4), PNG)
    for name in store.names():
        age(root, name, timedelta(hours=hours) if name not in complete else DAY * 999)
    assert sweep(store, None, NOW) == removed
    assert set(store.names()) >= complete
    assert (set(store.names()) == complete) is (removed == 3)


def test_one_broken_object_does_not_stop_the_sweep(
    records: Records,
    lineage: Lineage,
    store: Recorder,
    root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(4):
        records.save(key(number), PNG, {})
    lineage.save_source(key(9), PNG)
    for name in store.names():
        age(root, name, DAY * 2)
    broken = f"generated/{key(1)}.png"
    store.broken = {broken}
    with caplog.at_level(logging.WARNING):
        assert sweep(store, DAY, NOW) == 4
    # Its recipe stays with it.
    assert store.names() == [f"generated/{key(1)}.json", broken]
    assert broken in caplog.text
    store.broken = set()
    assert sweep(store, DAY, NOW) == 1
    assert store.names() == []


def test_a_dead_store_stops_the_sweep(
    records: Records, store: Recorder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        records.save(key(number), PNG, {})
    for name in store.names():
        age(root, name, DAY * 2)
    store.calls.clear()
    delete = store.delete

    def die(name: str) -> None:
        store.dead = True
        delete(name)

    monkeypatch.setattr(store, "delete", die)
    with pytest.raises(StorageUnavailable):
        sweep(store, DAY, NOW)
    # What was begun beside it ends, too; the rest is not tried.
    ends = [call for call in store.calls if not call.startswith("list")]
    assert {call.split()[0] for call in ends} == {"get", "delete", "check"}
    assert len([call for call in ends if call.startswith("delete")]) <= 4
    assert "list tiles/" not in store.calls
    with pytest.raises(StorageUnavailable):
        sweep(store, DAY, NOW)


def conversation(records: Records, lineage: Lineage, source: int, results: list[int]) -> None:
    """An upload with its product, and results made from it."""
    lineage.refer(key(source), [key(result) for result in results])
    lineage.save_source(key(source), PNG)
    lineage.save_mask(key(source), PNG)
    for result in results:
        records.save(key(result), PNG, {})


def kept(store: Recorder) -> set[str]:
    return {name for name in store.names() if not name.startswith("generated/")}


def test_a_source_stays_as_long_as_any_result_made_from_it(
    records: Records, lineage: Lineage, store: Recorder, root: Path
) -> None:
    conversation(records, lineage, 1, [11, 12])
    for name in store.names():
        age(root, name, DAY * 30)
    age(root, f"generated/{key(12)}.png", DAY / 2)
    assert sweep(store, DAY, NOW) == 1
    assert kept(store) == {
        f"sources/{key(1)}.png",
        f"masks/{key(1)}.png",
        f"references/{key(1)}{key(12)}.json",
    }
    age(root, f"generated/{key(12)}.png", DAY * 2)
    assert sweep(store, DAY, NOW) == 2
    assert store.names() == []


def test_a_source_goes_with_the_last_result_by_its_recipe(
    records: Records, store: Recorder, root: Path
) -> None:
    lineage = Lineage(store)
    owner = "d" * 32
    made_from = {"photo_key": key(1), "mask_key": key(2), "owner": owner}
    for source in (1, 2):
        lineage.refer(key(source), [key(11), key(12)])
        lineage.save_source(key(source), PNG)
    for result in (11, 12):
        records.save(key(result), PNG, made_from)
    whole = len(store.names())
    for name in store.names():
        age(root, name, timedelta(hours=2) if key(11) in name else timedelta(minutes=1))
    assert sweep(store, timedelta(hours=1), NOW) == 1
    # Image, recipe, two marks that it needs its sources, and the one that says whose it is.
    assert len(store.names()) == whole - 5
    age(root, f"generated/{key(12)}.png", timedelta(hours=2))
    assert sweep(store, timedelta(hours=1), NOW) == 3
    assert store.names() == []


@pytest.mark.parametrize(("hours", "stays"), [(24, True), (26, False)])
def test_what_a_request_may_still_need_stays_for_a_day(
    lineage: Lineage, store: Recorder, root: Path, hours: int, stays: bool
) -> None:
    lineage.refer(key(1), [key(11)])
    lineage.save_source(key(1), PNG)
    age(root, f"sources/{key(1)}.png", DAY * 9)
    age(root, f"references/{key(1)}{key(11)}.json", timedelta(hours=hours))
    assert sweep(store, DAY, NOW) == (0 if stays else 1)
    assert len(store.names()) == (2 if stays else 0)


def test_a_result_that_cannot_be_removed_keeps_its_source(
    records: Records, lineage: Lineage, store: Recorder, root: Path
) -> None:
    conversation(records, lineage, 1, [11])
    for name in store.names():
        age(root, name, DAY * 30)
    store.broken = {f"generated/{key(11)}.png"}
    assert sweep(store, DAY, NOW) == 0
    assert len(kept(store)) == 3


def test_a_removal_that_was_cut_off_is_finished(
    records: Records, lineage: Lineage, store: Recorder, root: Path
) -> None:
    conversation(records, lineage, 1, [11])
    store.store.delete(f"generated/{key(11)}.png")
    for name in store.names():
        age(root, name, DAY * 2)
    assert sweep(store, DAY, NOW) == 2
    assert store.names() == []


def test_references_are_listed_after_the_images_are_removed(
    records: Records, lineage: Lineage, store: Recorder, root: Path
) -> None:
    """A variation that still read the image has put its marks by then."""
    conversation(records, lineage, 1, [11])
    for name in store.names():
        age(root, name, DAY * 30)
    delete = store.delete

    def varied_meanwhile(name: str) -> None:
        store.delete = delete
        Lineage(store.store).refer(key(1), [key(12)])
        age(root, f"references/{key(1)}{key(12)}.json", timedelta(0))
        delete(name)

    store.delete = varied_meanwhile
    sweep(store, DAY, NOW)
    assert kept(store) == {
        f"sources/{key(1)}.png",
        f"masks/{key(1)}.png",
        f"references/{key(1)}{key(12)}.json",
    }
