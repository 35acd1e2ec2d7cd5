"""The calls of the storage replica around callbacks."""

from collections.abc import Mapping

from storage.callbacks import Callbacks
from storage.in_threads import InThreads


class CallbackCalls(InThreads):
    """What a storage replica does with callbacks; `Storage` is one.

    Attributes:
        _callbacks: The callbacks in its store.
    """

    _callbacks: Callbacks

    async def save_callback(
        self, owner: str, request: str, callback: Mapping[str, object], version: str
    ) -> str | None:
        """Replace one version of how far a request's callbacks are; see `Callbacks.save`."""
        return await self._run(self._callbacks.save, owner, request, callback, version)

    async def load_callback(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """Load it and its version; None where there is none."""
        return await self._run(self._callbacks.load, owner, request)

    async def callbacks(self) -> list[tuple[str, str]]:
        """Owner and key of every request whose callbacks are not done."""
        return await self._run(self._callbacks.all)

    async def remove_callback(self, owner: str, request: str) -> None:
        """Remove that of a request."""
        await self._run(self._callbacks.remove, owner, request)
