"""The ports of stored objects over the handle of the storage."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import date
from typing import Literal

from deployments.composition import FileFormat
from deployments.encoded import EncodedCutOut, EncodedSources, StoredImage
from deployments.errors import ImageNotFound
from deployments.ingress.core.cutout_records import GONE
from deployments.ingress.remote.callees import (
    AnswerCalls,
    CutOutCalls,
    ResultCalls,
    SourceCalls,
    TileCalls,
    UsageCalls,
)
from deployments.ingress.remote.metrics import ImageMetrics
from deployments.ingress.remote.remote_backends import NO_PRODUCT, REPEATED
from deployments.ingress.remote.retries import Patience, RetryObserver
from deployments.ingress.remote.serve_calls import Callee, Handle
from storage.store import StoredObject


def stored(outage_s: float) -> Patience:
    """Of calls that store or remove what has a key already, so that repeating them is harmless."""
    return Patience(lost=1, down_s=outage_s)


NO_IMAGE = "the image does not exist, or no longer"

NO_PHOTO = "the photo that the image began with is no longer stored"


class AnswersHandle:
    """`ports.Answers` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, name: str, answer: Mapping[str, object]) -> None:
        await self._storage.call(AnswerCalls.save_answer, name, dict(answer), patience=self._stored)

    async def load(self, name: str) -> Mapping[str, object] | None:
        return await self._storage.call(AnswerCalls.load_answer, name, patience=self._stored)


class ResultsHandle:
    """`ports.Results` by the storage deployment."""

    def __init__(
        self, handle: Handle, observer: RetryObserver, outage_s: float, images: ImageMetrics
    ) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)
        self._images = images

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        await self._storage.call(ResultCalls.save, key, file, dict(recipe), patience=self._stored)
        self._images.stored(str(recipe["model"]))

    async def load_image(self, key: str, file_format: FileFormat) -> StoredImage:
        stored = await self._storage.find(
            ResultCalls.load_image, key, file_format, patience=REPEATED, missing=NO_IMAGE
        )
        return _image(stored)

    async def borrow(
        self, key: str, file_format: FileFormat, sources: Sequence[str], results: Sequence[str]
    ) -> StoredImage:
        stored = await self._storage.find(
            ResultCalls.borrow,
            key,
            file_format,
            list(sources),
            list(results),
            patience=self._stored,
            missing=NO_IMAGE,
        )
        return _image(stored)

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        return await self._storage.find(
            ResultCalls.load_recipe, key, patience=REPEATED, missing=NO_IMAGE
        )

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        await self._storage.call(ResultCalls.delete, key, list(sources), patience=self._stored)


class OwnedHandle:
    """`ports.OwnedResults` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)

    async def of(
        self, owner: str, after: str | None, most: int
    ) -> tuple[Sequence[tuple[str, Mapping[str, object]]], str | None]:
        return await self._storage.call(
            ResultCalls.results_of, owner, after, most, patience=REPEATED
        )


class TilesHandle:
    """`ports.StoredTiles` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, key: str, width: int, webp: Awaitable[bytes]) -> None:
        saved = await self._storage.call(
            TileCalls.save_tile, key, width, webp, patience=self._stored
        )
        if not saved:
            raise ImageNotFound(NO_IMAGE)

    async def load(self, key: str, file_format: FileFormat, width: int) -> StoredImage | None:
        tile = await self._storage.call(
            TileCalls.load_tile, key, file_format, width, patience=REPEATED
        )
        return None if tile is None else _image(tile)


class SourcesHandle:
    """`ports.Sources` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def keep(
        self, key: str, results: Sequence[str], encoded: Awaitable[EncodedSources]
    ) -> None:
        await self._storage.call(
            SourceCalls.keep_sources, key, list(results), encoded, patience=self._stored
        )

    def load_product(self, key: str) -> Awaitable[bytes]:
        return self._storage.find(SourceCalls.load_mask, key, patience=REPEATED, missing=NO_PRODUCT)

    async def load_photo(self, key: str) -> bytes:
        stored = await self._storage.find(
            SourceCalls.load_source, key, patience=REPEATED, missing=NO_PHOTO
        )
        return stored.data


class CutOutsHandle:
    """`ports.StoredCutOuts` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(
        self, key: str, encoded: Awaitable[EncodedCutOut], record: Mapping[str, object]
    ) -> None:
        await self._storage.call(
            CutOutCalls.save_cutout, key, encoded, dict(record), patience=self._stored
        )

    async def load(self, key: str, part: Literal["image", "mask"]) -> StoredImage:
        stored = await self._storage.find(
            CutOutCalls.load_cutout, key, part, patience=REPEATED, missing=GONE
        )
        return _image(stored)

    async def load_record(self, key: str) -> Mapping[str, object]:
        return await self._storage.find(
            CutOutCalls.load_cutout_record, key, patience=REPEATED, missing=GONE
        )

    async def borrow(self, key: str, sources: Sequence[str], results: Sequence[str]) -> None:
        await self._storage.find(
            CutOutCalls.borrow_cutout,
            key,
            list(sources),
            list(results),
            patience=self._stored,
            missing=GONE,
        )

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        await self._storage.call(
            CutOutCalls.delete_cutout, key, list(sources), patience=self._stored
        )


class UsageHandle:
    """`usage.StoredUsage` by the storage deployment."""

    def __init__(self, handle: Handle, observer: RetryObserver, outage_s: float) -> None:
        self._storage = Callee(handle, "the storage", observer, outage_s)
        self._stored = stored(outage_s)

    async def save(self, day: date, replica: str, keys: Mapping[str, Mapping[str, int]]) -> None:
        await self._storage.call(UsageCalls.save_usage, day, replica, keys, patience=self._stored)


def _image(stored: StoredObject) -> StoredImage:
    return StoredImage(stored.data, stored.content_type, stored.etag, stored.modified)
