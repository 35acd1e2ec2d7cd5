"""Removes what is too old: results, cut-outs, and sources that neither needs any more.

Names that begin with their time tell where in a listing the old ones begin, so only these are read.
What that does not find, such as what unfinished work left behind and names of older versions, is
found by a patrol: it reads the whole store, a bounded number of names in each sweep.

Nothing is held in memory but one piece of a listing.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from storage.cutouts import CutOuts
from storage.errors import StorageError
from storage.lineage import Lineage
from storage.names import (
    ANSWERS,
    CUTOUTS,
    MASKS,
    OLDEST,
    OWNED,
    PAIRS,
    REFERENCES,
    REQUESTS,
    RESULTS,
    SOURCES,
    TILES,
    USAGE,
    made_by,
)
from storage.records import Records
from storage.request_retention import RequestRetention
from storage.seeking import Seeker, groups, owners
from storage.store import ImageStore, ObjectInfo

# After this long the image of a recipe or of a mark never comes.
_HALF_PAIR_MAX_AGE = timedelta(hours=1)
# A reference is written when a request begins, and no request may take more than a day.
_PENDING_MAX_AGE = timedelta(hours=25)
_DAY = timedelta(days=1)
# Names that are looked at before others are asked whether to go on.
_PIECE = 1000
# Removals at the same time: a removal is a dozen requests one after the other.
_THREADS = 8
# Waiting removals of one piece, so that a store that fails is noticed early.
_BATCH = 64

FOLDERS = (
    RESULTS,
    CUTOUTS,
    TILES,
    OWNED,
    REFERENCES,
    SOURCES,
    MASKS,
    ANSWERS,
    REQUESTS,
)
"""What the patrol reads, in its order: what stands for the rest first."""

_logger = logging.getLogger(__name__)

_Group = tuple[str, list[ObjectInfo]]
# What is told of it where it fails, and what removes it and returns how much that was.
_Removal = tuple[str, Callable[[], int]]


@dataclass(frozen=True, slots=True)
class Ages:
    """From which age on things are removed; None keeps them for ever.

    Attributes:
        now: The present time, timezone-aware.
        retention: Of results, cut-outs and kept answers, and of sources that nothing needs. Without
            it a source that nothing needs is kept for the time that a request may take.
        request_retention: Of finished background requests.
        usage_retention: Of counts of what API keys use, from the end of their day on.
    """

    now: datetime
    retention: timedelta | None = None
    request_retention: timedelta | None = None
    usage_retention: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """How far the patrol is.

    Attributes:
        folder: What it reads, one of `FOLDERS`; empty between two rounds.
        after: The keys that it has read last.
    """

    folder: str = FOLDERS[0]
    after: str = ""


class Retention:
    """One sweep over a store. An object that cannot be removed is logged and skipped.

    Every method raises `StorageError` when the store cannot list, or fails as a whole while objects
    are removed.

    Attributes:
        removed: Results, cut-outs, sources, lone recipes, kept answers, counts of usage, and
            objects of background requests that were removed.

    Args:
        store: Where the objects are kept.
        ages: What is too old.
        go_on: Is called again and again; by an exception it ends the sweep.
    """

    def __init__(self, store: ImageStore, ages: Ages, go_on: Callable[[], None]) -> None:
        self._store = store
        self._ages = ages
        self._go_on = go_on
        self._lineage = Lineage(store)
        self._expire = {RESULTS: Records(store).expire, CUTOUTS: CutOuts(store).expire}
        self._requests = RequestRetention(store, ages.request_retention, ages.now)
        self.removed = 0

    def expire(self) -> None:
        """Remove what is too old by its name."""
        self.removed += self._requests.clear()
        ages = self._ages
        if ages.retention is not None:
            after = made_by(ages.now - ages.retention)
            for folder in PAIRS:
                self._walk(folder, folder, after, OLDEST)
        if ages.request_retention is not None:
            after = made_by(ages.now - ages.request_retention)
            for owner in owners(self._store, REQUESTS):
                self._walk(REQUESTS, REQUESTS + owner, owner + after, owner + OLDEST)
        if ages.usage_retention is not None:
            after = made_by(ages.now - ages.usage_retention - _DAY)
            self._walk(USAGE, USAGE, after, OLDEST)

    def patrol(self, place: Place, most: int | None) -> Place:
        """Look at the next names of the store, whatever they tell.

        Args:
            place: How far it is.
            most: Names, about; None goes to the end of the round.

        Returns:
            How far it is then.
        """
        folders = FOLDERS[FOLDERS.index(place.folder) :]
        after = place.after
        for folder in folders:
            seen = 0
            for piece in groups(self._store.list(folder, after), _PIECE):
                self._look(folder, piece)
                self._go_on()
                seen += sum(len(infos) for _, infos in piece)
                if most is not None and seen >= most:
                    return Place(folder, f"{piece[-1][0]}~")
            most = None if most is None else most - seen
            after = ""
        return Place("")

    def _walk(self, folder: str, prefix: str, after: str, until: str) -> None:
        for piece in groups(self._store.list(prefix, after), _PIECE):
            self._look(folder, [group for group in piece if group[0] <= until])
            self._go_on()
            if piece[-1][0] > until:
                return

    def _look(self, folder: str, piece: list[_Group]) -> None:
        """Remove what must go of a piece of a folder's listing.

        Whatever else is looked up for it is read after it was listed, because what stands for a
        result is written last and removed first; see `storage.lineage`.
        """
        if folder in PAIRS:
            self._attempt(self._old_pairs(folder, piece))
        elif folder == TILES:
            self._attempt(self._lone_tiles(piece))
        elif folder == OWNED:
            self._attempt(self._lone_marks_of_owners(piece))
        elif folder == REFERENCES:
            self._attempt(self._lone_references(piece))
        elif folder in (SOURCES, MASKS):
            self._attempt(self._lone_sources(piece))
        elif folder == ANSWERS:
            self._attempt(self._old_answers(piece))
        elif folder == USAGE:
            names = (info.name for _, infos in piece for info in infos)
            self._attempt((name, partial(self._delete, name, 1)) for name in names)
        else:
            self.removed += self._requests.look(info for _, infos in piece for info in infos)

    def _old_pairs(self, folder: str, piece: list[_Group]) -> Iterator[_Removal]:
        recipe_of = PAIRS[folder][1]
        for key, infos in piece:
            images = [info for info in infos if info.name != recipe_of(key)]
            age = self._ages.retention if images else _HALF_PAIR_MAX_AGE
            last = max(images or infos, key=lambda info: info.modified)
            if self._older(last, age):
                yield last.name, partial(self._expire[folder], key)

    def _lone_tiles(self, piece: list[_Group]) -> Iterator[_Removal]:
        results = _Images(self._store, RESULTS)
        for key, infos in piece:
            if not results.there(key):
                for info in infos:
                    yield info.name, partial(self._delete, info.name)

    def _lone_marks_of_owners(self, piece: list[_Group]) -> Iterator[_Removal]:
        results = _Images(self._store, RESULTS)
        for keys, (info, *_) in piece:
            if self._older(info, _HALF_PAIR_MAX_AGE) and not results.there(keys[32:]):
                yield info.name, partial(self._delete, info.name)

    def _lone_references(self, piece: list[_Group]) -> Iterator[_Removal]:
        results, cutouts = _Images(self._store, RESULTS), _Images(self._store, CUTOUTS)
        for keys, (info, *_) in piece:
            source, result = keys[:32], keys[32:]
            if (
                self._older(info, _PENDING_MAX_AGE)
                and not results.there(result)
                and not cutouts.there(result)
            ):
                yield info.name, partial(self._lineage.release, source, result)

    def _lone_sources(self, piece: list[_Group]) -> Iterator[_Removal]:
        references = Seeker(self._store, REFERENCES)
        age = _PENDING_MAX_AGE if self._ages.retention is None else self._ages.retention
        for key, (info, *_) in piece:
            if self._older(info, age) and not references.names_of(key, 1):
                yield info.name, partial(self._lineage.remove, key)

    def _old_answers(self, piece: list[_Group]) -> Iterator[_Removal]:
        for _, (info, *_) in piece:
            if self._older(info, self._ages.retention):
                yield info.name, partial(self._delete, info.name, 1)

    def _delete(self, name: str, counts: int = 0) -> int:
        self._store.delete(name)
        return counts

    def _older(self, info: ObjectInfo, age: timedelta | None) -> bool:
        return age is not None and self._ages.now - info.modified > age

    def _attempt(self, removals: Iterator[_Removal]) -> None:
        while batch := list(islice(removals, _BATCH)):
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="storage-sweep") as threads:
                self.removed += sum(threads.map(self._count, batch))
            self._go_on()

    def _count(self, removal: _Removal) -> int:
        name, remove = removal
        try:
            return int(remove())
        except StorageError as error:
            # One broken object is skipped. When the whole store fails, `check` raises: otherwise
            # each of thousands of objects would wait for its timeout.
            self._store.check()
            _logger.warning("could not remove %s: %s", name, error)
            return 0


class _Images:
    """Tells of keys, best in their order, whether their images are there."""

    def __init__(self, store: ImageStore, folder: str) -> None:
        self._seeker = Seeker(store, folder)
        self._recipe_of = PAIRS[folder][1]

    def there(self, key: str) -> bool:
        """Whether the image is there, and not its recipe alone."""
        return any(name != self._recipe_of(key) for name in self._seeker.names_of(key))
