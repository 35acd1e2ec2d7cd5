"""The names of the objects that make up results, cut-outs and what they are made from.

Keys are 32 lower-case hex digits. Any other key is refused here, before it becomes part of a name,
so that the error names what was given.
"""

import re

from storage.errors import InvalidObjectName

RESULTS = "generated/"
CUTOUTS = "cutouts/"
SOURCES = "sources/"
MASKS = "masks/"
REFERENCES = "references/"
ANSWERS = "answers/"

_KEY = re.compile(r"[0-9a-f]{32}")


def image_name(key: str) -> str:
    """Name a result's image."""
    return f"{RESULTS}{_checked(key)}.png"


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


PAIRS = {
    RESULTS: (image_name, recipe_name),
    CUTOUTS: (cutout_name, cutout_record_name),
}
"""By folder what a key there stands for: an image, and what is stored moments before it."""


def references_prefix(source: str) -> str:
    """Return the prefix of all references to a source."""
    return REFERENCES + _checked(source)


def reference_name(source: str, result: str) -> str:
    """Name the mark that a result, or a cut-out, needs a source."""
    return f"{references_prefix(source)}{_checked(result)}.json"


def answer_name(key: str) -> str:
    """Name an answer that is kept for its repetition."""
    return f"{ANSWERS}{_checked(key)}.json"


def keys_of(name: str) -> tuple[str, str]:
    """Return the key in a valid name, and its second key, which is empty in most names."""
    keys = name.partition("/")[2].partition(".")[0]
    return keys[:32], keys[32:]


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidObjectName(key)
    return key
