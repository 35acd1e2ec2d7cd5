"""Where the files of a filesystem store lie: by the time that their keys tell.

A shelf is a folder of files whose keys begin alike: with six digits, which is the time to about
five hours. A name with two keys is shelved by the first, if that tells a time, and else by the
second, on a shelf of its own for the first. So the files of one owner lie together, and in the
order of their time. Files without a time in their names lie beside the shelves.
"""

import re
from collections.abc import Sequence

from storage.names import keys_of

# The times of 2004 to 2074, counted down. A random key begins so once in 128 times.
_TIMED = re.compile("f[de]")
_DIGITS = 6
_SHELF = re.compile("[0-9a-f]{6}|[0-9a-f]{32}")


def shelf_of(name: str) -> tuple[str, ...]:
    """Return the folders, one in the other, in which the file of a valid name is put."""
    folder = name.partition("/")[0]
    first, second = keys_of(name)
    if _TIMED.match(first):
        return folder, first[:_DIGITS]
    if _TIMED.match(second):
        return folder, first, second[:_DIGITS]
    return (folder,)


def places_of(name: str) -> Sequence[tuple[str, ...]]:
    """Return where the file of a valid name may lie: older versions put all into one folder."""
    place = shelf_of(name)
    return (place,) if len(place) == 1 else (place, place[:1])


def is_shelf(folder: str) -> bool:
    """Whether a folder's name is that of a shelf."""
    return _SHELF.fullmatch(folder) is not None


def may_hold(begin: str, start: str, after: str) -> bool:
    """Whether names of a shelf can be among those that are wanted.

    Args:
        begin: What the names there begin with.
        start: What the wanted ones begin with.
        after: What the wanted ones come after.
    """
    return (begin.startswith(start) or start.startswith(begin)) and begin >= after[: len(begin)]
