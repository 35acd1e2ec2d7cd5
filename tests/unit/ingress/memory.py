"""The other deployments in memory: the real studio and a real store, and a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from dataclasses import dataclass, field
from io import BytesIO

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from deployments.errors import ImageNotFound
from deployments.ingress.api import create_api
from deployments.ingress.keys import KeyRing
from deployments.ingress.service import Service
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress, StoredImage
from deployments.settings import IngressSettings, ModelSettings
from deployments.studio.deployment import Studio
from storage.errors import ObjectNotFound
from storage.filesystem import FilesystemStore
from storage.records import Records

CATALOG = (
    ModelSettings(id="stable-diffusion", name="Stable Diffusion", size=64, steps=4, max_steps=50),
    ModelSettings(id="controlnet", name="ControlNet", size=64, steps=4, max_steps=30),
)


@dataclass
class ScriptedModels:
    """Models that paint the seed; tests make them wait or fail.

    Attributes:
        gate: Cleared, every job waits before its image.
        failures: Raised by the next calls, one each.
        cancelled: Keys of jobs that were given up.
    """

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    jobs: list[ImageJob] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    async def generate(
        self, model: str, job: ImageJob, photo: Awaitable[PreparedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        self.jobs.append(job)
        if self.failures:
            raise self.failures.pop(0)
        try:
            height, width, _ = (await photo).pixels.shape
            for step in range(1, job.denoising_steps + 1):
                if progress:
                    yield Progress(step, job.denoising_steps)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(job.key)
            raise
        pixels = np.full((height, width, 3), job.seed % 256, dtype=np.uint8)
        yield GeneratedImage(pixels, 0.0, 0.5, "scripted@1", self.warnings)


class StoredResults:
    """The real records over a real folder."""

    def __init__(self, records: Records) -> None:
        self.records = records

    async def save(
        self, key: str, png: Awaitable[bytes], recipe: Mapping[str, str | int | float]
    ) -> None:
        self.records.save(key, await png, recipe)

    async def save_source(self, key: str, png: Awaitable[bytes]) -> None:
        self.records.save_source(key, await png)

    async def load_image(self, key: str) -> StoredImage:
        try:
            stored = self.records.load_image(key)
        except ObjectNotFound:
            raise ImageNotFound("the image does not exist, or no longer") from None
        return StoredImage(stored.data, stored.etag, stored.modified)

    async def load_recipe(self, key: str) -> Mapping[str, object]:
        try:
            return self.records.load_recipe(key)
        except ObjectNotFound:
            raise ImageNotFound("the image does not exist, or no longer") from None

    async def delete(self, key: str) -> None:
        self.records.delete(key)


class Shared:
    """An awaitable that several may await, as replies of handles are."""

    def __init__(self, coroutine: Awaitable[object]) -> None:
        self._task = asyncio.ensure_future(coroutine)

    def __await__(self):
        return self._task.__await__()


class SharedStudio:
    def __init__(self) -> None:
        self._studio = Studio()

    def prepare(self, photo, size):
        return Shared(self._studio.prepare(photo, size))

    def finish(self, image, recipe):
        return Shared(self._studio.finish(image, recipe))

    def encode_source(self, photo):
        return Shared(self._studio.encode_source(photo))


@dataclass
class Surface:
    """An application in memory with what stands behind it."""

    app: FastAPI
    client: httpx.AsyncClient
    models: ScriptedModels
    results: StoredResults
    service: Service

    async def generate(self, photo: bytes | None = None, **fields: object) -> httpx.Response:
        data = {"prompt": "Perfume backdrop", "model": "stable-diffusion"}
        data.update({name: str(value) for name, value in fields.items()})
        files = {"image": ("photo.png", png() if photo is None else photo, "image/png")}
        return await self.client.post("/api/generate", data=data, files=files)


def surface(
    folder: object,
    settings: IngressSettings | None = None,
    *,
    retention_s: float | None = None,
    keys: KeyRing | None = None,
) -> Surface:
    settings = settings or IngressSettings()
    models = ScriptedModels()
    models.gate.set()
    results = StoredResults(Records(FilesystemStore(folder)))
    service = Service(
        catalog=CATALOG,
        settings=settings,
        studio=SharedStudio(),
        models=models,
        results=results,
        version="0",
    )
    app = create_api(service, settings, version="0", retention_s=retention_s, keys=keys)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop.test")
    return Surface(app, client, models, results, service)


def png(width: int = 48, height: int = 32, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()
