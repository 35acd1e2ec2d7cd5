"""What results are made from: photographs and the products cut out of them.

A photograph and its product share one key. Both are kept while a result needs them. One small
object, a mark, is stored for each pair of a source and a result that needs it.

A cut-out is marked as a result is: its photo and its product are kept while it is there. What is
said of results here goes for cut-outs too, whose mask is the image that is removed first.

Nothing in use is ever removed, although an object store has no transactions. Who makes results from
a stored one writes the new marks first, and then checks that the stored result is still there. Who
removes a result removes its image first, and then looks for marks. When both happen at the same
time, at least one of them sees the other. So either the new results are not made, or the source
stays. The store must list and read what was written before, as file systems and S3 do.
"""

from collections.abc import Sequence

from storage.names import mask_name, reference_name, references_prefix, source_name
from storage.reading import load_picture
from storage.store import ImageStore, StoredObject


class Lineage:
    """Sources and products in a store. Blocks; may be used from any thread.

    Keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every
    method also raises what its `ImageStore` raises.
    """

    def __init__(self, store: ImageStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def refer(self, source: str, results: Sequence[str]) -> None:
        """Mark that results need a source; repeating it is harmless.

        It is called before the source is stored, or before the result that names it is read.
        `release` takes back the marks of results that are not made then.

        Args:
            source: The source's key.
            results: The keys of the results, which may be still to come.
        """
        for name in [reference_name(source, result) for result in results]:
            self._store.put(name, b"{}", "application/json")

    def release(self, source: str, result: str) -> int:
        """Take back a mark, and remove the source and its product if it was the last.

        It is called after the result's image was removed. It lists the marks of one source, which
        is one request to an S3 endpoint.

        Args:
            source: The source's key.
            result: The result's key.

        Returns:
            How many sources were removed: one, or none.
        """
        self._store.delete(reference_name(source, result))
        if next(iter(self._store.list(references_prefix(source))), None) is not None:
            return 0
        return self.remove(source)

    def remove(self, source: str) -> int:
        """Remove a source and its product, after it was seen that nothing needs them.

        Returns:
            One: the source.
        """
        self._store.delete(mask_name(source))
        self._store.delete(source_name(source))
        return 1

    def save_source(self, key: str, png: bytes) -> None:
        """Store a source photograph; repeating it is harmless.

        Args:
            key: The source's key.
            png: The encoded image.
        """
        self._store.put(source_name(key), png, "image/png")

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
        return load_picture(self._store, source_name(key))

    def save_mask(self, key: str, png: bytes) -> None:
        """Store a source's product; repeating it is harmless.

        Args:
            key: The source's key.
            png: The encoded product, whose alpha channel is its mask.
        """
        self._store.put(mask_name(key), png, "image/png")

    def load_mask(self, key: str) -> bytes:
        """Load a source's product.

        Args:
            key: The source's key.

        Returns:
            The encoded product; it starts as a PNG does.

        Raises:
            ObjectNotFound: There is no such product.
            CorruptObject: The object is not a PNG.
        """
        return load_picture(self._store, mask_name(key)).data
