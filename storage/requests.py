"""The stored background requests: records, marks of the unfinished, and files they came with.

A request is named by whose it is and by its own key. So nobody who asks for a request of another
owner finds it, and the names of one owner's requests stand together. A record is replaced version
by version: of two who write at the same time one learns that it was not the first.

The mark is written before all else and removed last. So whatever a request has stored can be told
from what a broken-off one has left behind.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Literal

from storage.names import (
    REQUESTS,
    UNFINISHED,
    keys_of,
    request_name,
    unfinished_name,
    upload_name,
    uploads_prefix,
)
from storage.store import SwappingStore
from storage.versions import load_version, save_version

Bound = Literal["own", "all"]
"""Which bound a request would pass: that of its owner, or that of all together."""

_SUFFIXES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"RIFF": "webp"}


class Requests:
    """Background requests in a store. Blocks; may be used from any thread.

    Owners and keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every method
    also raises what its `SwappingStore` raises.
    """

    def __init__(self, store: SwappingStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def enter(self, owner: str, request: str, most_own: int, most: int) -> Bound | None:
        """Mark a request as unfinished, unless too many are; repeating it is harmless.

        Of several that enter at the same time more may be refused than would have to be, but never
        fewer.

        Args:
            owner: Whose it is.
            request: Its key.
            most_own: Unfinished requests of one owner, at most.
            most: Unfinished requests of all owners, at most.

        Returns:
            None when it is marked, else the bound that it would pass.
        """
        name = unfinished_name(owner, request)
        self._store.put(name, b"{}", "application/json")
        owners = [keys_of(info.name)[0] for info in self._store.list(UNFINISHED)]
        passed: Bound | None = None
        if owners.count(owner) > most_own:
            passed = "own"
        elif len(owners) > most:
            passed = "all"
        if passed:
            self._store.delete(name)
        return passed

    def unfinished(self) -> list[tuple[str, str]]:
        """Return owner and key of every unfinished request."""
        return [keys_of(info.name) for info in self._store.list(UNFINISHED)]

    def leave(self, owner: str, request: str) -> None:
        """Remove the files of a finished request, and its mark; repeating it is harmless."""
        for info in list(self._store.list(uploads_prefix(request))):
            self._store.delete(info.name)
        self._store.delete(unfinished_name(owner, request))

    def save(
        self, owner: str, request: str, record: Mapping[str, object], version: str
    ) -> str | None:
        """Replace one version of a record.

        Args:
            owner: Whose it is.
            request: Its key.
            record: What to store, of JSON types only.
            version: Of the record that is replaced; empty where there is none yet.

        Returns:
            The version of what was stored; None where somebody else has replaced that version.
        """
        return save_version(self._store, request_name(owner, request), record, version)

    def load(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """Load a record and its version; None where there is none.

        Raises:
            CorruptObject: The object is not a JSON object.
        """
        return load_version(self._store, request_name(owner, request))

    def of(self, owner: str, after: str | None, most: int) -> list[str]:
        """Return the keys of an owner's requests, in the order of these.

        Args:
            owner: Whose.
            after: The key after which to begin, which need not be there any more; None for the
                beginning.
            most: Keys, at most.
        """
        passed = "" if after is None else f"{owner}{after}~"
        records = self._store.list(REQUESTS + owner, passed)
        return [keys_of(info.name)[1] for info in islice(records, most)]

    def save_uploads(self, request: str, files: Mapping[int, bytes]) -> None:
        """Store the files that came with a request, PNG, JPEG or WebP, by their numbers from 1.

        Raises:
            ValueError: A file is none of these.
        """
        for number, data in files.items():
            suffix = next((end for start, end in _SUFFIXES.items() if data.startswith(start)), None)
            if suffix is None:
                raise ValueError("a file is neither PNG nor JPEG nor WebP")
            name = upload_name(request, number, suffix)
            self._store.put(name, data, _CONTENT_TYPES[suffix])

    def load_uploads(self, request: str) -> dict[int, bytes]:
        """Load the files that came with a request, by their numbers."""
        return {
            int(info.name.rpartition("-")[2].partition(".")[0]): self._store.get(info.name).data
            for info in self._store.list(uploads_prefix(request))
        }


_CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
