"""Smaller copies of results' images, made when one is first asked for and kept from then on.

A copy goes with its result. Who stores one does so first, and then looks whether the image is still
there. Who removes a result removes its image first, and then its copies. When both happen at the
same time, at least one of them sees the other. The sweep removes what unfinished work left behind.
"""

from dataclasses import replace

from storage.errors import CorruptObject, ObjectNotFound
from storage.names import (
    RESULTS,
    format_of,
    image_name,
    image_names,
    recipe_name,
    tile_name,
    tiles_prefix,
)
from storage.reading import document_of, load_picture
from storage.store import ImageStore, StoredObject


class Tiles:
    """Smaller copies in a store. Blocks; may be used from any thread.

    Keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every
    method also raises what its `ImageStore` raises.
    """

    def __init__(self, store: ImageStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def save(self, key: str, width: int, webp: bytes) -> None:
        """Store a copy; repeating it is harmless.

        Args:
            key: The result's key.
            width: Of the copy in pixels, as it was asked for.
            webp: The encoded copy.

        Raises:
            ObjectNotFound: The result was removed meanwhile, and so is the copy.
        """
        tile = tile_name(key, width)
        self._store.put(tile, webp, "image/webp")
        if not any(info.name in image_names(key) for info in self._store.list(RESULTS + key)):
            self._store.delete(tile)
            raise ObjectNotFound(tile)

    def load(self, key: str, file_format: str, width: int) -> StoredObject:
        """Load a copy.

        Args:
            key: The result's key.
            file_format: Of the result's image: `png`, `jpeg` or `webp`.
            width: Of the copy in pixels, as it was asked for.

        Returns:
            The WebP. It counts as modified when its result was stored, so that no cache keeps it
            longer than that.

        Raises:
            ObjectNotFound: There is no such copy, or no such result.
            CorruptObject: The copy is no WebP, or the recipe is not one.
        """
        beside = recipe_name(key)
        recipe = self._store.get(beside)
        try:
            named = format_of(document_of(beside, recipe.data))
        except ValueError as error:
            raise CorruptObject(beside, str(error)) from None
        if named != file_format:
            raise ObjectNotFound(image_name(key, file_format))
        return replace(load_picture(self._store, tile_name(key, width)), modified=recipe.modified)

    def delete(self, key: str) -> None:
        """Remove all copies of a result, whose image is removed already."""
        for info in list(self._store.list(tiles_prefix(key))):
            self._store.delete(info.name)
