"""The storage behind the surface in memory: the real classes over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal

from deployments.encoded import EncodedCutOut, EncodedSources, StoredImage
from deployments.errors import ImageNotFound, StorageDown
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.cutout_records import GONE
from storage.answers import Answers
from storage.callbacks import Callbacks
from storage.cutouts import CutOuts
from storage.errors import ObjectNotFound
from storage.lineage import Lineage
from storage.records import Records
from storage.requests import Requests
from storage.store import ImageStore, StoredObject, SwappingStore
from storage.tiles import Tiles


class StoredResults:
    """The real records over a real store."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        self.records = Records(store)

    async def save(self, key: str, file: bytes, recipe: Mapping[str, object]) -> None:
        self.records.save(key, file, recipe)

    async def load_image(self, key: str, file_format: str) -> StoredImage:
        return image(found(lambda key: self.records.load_image(key, file_format), key))

    async def borrow(
        self, key: str, file_format: str, sources: Sequence[str], results: Sequence[str]
    ) -> StoredImage:
        for source in sources:
            Lineage(self.store).refer(source, results)
        return await self.load_image(key, file_format)

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        return found(self.records.load_recipe, key)

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        self.records.delete(key, sources)


class OwnedResults:
    """Whose the results of a real store are."""

    def __init__(self, results: StoredResults) -> None:
        self.results = results

    async def of(
        self, owner: str, after: str | None, most: int
    ) -> tuple[list[tuple[str, Mapping[str, object]]], str | None]:
        keys = self.results.records.of(owner, after, most + 1)
        more, keys = keys[most:], keys[:most]
        found = [(key, await self.results.load_recipe(key)) for key in keys]
        return found, keys[-1] if more else None


class StoredTiles:
    """The real smaller copies over a real store."""

    def __init__(self, store: ImageStore) -> None:
        self.tiles = Tiles(store)

    async def save(self, key: str, width: int, webp: Awaitable[bytes]) -> None:
        made = await webp
        found(lambda key: self.tiles.save(key, width, made), key)

    async def load(self, key: str, file_format: str, width: int) -> StoredImage | None:
        try:
            return image(self.tiles.load(key, file_format, width))
        except ObjectNotFound:
            return None


class StoredSources:
    """The real lineage over a real store."""

    def __init__(self, store: ImageStore) -> None:
        self.lineage = Lineage(store)

    async def keep(
        self, key: str, results: Sequence[str], encoded: Awaitable[EncodedSources]
    ) -> None:
        files = await encoded
        self.lineage.refer(key, results)
        if files.photo is not None:
            self.lineage.save_source(key, files.photo)
        if files.product is not None:
            self.lineage.save_mask(key, files.product)

    def load_product(self, key: str) -> Awaitable[bytes]:
        async def load() -> bytes:
            return found(self.lineage.load_mask, key)

        return Shared(load())

    async def load_photo(self, key: str) -> bytes:
        return found(self.lineage.load_source, key).data


class StoredCutOuts:
    """The real cut-outs over a real store."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        self.cutouts = CutOuts(store)

    async def save(
        self, key: str, encoded: Awaitable[EncodedCutOut], record: Mapping[str, object]
    ) -> None:
        self.cutouts.save(key, await encoded, record)

    async def load(self, key: str, part: Literal["image", "mask"]) -> StoredImage:
        load = self.cutouts.load_image if part == "image" else self.cutouts.load_mask
        return image(found(load, key, GONE))

    async def load_record(self, key: str) -> Mapping[str, object]:
        return found(self.cutouts.load_record, key, GONE)

    async def borrow(self, key: str, sources: Sequence[str], results: Sequence[str]) -> None:
        for source in sources:
            Lineage(self.store).refer(source, results)
        await self.load(key, "mask")

    async def delete(self, key: str, sources: Sequence[str]) -> None:
        self.cutouts.delete(key, sources)


class StoredAnswers:
    """The real answers over a real store."""

    def __init__(self, store: ImageStore) -> None:
        self.answers = Answers(store)

    async def save(self, name: str, answer: Mapping[str, object]) -> None:
        self.answers.save(name, answer)

    async def load(self, name: str) -> Mapping[str, object] | None:
        return self.answers.load(name)


class StoredRequests:
    """The real records of background requests over a real store."""

    def __init__(self, store: SwappingStore) -> None:
        self.requests = Requests(store)
        self.fails = False

    async def save(self, name: Name, record: Mapping[str, object], version: str) -> str | None:
        if self.fails:
            raise StorageDown("the storage is not available now", 1.0)
        return self.requests.save(name.owner, name.request, record, version)

    async def load(self, name: Name):
        return self.requests.load(name.owner, name.request)

    async def newest(self, owner: str, after: str | None, most: int):
        keys = self.requests.of(owner, after, most)
        return [(key, self.requests.load(owner, key)[0]) for key in keys]


class Unfinished:
    """The real marks of background requests over a real store."""

    def __init__(self, store: SwappingStore) -> None:
        self.requests = Requests(store)

    async def enter(self, name: Name, most_own: int, most: int):
        return self.requests.enter(name.owner, name.request, most_own, most)

    async def all(self) -> list[Name]:
        return [Name(*keys) for keys in self.requests.unfinished()]

    async def leave(self, name: Name) -> None:
        self.requests.leave(name.owner, name.request)


class StoredCallbacks:
    """The real callbacks of background requests over a real store."""

    def __init__(self, store: SwappingStore) -> None:
        self.callbacks = Callbacks(store)

    async def save(self, name: Name, callback: Mapping[str, object], version: str) -> str | None:
        return self.callbacks.save(name.owner, name.request, callback, version)

    async def load(self, name: Name):
        return self.callbacks.load(name.owner, name.request)

    async def all(self) -> list[Name]:
        return [Name(*keys) for keys in self.callbacks.all()]

    async def remove(self, name: Name) -> None:
        self.callbacks.remove(name.owner, name.request)


class StoredUploads:
    """The real files of background requests over a real store."""

    def __init__(self, store: SwappingStore) -> None:
        self.requests = Requests(store)

    async def save(self, request: str, files: Mapping[int, bytes]) -> None:
        self.requests.save_uploads(request, files)

    async def load(self, request: str) -> Mapping[int, bytes]:
        return self.requests.load_uploads(request)


def image(stored: StoredObject) -> StoredImage:
    return StoredImage(stored.data, stored.content_type, stored.etag, stored.modified)


def found(load, key: str, missing: str | None = None):
    try:
        return load(key)
    except ObjectNotFound as error:
        raise ImageNotFound(missing or f"there is no {error.name}") from None


class Shared:
    """An awaitable that several may await, as replies of handles are."""

    def __init__(self, coroutine: Awaitable[object]) -> None:
        self._task = asyncio.ensure_future(coroutine)

    def __await__(self):
        return self._task.__await__()
