"""How far the callbacks of background requests are: a document beside each record.

It is there from the submission of a request with callbacks until all of them are done. So the list
of these documents is what is still to be told, and a restart loses nothing of it.
"""

from collections.abc import Mapping

from storage.names import CALLBACKS, callback_name, keys_of
from storage.store import SwappingStore
from storage.versions import load_version, save_version


class Callbacks:
    """Callbacks in a store. Blocks; may be used from any thread.

    Owners and keys are 32 lower-case hex digits; any other is an `InvalidObjectName`. Every method
    also raises what its `SwappingStore` raises.
    """

    def __init__(self, store: SwappingStore) -> None:
        """Use a store.

        Args:
            store: Where the objects are kept.
        """
        self._store = store

    def save(
        self, owner: str, request: str, callback: Mapping[str, object], version: str
    ) -> str | None:
        """Replace one version of how far a request's callbacks are; see `save_version`."""
        return save_version(self._store, callback_name(owner, request), callback, version)

    def load(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """Load it and its version; None where there is none.

        Raises:
            CorruptObject: The object is not a JSON object.
        """
        return load_version(self._store, callback_name(owner, request))

    def all(self) -> list[tuple[str, str]]:
        """Return owner and key of every request whose callbacks are not done."""
        return [keys_of(info.name) for info in self._store.list(CALLBACKS)]

    def remove(self, owner: str, request: str) -> None:
        """Remove that of a request; repeating it is harmless."""
        self._store.delete(callback_name(owner, request))
