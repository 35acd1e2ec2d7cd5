"""The stored results: each is an image with its recipe.

This module defines which objects make up a result, and in which order they are written and removed.
"""

import json
from collections.abc import Mapping, Sequence

from storage.errors import CorruptObject
from storage.lineage import Lineage, load_png
from storage.names import image_name, recipe_name
from storage.store import ImageStore, StoredObject


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
        image, beside = image_name(key), recipe_name(key)
        text = json.dumps(recipe, allow_nan=False)
        # The recipe first, so that an image always has its recipe.
        self._store.put(beside, text.encode(), "application/json")
        self._store.put(image, png, "image/png")

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
        return load_png(self._store, image_name(key))

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

    def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove a result, and those of its sources that no other result needs.

        What is not there counts as removed, so an interrupted removal can be repeated.

        Args:
            key: The result's key.
            sources: The keys of what it was made from.
        """
        image, beside = image_name(key), recipe_name(key)
        # The image first, as `storage.lineage` demands. The recipe last: it names the sources.
        self._store.delete(image)
        for source in sources:
            self._lineage.release(source, key)
        self._store.delete(beside)


def load_document(store: ImageStore, name: str) -> dict[str, object]:
    """Read an object that must be a JSON object.

    Raises:
        ObjectNotFound: There is no such object.
        CorruptObject: It is not a JSON object.
    """
    try:
        document = json.loads(store.get(name).data)
    except (ValueError, RecursionError):
        raise CorruptObject(name, "is not JSON") from None
    if not isinstance(document, dict):
        raise CorruptObject(name, "is not a JSON object")
    return document
