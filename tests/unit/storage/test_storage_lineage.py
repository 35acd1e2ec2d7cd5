"""Sources and products: kept while any result needs them, whatever happens at the same time."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recorder import PNG, Recorder, key

from storage.errors import ObjectNotFound
from storage.filesystem import FilesystemStore
from storage.lineage import Lineage
from storage.records import Records
from storage.store import ObjectInfo, StoredObject

SOURCE, RESULT, OTHER, NEW = (key(number) for number in (1, 11, 12, 13))
KEPT = [f"masks/{SOURCE}.png", f"sources/{SOURCE}.png"]


@pytest.fixture
def store(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "images")


def conversation(store: Recorder, *results: str) -> None:
    lineage = Lineage(store)
    lineage.refer(SOURCE, results)
    lineage.save_source(SOURCE, PNG)
    lineage.save_mask(SOURCE, PNG + b"product")
    for result in results:
        Records(store).save(result, PNG, {})
    store.calls.clear()


def sources(store: Recorder) -> list[str]:
    return [name for name in store.names() if name.startswith(("masks/", "sources/"))]


def test_sources_and_products_are_apart(store: Recorder) -> None:
    lineage = Lineage(store)
    conversation(store)
    assert lineage.load_source(SOURCE).data == PNG
    assert lineage.load_mask(SOURCE) == PNG + b"product"
    for load in (lineage.load_source, lineage.load_mask):
        with pytest.raises(ObjectNotFound, match=OTHER):
            load(OTHER)
    with pytest.raises(ObjectNotFound):
        Records(store).load_image(SOURCE, "png")


def test_the_last_result_takes_its_sources_along(store: Recorder) -> None:
    conversation(store, RESULT, OTHER)
    records = Records(store)
    records.delete(RESULT, [SOURCE])
    assert sources(store) == KEPT
    # Again, as after a removal that was cut off: it was not the other one.
    records.delete(RESULT, [SOURCE])
    assert sources(store) == KEPT
    records.delete(OTHER, [SOURCE])
    assert store.names() == []


def test_another_source_s_marks_do_not_count(store: Recorder) -> None:
    conversation(store, RESULT)
    Lineage(store).refer(key(2), [OTHER])
    Records(store).delete(RESULT, [SOURCE])
    assert sources(store) == []


def test_the_image_goes_first_and_the_recipe_last(store: Recorder) -> None:
    conversation(store, RESULT)
    Records(store).delete(RESULT, [SOURCE])
    assert store.calls == [
        f"get generated/{RESULT}.json",
        f"delete generated/{RESULT}.png",
        f"delete generated/{RESULT}.jpg",
        f"delete generated/{RESULT}.webp",
        f"list tiles/{RESULT}",
        f"delete references/{SOURCE}{RESULT}.json",
        f"list references/{SOURCE}",
        f"delete masks/{SOURCE}.png",
        f"delete sources/{SOURCE}.png",
        f"delete generated/{RESULT}.json",
    ]


def test_a_result_is_listed_before_it_is_there_and_until_it_is_gone(store: Recorder) -> None:
    records, owner = Records(store), "d" * 32
    records.save(RESULT, PNG, {"owner": owner})
    mark, recipe = f"owned/{owner}{RESULT}.json", f"generated/{RESULT}.json"
    assert store.calls == [f"put {mark}", f"put {recipe}", f"put generated/{RESULT}.png"]
    assert records.of(owner, None, 10) == [RESULT]
    store.calls.clear()
    records.delete(RESULT, [])
    assert store.calls[-2:] == [f"delete {mark}", f"delete {recipe}"]
    assert records.of(owner, None, 10) == []


class Turns:
    """A store whose calls take place in a given order of two callers."""

    def __init__(self, store: FilesystemStore) -> None:
        self.store = store
        self.changed = threading.Condition()
        self.order: list[str] = []
        self.ended: set[str] = set()

    def take(self, caller: str) -> None:
        """Wait for one's turn; those of a caller who has ended are passed over."""
        with self.changed:
            while True:
                while self.order and self.order[0] in self.ended:
                    self.order.pop(0)
                if not self.order or self.order[0] == caller:
                    break
                assert self.changed.wait(30)

    def give(self) -> None:
        with self.changed:
            if self.order:
                self.order.pop(0)
            self.changed.notify_all()

    def end(self, caller: str) -> None:
        with self.changed:
            self.ended.add(caller)
            self.changed.notify_all()


class Caller:
    """One caller's view of a store of turns."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.turns, self.name = turns, name

    def _call(self, method: str, *args: object) -> object:
        self.turns.take(self.name)
        try:
            answer = getattr(self.turns.store, method)(*args)
            return list(answer) if method == "list" else answer
        finally:
            self.turns.give()

    def put(self, name: str, data: bytes, content_type: str) -> None:
        self._call("put", name, data, content_type)

    def get(self, name: str) -> StoredObject:
        return self._call("get", name)

    def delete(self, name: str) -> None:
        self._call("delete", name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._call("list", prefix)

    def check(self) -> None:
        self._call("check")


def run(turns: Turns, order: str, callers: dict[str, Callable[[Caller], None]]) -> None:
    """Run the callers side by side, their store's calls in this order."""
    turns.order, turns.ended = list(order), set()
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            callers[name](Caller(turns, name))
        except BaseException as error:
            failures.append(error)
        finally:
            turns.end(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def orders(first: str, firsts: int, second: str, seconds: int) -> list[str]:
    places = range(firsts + seconds)
    return [
        "".join(first if place in chosen else second for place in places)
        for chosen in itertools.combinations(places, firsts)
    ]


@pytest.mark.parametrize("order", orders("d", 9, "v", 2))
def test_a_variation_beside_a_removal_is_refused_or_keeps_the_source(
    tmp_path: Path, order: str
) -> None:
    store = Recorder(tmp_path)
    conversation(store, RESULT)
    seen: list[bool] = []

    def vary(caller: Caller) -> None:
        Lineage(caller).refer(SOURCE, [NEW])
        try:
            Records(caller).load_image(RESULT, "png")
            seen.append(True)
        except ObjectNotFound:
            seen.append(False)

    def remove(caller: Caller) -> None:
        Records(caller).delete(RESULT, [SOURCE])

    run(Turns(store.store), order, {"d": remove, "v": vary})
    if seen == [True]:
        assert sources(store) == KEPT
        Records(store).save(NEW, PNG, {})
        Records(store).delete(NEW, [SOURCE])
    else:
        # The request is refused, and takes its marks back.
        Records(store).delete(NEW, [SOURCE])
    assert store.names() == []


@pytest.mark.parametrize("order", orders("d", 4, "e", 4))
def test_two_removals_at_once_leave_nothing(tmp_path: Path, order: str) -> None:
    order = "d" * 4 + "e" * 4 + order  # first the images, and what is smaller
    store = Recorder(tmp_path)
    conversation(store, RESULT, OTHER)

    def remove(result: str) -> Callable[[Caller], None]:
        return lambda caller: Records(caller).delete(result, [SOURCE])

    run(Turns(store.store), order, {"d": remove(RESULT), "e": remove(OTHER)})
    assert store.names() == []
