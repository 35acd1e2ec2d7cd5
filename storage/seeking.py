"""Finds the names of given keys in one folder, in few requests where the keys are neighbours."""

from collections.abc import Iterator
from itertools import islice

from storage.names import keys_of
from storage.store import ImageStore, ObjectInfo

# So many names that are passed over cost less than a listing that begins anew.
_NEAR = 1000


class Seeker:
    """Finds names in a folder. What it has read may be old, so it is made anew for each few keys.

    Args:
        store: Where the objects are kept.
        folder: With its slash.
    """

    def __init__(self, store: ImageStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._listing: Iterator[ObjectInfo] = iter(())
        self._next: ObjectInfo | None = None
        self._begun = ""
        self._sought = ""
        self._found: list[str] = []

    def names_of(self, key: str, most: int = 8) -> list[str]:
        """Return names that begin with a key.

        Args:
            key: One key or two, one after the other; best after the one before.
            most: Names, at most.
        """
        if not self._begun or key < self._sought:
            self._begin(key)
        elif key == self._sought:
            return self._found
        passed = 0
        while self._next is not None and self._text(self._next)[: len(key)] < key:
            passed += 1
            if passed > _NEAR:
                self._begin(key)
            else:
                self._advance()
        self._sought, self._found = key, []
        while (
            self._next is not None
            and self._text(self._next).startswith(key)
            and len(self._found) < most
        ):
            self._found.append(self._next.name)
            self._advance()
        return self._found

    def _begin(self, key: str) -> None:
        self._begun = key
        self._listing = self._store.list(self._folder, key)
        self._advance()

    def _advance(self) -> None:
        self._next = next(self._listing, None)

    @staticmethod
    def _text(info: ObjectInfo) -> str:
        return "".join(keys_of(info.name))


def groups(
    listing: Iterator[ObjectInfo], most: int
) -> Iterator[list[tuple[str, list[ObjectInfo]]]]:
    """Cut a listing into pieces, in which the names of the same keys stand together.

    Args:
        listing: Of one folder.
        most: Names of a piece, about.

    Yields:
        Pairs of the keys, one after the other, and what is named after them.
    """
    piece: list[tuple[str, list[ObjectInfo]]] = []
    count = 0
    for info in listing:
        keys = "".join(keys_of(info.name))
        if piece and piece[-1][0] == keys:
            piece[-1][1].append(info)
        else:
            if count >= most:
                yield piece
                piece, count = [], 0
            piece.append((keys, [info]))
        count += 1
    if piece:
        yield piece


def owners(store: ImageStore, folder: str) -> Iterator[str]:
    """Return the first keys of a folder's names, each once, with one request for each.

    Args:
        store: Where the objects are kept.
        folder: One whose names have two keys, with its slash.
    """
    after = ""
    while info := next(islice(store.list(folder, after), 1), None):
        owner = keys_of(info.name)[0]
        yield owner
        after = f"{owner}~"
