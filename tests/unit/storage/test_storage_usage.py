"""What API keys used, by day: written whole, summed when it is read, and removed in its time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import CorruptObject, InvalidObjectName
from storage.filesystem import FilesystemStore
from storage.names import USAGE, usage_name
from storage.retention import Ages, Place, Retention
from storage.usage import COUNTED, save_usage, usage_of

CHECKOUT = Path(__file__).parents[3]
DAY = timedelta(days=1)
A, B = "a" * 20, "b" * 20
FIRST, SECOND, THIRD = date(2026, 11, 28), date(2026, 11, 29), date(2026, 11, 30)


def counts(requests: int = 0, **others: int) -> dict[str, int]:
    return dict.fromkeys(COUNTED, 0) | {"requests": requests} | others


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    """Three days of two replicas, which served two keys and callers without one."""
    store = FilesystemStore(tmp_path)
    save_usage(store, FIRST, A, {"shop": counts(9, images=3)})
    save_usage(store, SECOND, A, {"shop": counts(1)})
    save_usage(store, SECOND, B, {"shop": counts(2, refused=1), "": counts(4, failed=4)})
    save_usage(store, THIRD, B, {"a, b": counts(1, images=8, steps=32, pixels=2**33)})
    return store


def told(store: FilesystemStore, *days: date | None) -> dict[date, dict[str, int]]:
    return {
        day: {name: found["requests"] for name, found in keys.items()}
        for day, keys in usage_of(store, *days)
    }


def test_a_day_is_the_sum_of_its_replicas(store):
    days = list(usage_of(store))
    assert [day for day, _ in days] == [THIRD, SECOND, FIRST]
    assert days[1][1]["shop"] == Counter(counts(3, refused=1))
    assert days[1][1][""] == Counter(counts(4, failed=4))
    assert days[0][1]["a, b"]["pixels"] == 2**33


def test_what_a_replica_writes_takes_the_place_of_what_it_wrote(store):
    save_usage(store, SECOND, A, {"shop": counts(7)})
    assert told(store)[SECOND] == {"shop": 9, "": 4}


@pytest.mark.parametrize(("days", "found"), [
    ((SECOND, SECOND), [SECOND]), ((None, SECOND), [SECOND, FIRST]), ((SECOND,), [THIRD, SECOND]),
    ((THIRD + DAY, None), []), ((None, FIRST - DAY), []), ((THIRD, FIRST), []),
])  # fmt: skip
def test_days_are_found_by_their_names(store, days, found):
    assert list(told(store, *days)) == found


@pytest.mark.parametrize("text", [
    b"{}", b'{"day": "2026-11-29", "keys": []}', b'{"day": 7, "keys": {}}',
    b'{"day": "2026-11-29", "keys": {"shop": {"requests": 1}}}',
])  # fmt: skip
def test_what_is_no_count_is_named(store, text):
    name = usage_name(datetime(2026, 11, 29, tzinfo=UTC), "c" * 20)
    store.put(name, text, "application/json")
    with pytest.raises(CorruptObject, match=name):
        list(usage_of(store))


def test_a_replica_has_a_name_that_objects_may_have(store):
    with pytest.raises(InvalidObjectName):
        save_usage(store, FIRST, "../../etc", {})


@pytest.mark.parametrize(("retention", "left"), [
    (None, 4), (3 * DAY, 4), (DAY, 3), (timedelta(hours=1), 1),
])  # fmt: skip
def test_days_are_removed_so_long_after_their_end(store, retention, left):
    now = datetime(2026, 11, 30, 1, 30, tzinfo=UTC)
    swept = Retention(store, Ages(now, usage_retention=retention), lambda: None)
    swept.expire()
    assert len(list(store.list(USAGE))) == left
    assert swept.removed == 4 - left


def test_the_patrol_leaves_them(store):
    Retention(store, Ages(datetime.now(UTC), DAY, DAY, DAY), lambda: None).patrol(Place(), None)
    assert len(list(store.list(USAGE))) == 4


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "storage.usage", *map(str, arguments)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


def test_the_command_prints_it_as_csv(store, tmp_path):
    ran = run("--path", tmp_path, "--from", SECOND)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "day,api_key_name,requests,refused,failed,images,steps,pixels",
        '2026-11-30,"a, b",1,0,0,8,32,8589934592',
        "2026-11-29,,4,0,4,0,0,0",
        "2026-11-29,shop,3,1,0,0,0,0",
    ]


def test_the_command_says_what_is_wrong(tmp_path):
    assert "invalid" in run("--path", tmp_path, "--from", "yesterday").stderr
    assert "is not a folder" in run("--path", tmp_path / "none").stderr
    FilesystemStore(tmp_path).put(usage_name(datetime.now(UTC), A), b"[]", "application/json")
    broken = run("--path", tmp_path)
    assert (broken.returncode, broken.stderr.startswith("storage.usage: ")) == (1, True)
