"""Removes what is too old: results, cut-outs, and sources that neither needs any more."""

import logging
from datetime import datetime, timedelta

from storage.errors import StorageError
from storage.names import (
    ANSWERS,
    MASKS,
    OWNED,
    PAIRS,
    REFERENCES,
    SOURCES,
    TILES,
    keys_of,
    mask_name,
    source_name,
)
from storage.store import ImageStore

# After this long the image of a recipe or of a record never comes.
_HALF_PAIR_MAX_AGE = timedelta(hours=1)
# A reference is written when a request begins, and no request may take more than a day.
_PENDING_MAX_AGE = timedelta(hours=25)

_logger = logging.getLogger(__name__)


def sweep(store: ImageStore, retention: timedelta | None, now: datetime) -> int:
    """Remove what is too old, and what unfinished work left behind.

    A source stays as long as any result or cut-out made from it. An object that cannot be removed
    is logged and skipped.

    Args:
        store: Where the objects are kept.
        retention: Results, cut-outs and kept answers older than this are removed, and so are
            sources that are older and that nothing needs. None keeps them for ever, and keeps a
            source that nothing needs for the time that a request may take.
        now: The present time, timezone-aware.

    Returns:
        The number of results, cut-outs, sources, lone recipes and kept answers that were removed.

    Raises:
        StorageError: The store cannot list, or fails as a whole while objects are removed.
    """
    # Listed before the images, because a tile is written after its image.
    tiles = [info.name for info in store.list(TILES)]
    images: dict[str, datetime] = {}
    recipes: dict[str, datetime] = {}
    names: dict[str, tuple[str, ...]] = {}
    for folder, (_, recipe_of) in PAIRS.items():
        for info in store.list(folder):
            key = keys_of(info.name)[0]
            if info.name == recipe_of(key):
                recipes[key] = info.modified
                names.setdefault(key, (info.name,))
            else:
                images[key] = info.modified
                names[key] = info.name, recipe_of(key)
    # Listed before the references, because a source is written after its references.
    sources: dict[str, datetime] = {}
    for folder in (SOURCES, MASKS):
        for info in store.list(folder):
            key = keys_of(info.name)[0]
            sources[key] = max(info.modified, sources.get(key, info.modified))

    unneeded_age = _PENDING_MAX_AGE if retention is None else retention
    old = [key for key, modified in images.items() if _older(modified, retention, now)]
    lone = [
        key
        for key, modified in recipes.items()
        if key not in images and now - modified > _HALF_PAIR_MAX_AGE
    ]
    gone = {key for key in old + lone if _removed(store, *names[key])}
    for tile in tiles:
        key = keys_of(tile)[0]
        if key not in images or key in gone:
            _removed(store, tile)

    for info in store.list(OWNED):
        result = keys_of(info.name)[1]
        if result in gone or (result not in images and now - info.modified > _HALF_PAIR_MAX_AGE):
            _removed(store, info.name)

    # Listed after the images were removed, as `storage.lineage` demands.
    needed = set()
    for info in store.list(REFERENCES):
        source, result = keys_of(info.name)
        never_came = result not in images and now - info.modified > _PENDING_MAX_AGE
        if not ((result in gone or never_came) and _removed(store, info.name)):
            needed.add(source)
    unneeded = [
        key
        for key, modified in sources.items()
        if key not in needed and _older(modified, unneeded_age, now)
    ]
    answers = [info.name for info in store.list(ANSWERS) if _older(info.modified, retention, now)]
    return (
        len(gone)
        + sum(_removed(store, mask_name(key), source_name(key)) for key in unneeded)
        + sum(_removed(store, name) for name in answers)
    )


def _older(modified: datetime, age: timedelta | None, now: datetime) -> bool:
    """Tell whether something is older than an age; nothing is older than None."""
    return age is not None and now - modified > age


def _removed(store: ImageStore, *names: str) -> bool:
    try:
        for name in names:
            store.delete(name)
    except StorageError as error:
        # One broken object is skipped. When the whole store fails, `check` raises: otherwise each
        # of thousands of objects would wait for its timeout.
        store.check()
        _logger.warning("could not remove %s: %s", names[0], error)
        return False
    return True
