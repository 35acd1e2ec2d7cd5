"""The stored results: each is an image with its recipe.

This module defines which objects make up a result, and in which order they are written and removed.
The recipe's `file_format` says how the image's name ends; one without it is of a PNG, as all images
once were. Its `owner` says whose the result is: a mark whose name holds both keys lists it among
the owner's, in the order of its key.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice

from storage.errors import CorruptObject, ObjectNotFound
from storage.lineage import Lineage
from storage.names import (
    format_of,
    image_name,
    image_names,
    keys_of,
    owned_name,
    owned_prefix,
    owner_in,
    recipe_name,
    sources_in,
)
from storage.reading import load_document, load_picture
from storage.store import ImageStore, StoredObject, content_type_of
from storage.tiles import Tiles


class Records:
    """Results in a store. Blocks; may be used from any thread.

    Keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every
    method also raises what its `ImageStore` raises.
    """

    def __init__(self, store: ImageStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store
        self._lineage = Lineage(store)
        self._tiles = Tiles(store)

    def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        """Store a result; repeating it is harmless.

        Args:
            key: The result's key.
            file: The encoded image.
            recipe: How it was made, of JSON types only.

        Raises:
            TypeError: The recipe holds something that JSON does not have.
            ValueError: The recipe holds a number that JSON does not have, or a `file_format` that
                no image has.
        """
        _written(key, recipe)  # nothing is stored where a part could not be
        self.mark_owned(key, recipe)
        self.save_recipe(key, recipe)
        self.save_image(key, file, recipe)

    def save_recipe(self, key: str, recipe: Mapping[str, object]) -> None:
        """Store a result's recipe: a part of `save`, which says what it raises."""
        self._store.put(recipe_name(key), _written(key, recipe), "application/json")

    def mark_owned(self, key: str, recipe: Mapping[str, object]) -> None:
        """List a result among its owner's, where it has one: a part of `save`."""
        if owner := owner_in(recipe):
            self._store.put(owned_name(owner, key), b"{}", "application/json")

    def save_image(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        """Store a result's image: the last part of `save`.

        So an image always has its recipe, and is always listed.
        """
        image = image_name(key, format_of(recipe))
        self._store.put(image, file, content_type_of(image))

    def load_image(self, key: str, file_format: str) -> StoredObject:
        """Load a result's image.

        Args:
            key: The result's key.
            file_format: `png`, `jpeg` or `webp`.

        Returns:
            The image; its data starts as files of this format do.

        Raises:
            ObjectNotFound: There is no such result, or its image has another format.
            CorruptObject: The object is no image of this format.
        """
        return load_picture(self._store, image_name(key, file_format))

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
        return load_document(self._store, recipe_name(key))

    def of(self, owner: str, after: str | None, most: int) -> list[str]:
        """Return the keys of an owner's results, in the order of these.

        A result that is about to be stored, or was just removed, may be among them.

        Args:
            owner: Whose, 32 lower-case hex digits.
            after: The key after which to begin, which need not be there any more; None for the
                beginning.
            most: Keys, at most.
        """
        passed = "" if after is None else f"{owner}{after}~"
        marks = self._store.list(owned_prefix(owner), passed)
        return [keys_of(info.name)[1] for info in islice(marks, most)]

    def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove a result, and those of its sources that no other result needs.

        What is not there counts as removed, so an interrupted removal can be repeated.

        Args:
            key: The result's key.
            sources: The keys of what it was made from.
        """
        self._remove(key, self._recipe(key), sources)

    def expire(self, key: str) -> int:
        """Remove a result as `delete` does, with what its recipe says that it was made from.

        Args:
            key: The result's key.

        Returns:
            How much was removed: one, and the sources that went with it.
        """
        recipe = self._recipe(key)
        return 1 + self._remove(key, recipe, sources_in(recipe))

    def _recipe(self, key: str) -> dict[str, object]:
        with suppress(ObjectNotFound, CorruptObject):
            return self.load_recipe(key)
        return {}

    def _remove(self, key: str, recipe: Mapping[str, object], sources: Sequence[str]) -> int:
        # The image first, as `storage.lineage` and `storage.tiles` demand. The recipe last: it
        # names the sources, and the owner.
        for image in image_names(key):
            self._store.delete(image)
        self._tiles.delete(key)
        removed = sum(self._lineage.release(source, key) for source in sources)
        if owner := owner_in(recipe):
            self._store.delete(owned_name(owner, key))
        self._store.delete(recipe_name(key))
        return removed


def _written(key: str, recipe: Mapping[str, object]) -> bytes:
    """A recipe as it is stored; raises what `Records.save` says."""
    image_name(key, format_of(recipe))
    return json.dumps(recipe, allow_nan=False).encode()
