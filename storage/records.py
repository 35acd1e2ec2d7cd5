"""What is stored: results, each an image with its recipe, and source photographs.

Knows which objects make up a result and in which order they are written and
removed. Knows neither where they are kept nor what a recipe means.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from storage.errors import CorruptObject, InvalidObjectName, StorageError
from storage.store import ImageStore, StoredObject

_KEY = re.compile(r"[0-9a-f]{32}")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A recipe is written moments before its image; after this long the image never comes.
_HALF_PAIR_MAX_AGE = timedelta(hours=1)

_logger = logging.getLogger(__name__)


class Records:
    """Results and sources in a store. Blocks; may be used from any thread.

    Keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every
    method also raises what its `ImageStore` raises.
    """

    def __init__(self, store: ImageStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def save(self, key: str, png: bytes, recipe: Mapping[str, object]) -> None:
        """Store a result; repeating it is harmless.

        Args:
            key: The result's key.
            png: The encoded image.
            recipe: How it was made, of JSON types only.

        Raises:
            TypeError: The recipe holds something that JSON does not have.
            ValueError: The recipe holds a number that JSON does not have.
        """
        image_name, recipe_name = _image_name(key), _recipe_name(key)
        text = json.dumps(recipe, allow_nan=False)
        # The recipe first: an image that exists always has its recipe.
        self._store.put(recipe_name, text.encode(), "application/json")
        self._store.put(image_name, png, "image/png")

    def load_image(self, key: str) -> StoredObject:
        """Load a result's image.

        Args:
            key: The result's key.

        Returns:
            The image; its data starts as a PNG does.

        Raises:
            ObjectNotFound: There is no such result.
            CorruptObject: The object is not a PNG.
        """
        return self._load_png(_image_name(key))

    def load_recipe(self, key: str) -> dict[str, object]:
        """Load a result's recipe.

        Args:
            key: The result's key.

        Returns:
            The recipe as it was saved.

        Raises:
            ObjectNotFound: There is no such recipe.
            CorruptObject: The object is not a JSON object.
        """
        name = _recipe_name(key)
        try:
            recipe = json.loads(self._store.get(name).data)
        except (ValueError, RecursionError):
            raise CorruptObject(name, "is not JSON") from None
        if not isinstance(recipe, dict):
            raise CorruptObject(name, "is not a JSON object")
        return recipe

    def save_source(self, key: str, png: bytes) -> None:
        """Store a source photograph; repeating it is harmless.

        Args:
            key: The source's key.
            png: The encoded image.
        """
        self._store.put(_source_name(key), png, "image/png")

    def load_source(self, key: str) -> StoredObject:
        """Load a source photograph.

        Args:
            key: The source's key.

        Returns:
            The image; its data starts as a PNG does.

        Raises:
            ObjectNotFound: There is no such source.
            CorruptObject: The object is not a PNG.
        """
        return self._load_png(_source_name(key))

    def delete(self, key: str) -> None:
        """Remove a result; one that is not there counts as removed.

        Args:
            key: The result's key.
        """
        # The image first, for the same reason as in `save`.
        self._store.delete(_image_name(key))
        self._store.delete(_recipe_name(key))

    def sweep(self, retention: timedelta, now: datetime) -> int:
        """Remove what is too old, and recipes whose image never came.

        An object that cannot be removed is logged and passed over.

        Args:
            retention: Results and sources older than this are removed.
            now: The present time, timezone-aware.

        Returns:
            How many results, sources and lone recipes were removed.

        Raises:
            StorageError: The store cannot list, or fails altogether while objects
                are being removed.
        """
        images: dict[str, datetime] = {}
        recipes: dict[str, datetime] = {}
        for info in self._store.list("generated/"):
            found = images if info.name.endswith(".png") else recipes
            found[_key_of(info.name)] = info.modified
        results = [key for key, modified in images.items() if now - modified > retention]
        results += [
            key
            for key, modified in recipes.items()
            if key not in images and now - modified > _HALF_PAIR_MAX_AGE
        ]
        sources = [
            info.name for info in self._store.list("sources/") if now - info.modified > retention
        ]
        removed = 0
        for key in results:
            removed += self._try_removing(_image_name(key), _recipe_name(key))
        for name in sources:
            removed += self._try_removing(name)
        return removed

    def _try_removing(self, *names: str) -> bool:
        try:
            for name in names:
                self._store.delete(name)
        except StorageError as error:
            # One broken object is passed over. When the whole store fails, each of
            # thousands of objects would wait for its timeout: then give up.
            self._store.check()
            _logger.warning("Could not remove %s: %s", names[0], error)
            return False
        return True

    def _load_png(self, name: str) -> StoredObject:
        stored = self._store.get(name)
        if not stored.data.startswith(_PNG_SIGNATURE):
            raise CorruptObject(name, "is not a PNG image")
        return stored


def _image_name(key: str) -> str:
    return f"generated/{_checked(key)}.png"


def _recipe_name(key: str) -> str:
    return f"generated/{_checked(key)}.json"


def _source_name(key: str) -> str:
    return f"sources/{_checked(key)}.png"


def _key_of(name: str) -> str:
    return name.partition("/")[2].partition(".")[0]


def _checked(key: str) -> str:
    # Before the key becomes part of a name, so that the error names what was given.
    if not _KEY.fullmatch(key):
        raise InvalidObjectName(key)
    return key
