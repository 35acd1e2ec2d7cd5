"""One replica at a time sweeps, a bounded number of names, and what is old by its name at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorder import PNG, Recorder, path_of

from storage import sweeping
from storage.errors import StorageUnavailable
from storage.names import SWEEPER, made_by
from storage.records import Records
from storage.retention import FOLDERS, Ages, Place, Retention
from storage.seeking import Seeker, groups, owners
from storage.sweeping import Sweeper

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def key_of(moment: datetime, number: int = 0) -> str:
    return f"{made_by(moment)}{number:020x}"


class Watched(Recorder):
    """Notes how many names each listing gave out, and takes conditional writes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read: list[tuple[str, int]] = []

    def list(self, prefix: str, after: str = "") -> Iterator[object]:
        for name in super().list(prefix, after):
            self.read.append((name.name, 1))
            yield name

    def swap(self, name: str, data: bytes, content_type: str, version: str) -> str:
        self._note("swap", name)
        return self.store.swap(name, data, content_type, version)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> Watched:
    return Watched(root)


class Clock:
    """The clocks of `sweeping`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sweeping, "time", clock)
    return clock


def save(store: Recorder, root: Path, made: datetime, number: int = 0) -> str:
    key = key_of(made, number)
    Records(store).save(key, PNG, {})
    for suffix in ("png", "json"):
        path = path_of(root, f"generated/{key}.{suffix}")
        os.utime(path, (made.timestamp(), made.timestamp()))
    return key


def test_what_is_not_old_by_its_name_is_not_read(store: Watched, root: Path) -> None:
    old = [save(store, root, NOW - 2 * DAY, number) for number in range(3)]
    for number in range(50):
        save(store, root, NOW - HOUR, number)
    store.read.clear()
    swept = Retention(store, Ages(NOW, DAY), lambda: None)
    swept.expire()
    assert swept.removed == 3
    assert {name[10:42] for name, _ in store.read} == set(old)
    left = [name for name in store.names() if name.startswith("generated/")]
    assert len(left) == 100


def test_requests_of_each_owner_are_found_by_their_names(store: Watched, root: Path) -> None:
    names = []
    for owner in ("0" * 32, "e" * 32, "f" * 32):
        for made in (NOW - 3 * DAY, NOW - HOUR):
            names.append(f"requests/{owner}{key_of(made)}.json")
            store.put(names[-1], b"{}", "application/json")
            os.utime(path_of(root, names[-1]), (made.timestamp(), made.timestamp()))
    assert list(owners(store, "requests/")) == ["0" * 32, "e" * 32, "f" * 32]
    swept = Retention(store, Ages(NOW, None, DAY), lambda: None)
    swept.expire()
    assert swept.removed == 3
    assert [name for name in store.names() if name.startswith("requests/")] == names[1::2]


def test_the_patrol_reads_so_many_names_and_goes_on_there(
    store: Watched, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention._PIECE", 10)
    old = [f"{number:032x}" for number in range(30)]  # as older versions named them
    for key in old:
        Records(store).save(key, PNG, {})
        for suffix in ("png", "json"):
            os.utime(root / f"generated/{key}.{suffix}", (0, 0))
    for number in range(20):
        store.put(f"tiles/{number:032x}-128.webp", b"RIFF", "image/webp")
    place, removed, rounds = Place(), [], 0
    while place.folder:
        swept = Retention(store, Ages(NOW, DAY), lambda: None)
        store.read.clear()
        place = swept.patrol(place, 20)
        # Whole pieces of a result's names, and what the patrol looks up beside them.
        assert len([name for name, _ in store.read if name.startswith("generated/")]) <= 24
        removed.append(swept.removed)
        rounds += 1
    assert removed[:3] == [10, 10, 10]
    assert rounds == 4
    assert store.names() == []


def test_a_place_between_is_no_place_to_begin() -> None:
    assert Place().folder == FOLDERS[0]
    with pytest.raises(ValueError, match="not in tuple"):
        Retention(None, Ages(NOW), lambda: None).patrol(Place(""), 1)


def test_a_seeker_finds_what_is_there_in_any_order(
    store: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(0, 40, 2):
        store.put(f"generated/{number:032x}.png", PNG, "image/png")
        store.put(f"generated/{number:032x}.json", b"{}", "application/json")
    for near in (1000, 3):
        monkeypatch.setattr("storage.seeking._NEAR", near)
        store.calls.clear()
        seeker = Seeker(store, "generated/")
        for number in [3, 4, 4, 5, 30, 31, 38, 39, 41, 2, 0, 38]:
            found = seeker.names_of(f"{number:032x}")
            names = [f"generated/{number:032x}.{end}" for end in ("json", "png")]
            assert found == (names if number % 2 == 0 and number < 40 else [])
        assert listings(store) == (3 if near == 1000 else 6)
    store.calls.clear()
    seeker = Seeker(store, "generated/")
    assert len([key for key in range(40) if seeker.names_of(f"{key:032x}")]) == 20
    assert listings(store) == 1  # read on where it is


def test_pieces_of_a_listing_hold_whole_groups(store: Watched) -> None:
    for number in range(5):
        for width in (128, 256, 512):
            store.put(f"tiles/{number:032x}-{width}.webp", b"RIFF", "image/webp")
    pieces = list(groups(store.list("tiles/"), 4))
    assert [[(int(key, 16), len(infos)) for key, infos in piece] for piece in pieces] == [
        [(0, 3), (1, 3)], [(2, 3), (3, 3)], [(4, 3)],
    ]  # fmt: skip
    assert list(groups(iter(()), 4)) == []


def sweeper(store: Watched, interval_s: float = 600.0, dead_s: float = 180.0) -> Sweeper:
    return Sweeper(store, DAY, DAY, interval_s, threading.Event(), dead_s)


def listings(store: Watched) -> int:
    return len([call for call in store.calls if call.startswith("list")])


def test_one_of_several_replicas_sweeps(store: Watched) -> None:
    first, second = sweeper(store), sweeper(store)
    assert first.turn() == 600
    store.calls.clear()
    assert 590 < second.turn() <= 600
    assert store.calls == [f"get {SWEEPER}"]
    assert 590 < first.turn() <= 600
    assert listings(store) == 0


def test_nobody_sweeps_beside_another(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sweeper(store), sweeper(store)
    waits: list[float] = []

    def meanwhile(_: Retention) -> None:
        monkeypatch.undo()
        waits.append(second.turn())

    monkeypatch.setattr(Retention, "expire", meanwhile)
    first.turn()
    assert 0 < waits[0] <= 180
    assert second.turn() > 180


def die_in_the_sweep(store: Watched, first: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweep so far that the turn is taken, and do not give it back."""

    def die(_: Retention) -> None:
        store.dead = True
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Retention, "expire", die)
        with pytest.raises(StorageUnavailable):
            first.turn()
    store.dead = False
    store.calls.clear()


