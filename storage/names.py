"""The names of the objects that make up results, cut-outs and what they are made from.

Keys are 32 lower-case hex digits. Any other key is refused here, before it becomes part of a name,
so that the error names what was given.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from storage.errors import InvalidObjectName

RESULTS = "generated/"
TILES = "tiles/"
CUTOUTS = "cutouts/"
SOURCES = "sources/"
MASKS = "masks/"
REFERENCES = "references/"
ANSWERS = "answers/"
OWNED = "owned/"
REQUESTS = "requests/"
UNFINISHED = "unfinished/"
UPLOADS = "uploads/"
CALLBACKS = "callbacks/"
USAGE = "usage/"

SWEEPER = f"sweeper/{'0' * 32}.json"
"""The document about who sweeps the store."""

SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp"}
"""By file format, how the name of a result's image ends."""

_KEY = re.compile(r"[0-9a-f]{32}")
_LATEST_MS = 2**48 - 1


def format_of(recipe: Mapping[str, object]) -> str:
    """Return the file format of a result's image by its recipe, which says none of a PNG's.

    Raises:
        ValueError: It is none that an image has.
    """
    file_format = recipe.get("file_format", "png")
    if not isinstance(file_format, str) or file_format not in SUFFIXES:
        raise ValueError("file_format: it is none that an image has")
    return file_format


def image_name(key: str, file_format: str) -> str:
    """Name a result's image, whose format is one of `SUFFIXES`."""
    return f"{RESULTS}{_checked(key)}.{SUFFIXES[file_format]}"


def image_names(key: str) -> tuple[str, ...]:
    """Return the names that a result's image may have, of which it has one."""
    return tuple(image_name(key, file_format) for file_format in SUFFIXES)


def tiles_prefix(key: str) -> str:
    """Return the prefix of all smaller copies of a result's image."""
    return TILES + _checked(key)


def tile_name(key: str, width: int) -> str:
    """Name a smaller copy of a result's image, by its width in pixels."""
    return f"{tiles_prefix(key)}-{width}.webp"


def recipe_name(key: str) -> str:
    """Name a result's recipe."""
    return f"{RESULTS}{_checked(key)}.json"


def source_name(key: str) -> str:
    """Name a source photograph."""
    return f"{SOURCES}{_checked(key)}.png"


def mask_name(key: str) -> str:
    """Name a product cut out of a source."""
    return f"{MASKS}{_checked(key)}.png"


def cutout_name(key: str) -> str:
    """Name a cut-out's mask."""
    return f"{CUTOUTS}{_checked(key)}.png"


def cutout_record_name(key: str) -> str:
    """Name a cut-out's record."""
    return f"{CUTOUTS}{_checked(key)}.json"


def cutout_names(key: str) -> tuple[str, ...]:
    """Return the only name that a cut-out's mask has, as `image_names` does of images."""
    return (cutout_name(key),)


PAIRS = {
    RESULTS: (image_names, recipe_name),
    CUTOUTS: (cutout_names, cutout_record_name),
}
"""By folder what a key there stands for: an image, by the names that it may have, and what is
stored moments before it."""


def references_prefix(source: str) -> str:
    """Return the prefix of all references to a source."""
    return REFERENCES + _checked(source)


def reference_name(source: str, result: str) -> str:
    """Name the mark that a result, or a cut-out, needs a source."""
    return f"{references_prefix(source)}{_checked(result)}.json"


def owned_name(owner: str, key: str) -> str:
    """Name the mark that says whose a result is."""
    return f"{owned_prefix(owner)}{_checked(key)}.json"


def owned_prefix(owner: str) -> str:
    """Return the prefix of the marks of all results of one owner."""
    return OWNED + _checked(owner)


def answer_name(key: str) -> str:
    """Name an answer that is kept for its repetition."""
    return f"{ANSWERS}{_checked(key)}.json"


def request_name(owner: str, request: str) -> str:
    """Name the record of a background request, by whose it is and by its own key."""
    return f"{REQUESTS}{_checked(owner)}{_checked(request)}.json"


def unfinished_name(owner: str, request: str) -> str:
    """Name the mark that a background request is not finished."""
    return f"{UNFINISHED}{_checked(owner)}{_checked(request)}.json"


def callback_name(owner: str, request: str) -> str:
    """Name how far the callbacks of a background request are."""
    return f"{CALLBACKS}{_checked(owner)}{_checked(request)}.json"


def uploads_prefix(request: str) -> str:
    """Return the prefix of all files that came with a background request."""
    return UPLOADS + _checked(request)


def upload_name(request: str, number: int, suffix: str) -> str:
    """Name a file that came with a background request, by its number from 1."""
    return f"{uploads_prefix(request)}-{number}.{suffix}"


def usage_name(begin: datetime, replica: str) -> str:
    """Name what a replica, 20 lower-case hex digits, has counted in the day that so begins."""
    return f"{USAGE}{_checked(made_by(begin) + replica)}.json"


def owner_in(recipe: Mapping[str, object]) -> str | None:
    """Return the owner that a recipe names; None where it names none that can have results."""
    owner = recipe.get("owner")
    return owner if isinstance(owner, str) and is_key(owner) else None


def sources_in(document: Mapping[str, object]) -> list[str]:
    """Return the keys of what a recipe or a record says that it was made from."""
    named = (document.get(field) for field in ("photo_key", "mask_key"))
    return list(dict.fromkeys(k for k in named if isinstance(k, str) and is_key(k)))


def made_by(moment: datetime) -> str:
    """Return where in the order of keys those begin that were made at a moment or before.

    A key begins with the time at which it was made: 12 digits that count milliseconds down. So the
    oldest are the last. Keys of older versions are random all through.

    Args:
        moment: Timezone-aware, after 1970.
    """
    return f"{_LATEST_MS - int(moment.timestamp() * 1000):012x}"


OLDEST = made_by(datetime(2020, 1, 1, tzinfo=UTC))
"""Keys after this were not made at a time that they tell."""


def is_key(text: str) -> bool:
    """Return whether a text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def keys_of(name: str) -> tuple[str, str]:
    """Return the key in a valid name, and its second key, which is empty in most names."""
    keys = name.partition("/")[2].partition(".")[0].partition("-")[0]
    return keys[:32], keys[32:]


def _checked(key: str) -> str:
    if not is_key(key):
        raise InvalidObjectName(key)
    return key
