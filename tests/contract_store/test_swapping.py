"""One of several writers replaces an object, in both stores; and what is built on that."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage.callbacks import Callbacks
from storage.errors import InvalidObjectName, Superseded
from storage.names import request_name, unfinished_name
from storage.requests import Requests
from storage.store import SwappingStore
from tests.sweeping import sweep

JSON = "application/json"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def key(number: int) -> str:
    return f"{number:032x}"


NAME = request_name(key(1), key(2))


def test_a_version_is_replaced_once(store: SwappingStore) -> None:
    first = store.swap(NAME, b"1", JSON, "")
    second = store.swap(NAME, b"2", JSON, first)
    assert store.get(NAME).data == b"2"
    assert store.get(NAME).version == second != first
    for stale in ("", first):
        with pytest.raises(Superseded):
            store.swap(NAME, b"3", JSON, stale)
    assert store.get(NAME).data == b"2"


def test_a_swap_may_be_repeated(store: SwappingStore) -> None:
    first = store.swap(NAME, b"1", JSON, "")
    assert store.swap(NAME, b"1", JSON, "") == first
    second = store.swap(NAME, b"2", JSON, first)
    assert store.swap(NAME, b"2", JSON, first) == second


def test_what_is_gone_has_no_version(store: SwappingStore) -> None:
    first = store.swap(NAME, b"1", JSON, "")
    store.delete(NAME)
    with pytest.raises(Superseded):
        store.swap(NAME, b"2", JSON, first)
    assert list(store.list("requests/")) == []
    store.swap(NAME, b"2", JSON, "")


def test_what_was_put_can_be_swapped(store: SwappingStore) -> None:
    store.put(NAME, b"1", JSON)
    store.swap(NAME, b"2", JSON, store.get(NAME).version)
    assert store.get(NAME).verified


def test_names_and_types_are_checked(store: SwappingStore) -> None:
    with pytest.raises(InvalidObjectName):
        store.swap("requests/../x.json", b"1", JSON, "")
    with pytest.raises(ValueError, match="holds application/json"):
        store.swap(NAME, b"1", "image/png", "")


@pytest.mark.parametrize("begun", [False, True])
def test_of_many_at_once_one_wins(store: SwappingStore, begun: bool) -> None:
    version = store.swap(NAME, b"{}", JSON, "") if begun else ""

    def write(number: int) -> int | None:
        try:
            store.swap(NAME, json.dumps(number).encode(), JSON, version)
        except Superseded:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [number for number in pool.map(write, range(8)) if number is not None]
    assert [json.loads(store.get(NAME).data)] == won


def test_a_record_is_replaced_version_by_version(store: SwappingStore) -> None:
    requests = Requests(store)
    assert requests.load(key(1), key(2)) is None
    first = requests.save(key(1), key(2), {"n": 1}, "")
    assert requests.save(key(1), key(2), {"n": 2}, "") is None
    second = requests.save(key(1), key(2), {"n": 2}, first)
    assert requests.load(key(1), key(2)) == ({"n": 2}, second)
    assert requests.load(key(3), key(2)) is None


def test_the_bounds_are_never_passed(store: SwappingStore) -> None:
    requests = Requests(store)
    with ThreadPoolExecutor(8) as pool:
        entered = pool.map(lambda n: requests.enter(key(1), key(n), 3, 5), range(8))
        assert sum(bound is None for bound in entered) <= 3
    for number in range(8):
        requests.leave(key(1), key(number))
    assert [requests.enter(key(1), key(n), 3, 5) for n in range(5)] == [None] * 3 + ["own"] * 2
    assert [requests.enter(key(2), key(n), 3, 5) for n in range(3)] == [None] * 2 + ["all"]
    assert requests.enter(key(1), key(0), 3, 5) is None
    assert len(requests.unfinished()) == 5
    requests.leave(key(1), key(0))
    assert (key(1), key(0)) not in requests.unfinished()


def test_files_come_back_by_their_numbers_and_go_with_the_mark(store: SwappingStore) -> None:
    requests = Requests(store)
    files = {1: PNG, 3: b"\xff\xd8\xff" + b"photo", 2: b"RIFFxxxxWEBP"}
    requests.enter(key(1), key(2), 1, 1)
    requests.save_uploads(key(2), files)
    requests.save_uploads(key(5), {1: PNG + b"other"})
    assert requests.load_uploads(key(2)) == files
    requests.leave(key(1), key(2))
    assert requests.load_uploads(key(2)) == {}
    assert requests.unfinished() == []
    assert requests.load_uploads(key(5)) == {1: PNG + b"other"}
    with pytest.raises(ValueError, match="neither PNG"):
        requests.save_uploads(key(2), {1: b"GIF89a"})


def test_an_owners_requests_are_listed_in_pages(store: SwappingStore) -> None:
    requests = Requests(store)
    for number in range(5):
        requests.save(key(1), key(number), {}, "")
    requests.save(key(2), key(9), {}, "")
    assert requests.of(key(1), None, 2) == [key(0), key(1)]
    assert requests.of(key(1), key(1), 9) == [key(2), key(3), key(4)]
    assert requests.of(key(3), None, 9) == []


def test_the_sweep_leaves_what_is_unfinished(store: SwappingStore) -> None:
    requests = Requests(store)
    for number in (1, 2):
        requests.enter(key(1), key(number), 9, 9)
        requests.save(key(1), key(number), {}, "")
        requests.save_uploads(key(number), {1: PNG})
    store.delete(unfinished_name(key(1), key(2)))  # a crash, between the record and the rest
    requests.enter(key(1), key(3), 9, 9)  # a crash before the record
    now = datetime.now(UTC)
    assert sweep(store, None, now, timedelta(days=1)) == 0
    assert sweep(store, None, now + timedelta(days=2), None) == 2
    assert requests.load_uploads(key(2)) == {}
    assert requests.unfinished() == [(key(1), key(1))]
    assert sweep(store, None, now + timedelta(days=2), timedelta(days=1)) == 1
    assert requests.of(key(1), None, 9) == [key(1)]
    assert requests.load_uploads(key(1)) == {1: PNG}


def test_callbacks_are_kept_beside_the_record(store: SwappingStore) -> None:
    callbacks = Callbacks(store)
    assert (callbacks.load(key(1), key(2)), callbacks.all()) == (None, [])
    first = callbacks.save(key(1), key(2), {"after": 0}, "")
    assert callbacks.save(key(1), key(2), {"after": 1}, "") is None
    second = callbacks.save(key(1), key(2), {"after": 1}, first)
    assert callbacks.load(key(1), key(2)) == ({"after": 1}, second)
    assert callbacks.all() == [(key(1), key(2))]
    for _ in range(2):
        callbacks.remove(key(1), key(2))
    assert callbacks.all() == []


def test_a_request_stays_as_long_as_it_is_told_of(store: SwappingStore) -> None:
    requests, callbacks = Requests(store), Callbacks(store)
    for number in (1, 2):  # the first has not ended
        requests.save(key(1), key(number), {}, "")
        callbacks.save(key(1), key(number), {}, "")
    requests.enter(key(1), key(1), 9, 9)
    callbacks.save(key(1), key(3), {}, "")  # a crash before the record
    now, hour = datetime.now(UTC), timedelta(hours=1)
    assert sweep(store, None, now, hour) == 0
    assert sweep(store, None, now + 30 * hour, hour) == 1
    assert callbacks.all() == [(key(1), key(1)), (key(1), key(2))]
    # No try for two days: nobody tells of it any more.
    assert sweep(store, None, now + 49 * hour, hour) == 2
    assert callbacks.all() == [(key(1), key(1))]
    assert requests.of(key(1), None, 9) == [key(1)]