def test_another_takes_over_from_one_that_died(
    store: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = sweeper(store), sweeper(store), sweeper(store)
    die_in_the_sweep(store, first, monkeypatch)
    assert second.turn() == 180
    clock.now += 100
    assert (second.turn(), third.turn()) == (80, 180)
    assert listings(store) == 0
    clock.now += 81
    assert second.turn() == 600
    assert listings(store) > 0
    assert "has died" in caplog.text
    assert third.turn() == 600


def test_signs_of_life_keep_the_turn(
    store: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sweeper(store), sweeper(store)
    waits: list[float] = []

    def slow(_: Retention) -> None:
        for _step in range(9):
            waits.append(second.turn())
            clock.now += 100
            first._go_on()

    with monkeypatch.context() as patched:
        patched.setattr(Retention, "expire", slow)
        first.turn()
    assert waits == [180] * 9


def test_who_was_taken_for_dead_stops(
    store: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sweeper(store), sweeper(store)
    events: list[str] = []
    expire = Retention.expire

    def slept(swept: Retention) -> None:
        events.append("begun")
        if len(events) > 1:
            expire(swept)
            return
        second.turn()
        clock.now += 200
        assert second.turn() == 600
        first._go_on()
        events.append("went on")

    monkeypatch.setattr(Retention, "expire", slept)
    assert first.turn() == 600
    assert events == ["begun", "begun"]


def test_a_replica_that_stops_gives_its_turn_back(store: Watched, root: Path) -> None:
    save(store, root, NOW - 2 * DAY)
    stop = threading.Event()
    stop.set()
    Sweeper(store, DAY, DAY, 0.001, stop).turn()
    store.calls.clear()
    assert sweeper(store, 0.001).turn() == 0.001
    assert listings(store) > 0


def test_a_store_that_failed_is_swept_again_by_the_same(
    store: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sweeper(store)
    die_in_the_sweep(store, first, monkeypatch)
    assert first.turn() == 600
    assert listings(store) > 0


def test_a_damaged_document_is_begun_anew(store: Watched) -> None:
    for content in (b"no json", b"[]", b'{"holder": 7}', b'{"folder": "elsewhere/"}'):
        store.store.delete(SWEEPER)
        store.put(SWEEPER, content, "application/json")
        assert sweeper(store).turn() == 600


def test_rounds_of_the_patrol_have_rests(
    store: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    patrols: list[float] = []
    patrol = Retention.patrol

    def noted(swept: Retention, place: Place, most: int) -> Place:
        patrols.append(clock.now)
        return patrol(swept, place, most)

    monkeypatch.setattr(Retention, "patrol", noted)
    one = sweeper(store)
    for _ in range(80):
        assert one.turn() == 600
        clock.now += 600
    assert [(moment - patrols[0]) / 600 for moment in patrols] == [0, 36, 72]


def test_a_clock_that_was_set_back_stops_no_sweep(store: Watched, clock: Clock) -> None:
    one = sweeper(store)
    one.turn()
    clock.now -= 10 * 86400
    store.calls.clear()
    assert one.turn() == 600
    assert listings(store) > 0
