"""The calls of the storage replica around background requests."""

import asyncio
from collections.abc import Mapping

from storage.in_threads import InThreads
from storage.requests import Bound, Requests


class RequestCalls(InThreads):
    """What a storage replica does with background requests; `Storage` is one.

    Attributes:
        _requests: The requests in its store.
    """

    _requests: Requests

    async def enter_request(
        self, owner: str, request: str, most_own: int, most: int
    ) -> Bound | None:
        """Mark a request as unfinished; see `Requests.enter`."""
        return await self._run(self._requests.enter, owner, request, most_own, most)

    async def unfinished_requests(self) -> list[tuple[str, str]]:
        """Owner and key of every unfinished request."""
        return await self._run(self._requests.unfinished)

    async def leave_request(self, owner: str, request: str) -> None:
        """Remove the files of a finished request, and its mark."""
        await self._run(self._requests.leave, owner, request)

    async def save_request(
        self, owner: str, request: str, record: Mapping[str, object], version: str
    ) -> str | None:
        """Replace one version of a record; see `Requests.save`."""
        return await self._run(self._requests.save, owner, request, record, version)

    async def load_request(self, owner: str, request: str) -> tuple[dict[str, object], str] | None:
        """Load a record and its version; None where there is none."""
        return await self._run(self._requests.load, owner, request)

    async def requests_of(
        self, owner: str, after: str | None, most: int
    ) -> list[tuple[str, dict[str, object]]]:
        """Keys and records of an owner's requests; see `Requests.of`."""
        keys = await self._run(self._requests.of, owner, after, most)
        loaded = await asyncio.gather(*(self.load_request(owner, key) for key in keys))
        return [
            (key, found[0]) for key, found in zip(keys, loaded, strict=True) if found is not None
        ]

    async def save_uploads(self, request: str, files: Mapping[int, bytes]) -> None:
        """Store the files of a request; see `Requests.save_uploads`."""
        await self._run(self._requests.save_uploads, request, files)

    async def load_uploads(self, request: str) -> dict[int, bytes]:
        """Load the files of a request, by their numbers."""
        return await self._run(self._requests.load_uploads, request)
