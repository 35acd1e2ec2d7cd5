"""What API keys have used, by day: `python -m storage.usage` tells it as CSV.

Each ingress replica has an object for each day in which it served anybody. It writes that whole
again and again, so what is told of a day is the sum of the day's objects. A name begins with the
time at which its day began, so a day's objects stand together, and the newest day comes first.
"""

import argparse
import csv
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from storage.errors import CorruptObject, StorageError
from storage.names import USAGE, keys_of, made_by, usage_name
from storage.opening import open_store
from storage.reading import load_document
from storage.store import ImageStore
from storage.store_arguments import add_store, settings_of

COUNTED = ("requests", "refused", "failed", "images", "steps", "pixels")
"""What is counted of a key, in the order of the columns."""

_HOUR = timedelta(hours=1)


def save_usage(
    store: ImageStore, day: date, replica: str, keys: Mapping[str, Mapping[str, int]]
) -> None:
    """Write what a replica has counted in a day, over what it wrote before.

    Args:
        store: Where it goes.
        day: The day, in UTC.
        replica: Whose count it is: 20 lower-case hex digits, of one process alone.
        keys: By the name of the API key, empty without one, what was counted of each of `COUNTED`.

    Raises:
        StorageError: As of every `ImageStore`.
    """
    text = json.dumps({"day": day.isoformat(), "keys": keys}, allow_nan=False)
    store.put(usage_name(_begin(day), replica), text.encode(), "application/json")


def usage_of(
    store: ImageStore, first: date | None = None, last: date | None = None
) -> Iterator[tuple[date, dict[str, Counter[str]]]]:
    """Read what was used, the newest day first.

    Args:
        store: Where it is.
        first: The first day, in UTC; None for the oldest that is kept.
        last: The last day, in UTC; None for the newest.

    Yields:
        A day, and what was counted of each API key by its name.

    Raises:
        StorageError: The store cannot be read, or an object in it is not such a count.
    """
    after = "" if last is None else made_by(_begin(last) + _HOUR)
    present: tuple[date, dict[str, Counter[str]]] | None = None
    for info in store.list(USAGE, after):
        if first is not None and keys_of(info.name)[0][:12] > made_by(_begin(first)):
            break
        day, keys = _read(store, info.name)
        if present is None or present[0] != day:
            if present is not None:
                yield present
            present = day, {}
        for name, counts in keys.items():
            present[1].setdefault(name, Counter()).update(counts)
    if present is not None:
        yield present


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _read(store: ImageStore, name: str) -> tuple[date, dict[str, dict[str, int]]]:
    document = load_document(store, name)
    try:
        keys = document["keys"]
        day = date.fromisoformat(document["day"])  # type: ignore[arg-type]  # caught below
        return day, {
            key: {counted: int(counts[counted]) for counted in COUNTED}
            for key, counts in keys.items()  # type: ignore[attr-defined]  # caught below
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CorruptObject(name, "is no count of a day") from None


def main() -> None:
    """Entry point: print what was used in the days that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m storage.usage", description=__doc__)
    add_store(parser)
    for option, which in (("--from", "first"), ("--to", "last")):
        parser.add_argument(
            option,
            dest=which,
            type=date.fromisoformat,
            default=None,
            metavar="YYYY-MM-DD",
            help=f"{which} day, in UTC",
        )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rows = csv.writer(sys.stdout)
    try:
        store = open_store(settings_of(options))
        rows.writerow(["day", "api_key_name", *COUNTED])
        for told, keys in usage_of(store, options.first, options.last):
            for name, counts in sorted(keys.items()):
                rows.writerow([told, name, *(counts[counted] for counted in COUNTED)])
    except (StorageError, ValueError) as error:
        sys.exit(f"storage.usage: {error}")


if __name__ == "__main__":
    main()
