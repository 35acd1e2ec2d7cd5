"""The stored cut-outs: products that a caller had cut out, to look at and to make results with.

A cut-out consists of its mask, its record and its product. The product is kept as those of results
are, so that results may name it: under the cut-out's key, with a mark that the cut-out needs it.
The cut-out marks its photo, too. Its mask stands for it: where that is gone, the cut-out is gone,
even if a result still needs its product.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from storage.errors import CorruptObject, ObjectNotFound
from storage.lineage import Lineage
from storage.names import cutout_name, cutout_record_name, mask_name, sources_in
from storage.reading import load_document, load_picture
from storage.store import ImageStore, StoredObject


class EncodedCutOut(Protocol):
    """The files of a cut-out."""

    @property
    def image(self) -> bytes:
        """The product, as RGBA."""
        ...

    @property
    def mask(self) -> bytes:
        """Its alpha, in grey."""
        ...


class CutOuts:
    """Cut-outs in a store. Blocks; may be used from any thread.

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

    def save(self, key: str, encoded: EncodedCutOut, record: Mapping[str, object]) -> None:
        """Store a cut-out; repeating it is harmless. Its photo is stored and marked before.

        Args:
            key: The cut-out's key.
            encoded: The files.
            record: How it was made, of JSON types only.

        Raises:
            TypeError: The record holds something that JSON does not have.
            ValueError: The record holds a number that JSON does not have.
        """
        mask, beside = cutout_name(key), cutout_record_name(key)
        text = json.dumps(record, allow_nan=False)
        self._lineage.refer(key, [key])
        self._lineage.save_mask(key, encoded.image)
        # The mask last, so that a cut-out always has all that belongs to it.
        self._store.put(beside, text.encode(), "application/json")
        self._store.put(mask, encoded.mask, "image/png")

    def load_mask(self, key: str) -> StoredObject:
        """Load a cut-out's mask.

        Args:
            key: The cut-out's key.

        Returns:
            The grey image; its data starts as a PNG does.

        Raises:
            ObjectNotFound: There is no such cut-out.
            CorruptObject: The object is not a PNG.
        """
        return load_picture(self._store, cutout_name(key))

    def load_image(self, key: str) -> StoredObject:
        """Load a cut-out's product.

        Args:
            key: The cut-out's key.

        Returns:
            The RGBA image; its data starts as a PNG does.

        Raises:
            ObjectNotFound: There is no such cut-out.
            CorruptObject: An object is not a PNG.
        """
        self.load_mask(key)
        return load_picture(self._store, mask_name(key))

    def load_record(self, key: str) -> dict[str, object]:
        """Load a cut-out's record.

        Args:
            key: The cut-out's key.

        Returns:
            The record as it was saved.

        Raises:
            ObjectNotFound: There is no such cut-out.
            CorruptObject: The object is not a JSON object.
        """
        return load_document(self._store, cutout_record_name(key))

    def delete(self, key: str, sources: Sequence[str]) -> None:
        """Remove a cut-out, and those of its sources that nothing else needs.

        What is not there counts as removed, so an interrupted removal can be repeated.

        Args:
            key: The cut-out's key.
            sources: The keys of its photo and of its product.
        """
        self._remove(key, sources)

    def expire(self, key: str) -> int:
        """Remove a cut-out as `delete` does, with what its record says that it was made from.

        Args:
            key: The cut-out's key.

        Returns:
            How much was removed: one, and the sources that went with it.
        """
        # Its product is its own even where the record is gone.
        record: Mapping[str, object] = {"mask_key": key}
        with suppress(ObjectNotFound, CorruptObject):
            record = self.load_record(key)
        return 1 + self._remove(key, sources_in(record))

    def _remove(self, key: str, sources: Sequence[str]) -> int:
        # First what stands for it, as `storage.lineage` demands. The record last, as of results.
        self._store.delete(cutout_name(key))
        removed = sum(self._lineage.release(source, key) for source in sources)
        self._store.delete(cutout_record_name(key))
        return removed
