"""What a sweep costs: requests to the store, seconds, and memory, by how much the store holds.

usage: python -m tests.bench.sweeps [--names 1000000 10000000] [--objects 100000]

With `--names` the store is a listing that is computed and not held: results in conversations of
four, each with its photo, its product, their marks and its owner's, spread evenly over thirty days
and ten minutes more, so that what was made in the first ten minutes is too old. A thousand names of
a listing are one request, and so is each object that is read, written or removed. A row is one
process: `whole listing` reads all names and holds what a sweep would compare, as sweeps once did;
`expire` removes what is too old by its name; `patrol` is a piece of the patrol as one sweep does
it. With `--objects` so many real objects are stored on an S3 server, and a hundredth of the results
is too old; nothing is computed then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.names import PAIRS, REFERENCES, keys_of, made_by, recipe_name
from storage.retention import Ages, Place, Retention
from storage.store import ImageStore, ObjectInfo, StoredObject

RETENTION = timedelta(days=30)
INTERVAL = timedelta(minutes=10)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
PAGE = 1000
OWNERS = ["0" * 32, "7" * 32, "d" * 32]
NAMES_OF_FOUR = 18
ONE_PATROL = 20_000


class Counted:
    """Counts requests; whoever inherits does the work."""

    def __init__(self) -> None:
        self.requests = dict.fromkeys(("list", "get", "put", "delete"), 0)

    def counted(self, names: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        """Count a listing as its pages are read."""
        self.requests["list"] += 1
        for number, info in enumerate(names, 1):
            yield info
            if number % PAGE == 0:
                self.requests["list"] += 1


class ComputedStore(Counted):
    """An `ImageStore` whose names follow from their numbers; see the module.

    Args:
        conversations: How many there are, of four results each.
    """

    def __init__(self, conversations: int) -> None:
        super().__init__()
        self._conversations = conversations
        self._step = (RETENTION + INTERVAL) / conversations
        self._gone: set[str] = set()

    def _key(self, kind: str, conversation: int, number: int = 0) -> str:
        """The key of a photo, or of a result; later numbers are older, as later conversations."""
        moment = self._moment(conversation) - timedelta(milliseconds=number)
        chance = hashlib.blake2b(f"{kind}{conversation}/{number}".encode(), digest_size=10)
        return made_by(moment) + chance.hexdigest()

    def _moment(self, conversation: int) -> datetime:
        return NOW - conversation * self._step

    def _names(self, folder: str, owner: str, begin: int) -> Iterator[tuple[str, int]]:
        if folder not in ("generated/", REFERENCES, "sources/", "masks/", "owned/"):
            return
        for number in range(begin, self._conversations):
            results = [self._key("result", number, one) for one in range(4)]
            source = self._key("source", number)
            if folder == "generated/":
                for key in results:
                    yield f"{folder}{key}.json", number
                    yield f"{folder}{key}.png", number
            elif folder == REFERENCES:
                for key in results:
                    yield f"{folder}{source}{key}.json", number
            elif folder in ("sources/", "masks/"):
                yield f"{folder}{source}.png", number
            elif folder == "owned/" and OWNERS[number % 3] == owner:
                for key in results:
                    yield f"{folder}{owner}{key}.json", number

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """See `ImageStore.list`."""
        return self.counted(self._list(prefix, after))

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        folder = prefix.partition("/")[0] + "/"
        start = max(prefix, folder + after)
        for owner in OWNERS if folder == "owned/" else [""]:
            told = start[len(folder) + len(owner) :][:12]
            if owner and start[len(folder) :][:32].rstrip("~") != owner:
                if start[len(folder) :] > owner:
                    continue
                told = ""
            for name, number in self._names(folder, owner, self._number(told)):
                if name <= start or name in self._gone:
                    continue
                if not name.startswith(prefix):
                    return
                yield ObjectInfo(name, 1, self._moment(number))

    def _number(self, told: str) -> int:
        if len(told) < 12:
            return 0
        milliseconds = (2**48 - 1) - int(told, 16)
        age = NOW.timestamp() * 1000 - milliseconds
        return max(int(age / (self._step.total_seconds() * 1000)) - 2, 0)

    def get(self, name: str) -> StoredObject:
        """See `ImageStore.get`: the recipe of a result."""
        self.requests["get"] += 1
        milliseconds = (2**48 - 1) - int(keys_of(name)[0][:12], 16)
        age = NOW.timestamp() * 1000 - milliseconds
        near = round(age / (self._step.total_seconds() * 1000))
        for number in (near, near - 1, near + 1):
            keys = [self._key("result", number, one) for one in range(4)]
            if keys_of(name)[0] in keys:
                source = self._key("source", number)
                recipe = {"photo_key": source, "mask_key": source, "owner": OWNERS[number % 3]}
                return StoredObject(json.dumps(recipe).encode(), "application/json", NOW, "")
        raise AssertionError(name)

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """See `ImageStore.put`."""
        self.requests["put"] += 1

    def delete(self, name: str) -> None:
        """See `ImageStore.delete`."""
        self.requests["delete"] += 1
        self._gone.add(name)

    def check(self) -> None:
        """See `ImageStore.check`."""


def whole_listing(store: ImageStore) -> int:
    """Read all names, and hold what a sweep compares."""
    held: dict[str, object] = {}
    for folder in (*PAIRS, "tiles/", "sources/", "masks/", "owned/", REFERENCES):
        for info in store.list(folder):
            held["".join(keys_of(info.name))] = info.modified, info.name
    return 0


def expire(store: ImageStore, now: datetime = NOW) -> int:
    """Remove what is too old by its name."""
    swept = Retention(store, Ages(now, RETENTION, RETENTION), lambda: None)
    swept.expire()
    return swept.removed


def patrol(store: ImageStore, now: datetime = NOW) -> int:
    """Do the piece of the patrol that looks up most: it begins in the marks of sources."""
    swept = Retention(store, Ages(now, RETENTION, RETENTION), lambda: None)
    swept.patrol(Place(REFERENCES), ONE_PATROL)
    return swept.removed


KINDS = {"whole listing": whole_listing, "expire": expire, "patrol": patrol}


def row(kind: str, names: int) -> None:
    """Measure one kind at so many names in this process, and print it."""
    store = ComputedStore(names // NAMES_OF_FOUR)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    removed = KINDS[kind](store)
    seconds = time.monotonic() - begun
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    asked = ", ".join(f"{count} {what}" for what, count in store.requests.items() if count)
    print(f"{names:>10} | {kind:<13} | {removed:>6} | {asked:<36} | {seconds:7.1f} | {peak:7.1f}")


class CountedStore(Counted):
    """A real store whose requests are counted, but for the pages of short listings."""

    def __init__(self, store: ImageStore) -> None:
        super().__init__()
        self._store = store
        self.check = store.check

    def put(self, name: str, data: bytes, content_type: str) -> None:
        """See `ImageStore.put`."""
        self.requests["put"] += 1
        self._store.put(name, data, content_type)

    def get(self, name: str) -> StoredObject:
        """See `ImageStore.get`."""
        self.requests["get"] += 1
        return self._store.get(name)

    def delete(self, name: str) -> None:
        """See `ImageStore.delete`."""
        self.requests["delete"] += 1
        self._store.delete(name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """See `ImageStore.list`."""
        return self.counted(self._store.list(prefix, after))


def real(objects: int) -> None:
    """Store real objects on an S3 server, and measure there."""
    from storage.minio_store import MinioStore
    from storage.settings import MinioSettings
    from tests.s3_server import S3Server

    # They are stored now, so the sweep is done in thirty days' time: then all are old by their
    # dates, and those that their names say were made later are not looked at.
    now = datetime.now(UTC) + RETENTION + timedelta(days=1)
    conversations = objects // NAMES_OF_FOUR
    names = ComputedStore(conversations)
    with tempfile.TemporaryDirectory() as folder, S3Server(Path(folder)) as server:
        store = MinioStore(MinioSettings(endpoint=server.endpoint, secure=False), server.admin)
        store.check()

        def fill(number: int) -> None:
            # One in a hundred is too old by its name.
            made = now - (RETENTION + INTERVAL if number % 100 == 0 else INTERVAL)
            made -= timedelta(milliseconds=10 * number)
            source = made_by(made) + names._key("source", number)[12:]
            for one in range(4):
                key = made_by(made) + names._key("result", number, one)[12:]
                owner = OWNERS[number % 3]
                recipe = {"photo_key": source, "mask_key": source, "owner": owner}
                text = json.dumps(recipe).encode()
                store.put(f"{REFERENCES}{source}{key}.json", b"{}", "application/json")
                store.put(f"owned/{owner}{key}.json", b"{}", "application/json")
                store.put(recipe_name(key), text, "application/json")
                store.put(f"generated/{key}.png", b"\x89PNG", "image/png")
            for place in ("sources", "masks"):
                store.put(f"{place}/{source}.png", b"\x89PNG", "image/png")

        begun = time.monotonic()
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(fill, range(conversations)))
        print(f"{conversations * NAMES_OF_FOUR} objects stored in {time.monotonic() - begun:.0f} s")
        for kind, measured in KINDS.items():
            counted = CountedStore(store)
            begun = time.monotonic()
            removed = measured(counted) if measured is whole_listing else measured(counted, now)
            asked = ", ".join(f"{n} {what}" for what, n in counted.requests.items() if n)
            print(f"{kind:<13} | {removed:>6} | {asked:<36} | {time.monotonic() - begun:7.1f} s")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--objects", type=int, default=0)
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        row(options.row[0], int(options.row[1]))
        return
    if options.objects:
        real(options.objects)
        return
    print(f"{'names':>10} | {'kind':<13} | {'gone':>6} | {'requests':<36} | {'s':>7} | {'MiB':>7}")
    for names in options.names:
        for kind in KINDS:
            command = [sys.executable, "-m", "tests.bench.sweeps", "--row", kind, str(names)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
