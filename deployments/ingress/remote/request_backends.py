"""The ports of background requests over the handle of the storage deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from deployments.ingress.core.background.names import Name
from deployments.ingress.remote.callees import CallbackCalls, RequestCalls
from deployments.ingress.remote.remote_backends import REPEATED
from deployments.ingress.remote.retries import RetryObserver
from deployments.ingress.remote.serve_calls import Callee, Handle
from deployments.ingress.remote.stored_backends import stored


class RequestsHandle:
    """`ports.StoredRequests` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, name: Name, record: Mapping[str, object], version: str) -> str | None:
        """See `ports.StoredRequests.save`."""
        return await self._storage.call(
            RequestCalls.save_request,
            name.owner,
            name.request,
            dict(record),
            version,
            patience=self._stored,
        )

    async def load(self, name: Name) -> tuple[Mapping[str, object], str] | None:
        """See `ports.StoredRequests.load`."""
        return await self._storage.call(
            RequestCalls.load_request, name.owner, name.request, patience=REPEATED
        )

    async def newest(
        self, owner: str, after: str | None, most: int
    ) -> Sequence[tuple[str, Mapping[str, object]]]:
        """See `ports.StoredRequests.newest`."""
        return await self._storage.call(
            RequestCalls.requests_of, owner, after, most, patience=REPEATED
        )


class UnfinishedHandle:
    """`ports.UnfinishedRequests` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def enter(self, name: Name, most_own: int, most: int) -> Literal["own", "all"] | None:
        """See `ports.UnfinishedRequests.enter`."""
        return await self._storage.call(
            RequestCalls.enter_request,
            name.owner,
            name.request,
            most_own,
            most,
            patience=self._stored,
        )

    async def all(self) -> Sequence[Name]:
        """See `ports.UnfinishedRequests.all`."""
        found = await self._storage.call(RequestCalls.unfinished_requests, patience=REPEATED)
        return [Name(owner, request) for owner, request in found]

    async def leave(self, name: Name) -> None:
        """See `ports.UnfinishedRequests.leave`."""
        await self._storage.call(
            RequestCalls.leave_request, name.owner, name.request, patience=self._stored
        )


class CallbacksHandle:
    """`ports.StoredCallbacks` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, name: Name, callback: Mapping[str, object], version: str) -> str | None:
        """See `ports.StoredCallbacks.save`."""
        return await self._storage.call(
            CallbackCalls.save_callback,
            name.owner,
            name.request,
            dict(callback),
            version,
            patience=self._stored,
        )

    async def load(self, name: Name) -> tuple[Mapping[str, object], str] | None:
        """See `ports.StoredCallbacks.load`."""
        return await self._storage.call(
            CallbackCalls.load_callback, name.owner, name.request, patience=REPEATED
        )

    async def all(self) -> Sequence[Name]:
        """See `ports.StoredCallbacks.all`."""
        found = await self._storage.call(CallbackCalls.callbacks, patience=REPEATED)
        return [Name(owner, request) for owner, request in found]

    async def remove(self, name: Name) -> None:
        """See `ports.StoredCallbacks.remove`."""
        await self._storage.call(
            CallbackCalls.remove_callback, name.owner, name.request, patience=self._stored
        )


class UploadsHandle:
    """`ports.StoredUploads` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, request: str, files: Mapping[int, bytes]) -> None:
        """See `ports.StoredUploads.save`."""
        await self._storage.call(
            RequestCalls.save_uploads, request, dict(files), patience=self._stored
        )

    async def load(self, request: str) -> Mapping[int, bytes]:
        """See `ports.StoredUploads.load`."""
        return await self._storage.call(RequestCalls.load_uploads, request, patience=self._stored)
