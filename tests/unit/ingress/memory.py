"""The other deployments in memory: the real studio and a real store, and a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image, ImageDraw

from deployments.admission.deployment import Admission
from deployments.admission_messages import Claim, Granted, Lease, RateLeft, Report
from deployments.errors import IdempotencyConflict, ServiceError
from deployments.ingress.core.callbacks.ports import Receivers
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.service import Service
from deployments.ingress.core.usage import Counting, DailyUsage, Usage
from deployments.ingress.http.api import create_api
from deployments.ingress.http.api_keys import KeyRing
from deployments.jobs import (
    ControlSettings,
    GeneratedImage,
    Hints,
    ImageJob,
    Mask,
    OpenedPhoto,
    Pixels,
    PreparedPhoto,
    Progress,
)
from deployments.settings import IngressSettings, ModelSettings, RateSettings, StudioSettings
from deployments.studio.deployment import Studio
from storage.filesystem import FilesystemStore
from tests.unit.ingress.receiving import Receiving
from tests.unit.ingress.stored import (
    OwnedResults,
    Shared,
    StoredAnswers,
    StoredCallbacks,
    StoredCutOuts,
    StoredRequests,
    StoredResults,
    StoredSources,
    StoredTiles,
    StoredUploads,
    Unfinished,
)

CATALOG = (
    ModelSettings(
        id="stable-diffusion",
        name="Stable Diffusion",
        size=64,
        steps=4,
        max_steps=50,
        starter_prompts=("Perfume backdrop",),
    ),
    ModelSettings(
        id="controlnet", name="ControlNet", controlnet="demo", size=64, steps=4, max_steps=30
    ),
)


@dataclass
class ScriptedModels:
    """Models that paint the seed; tests make them wait or fail.

    Attributes:
        gate: Cleared, every job waits before its image.
        failures: Raised by the next calls, one each.
        jobs: Every job that was asked for.
        photos: What each was to start from.
        cancelled: Keys of jobs that were given up.
        paint: Changes what the nth image of all shows; by default nothing does.
    """

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    jobs: list[ImageJob] = field(default_factory=list)
    photos: list[PreparedPhoto] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    paint: Callable[[Pixels, int], None] = field(default=lambda pixels, number: None)

    async def generate(
        self, model: str, job: ImageJob, opened: Awaitable[OpenedPhoto], *, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        self.jobs.append(job)
        if self.failures:
            raise self.failures.pop(0)
        try:
            self.photos.append((await opened).prepared)
            height, width, _ = self.photos[-1].pixels.shape
            for step in range(1, job.settings.denoising_steps + 1):
                if progress:
                    yield Progress(step, job.settings.denoising_steps)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(job.key)
            raise
        pixels = np.full((height, width, 3), job.settings.seed % 256, dtype=np.uint8)
        self.paint(pixels, len(self.photos) - 1)
        yield GeneratedImage(
            pixels, 0.5, "scripted@1", ControlSettings(0.5, 0.1, 0.9), self.warnings
        )


class Admitting:
    """The real admission, whose refusals are raised as behind its handle."""

    def __init__(
        self, settings: IngressSettings, catalog: Sequence[ModelSettings] = CATALOG
    ) -> None:
        limits = {model.id: settings.max_waiting_images for model in catalog}
        self.replica = Admission(limits, learning_s=0)

    async def take(self, replica: str, lease: Lease, rates: RateSettings) -> Granted:
        granted = await self.replica.take(replica, lease, rates)
        if isinstance(granted, ServiceError):
            raise granted
        return granted

    async def count(self, api_key_name: str, rates: RateSettings) -> tuple[RateLeft, ...]:
        left = await self.replica.count(api_key_name, rates)
        if isinstance(left, ServiceError):
            raise left
        return left

    async def claim(self, replica: str, claim: Claim) -> bool:
        granted = await self.replica.claim(replica, claim)
        if isinstance(granted, IdempotencyConflict):
            raise granted
        return granted

    async def report(self, report: Report) -> None:
        await self.replica.report(report)

    def held(self, model: str) -> int:
        """Places in use."""
        replica = self.replica
        return sum(lease.images for lease in replica._ledger.leases(model, replica._clock()))


@dataclass
class Running:
    """Which deployments have a replica; tests take some away."""

    names: set[str] = field(
        default_factory=lambda: {"studio", "storage", *(model.id for model in CATALOG)}
    )
    frame: tuple[str, ...] = ("studio", "storage")

    async def running(self) -> set[str]:
        return self.names


class CornerFinder:
    """Marks what is not of the colour of the upper left corner, where the network would search.

    Attributes:
        searched: Pictures it looked at.
    """

    grid = 320
    matte = False

    def __init__(self) -> None:
        self.searched: list[Pixels] = []

    def coarse(self, pixels: Pixels) -> Mask:
        self.searched.append(pixels)
        far = np.abs(pixels.astype(int) - pixels[0, 0]).max(axis=2) > 60
        return np.where(far, 255, 0).astype(np.uint8)


@dataclass
class Cut:
    """What a cut-out was asked for with."""

    mask: Mask | None
    hints: Hints
    corrects: bool


class SharedStudio:
    """The real studio, but for the network."""

    def __init__(self, settings: StudioSettings) -> None:
        self.finder = CornerFinder()
        self.sought = 0
        self.cuts: list[Cut] = []
        self.tiles: list[int] = []
        self._studio = Studio(settings, finder=self.finder)

    def lend(self, photo):
        async def lent():
            return photo

        return Shared(lent())

    def open_upload(self, photo, mask, preserve, layout, first=None):
        self.sought += preserve != "false"
        return Shared(self._with(self._studio.open_upload, photo, mask, preserve, layout, first))

    def open_result(self, photo, product, layout, first=None):
        return Shared(self._with(self._studio.open_result, photo, product, layout, first))

    def finish(self, image, recipe, opened):
        return Shared(self._with(self._studio.finish, image, recipe, opened))

    def encode_sources(self, photo, opened):
        return Shared(self._with(self._studio.encode_sources, photo, opened))

    def cut_out(self, photo, mask, hints, earlier):
        self.cuts.append(Cut(mask, hints, earlier is not None))
        return Shared(self._with(self._studio.cut_out, photo, mask, hints, earlier))

    def make_tile(self, file, width):
        self.tiles.append(width)
        return Shared(self._with(self._studio.make_tile, file, width))

    async def _with(self, method, *args):
        """Awaitables among the arguments arrive as their values, as behind a handle."""
        return await method(*[await arg if isinstance(arg, Shared) else arg for arg in args])


@dataclass
class Surface:
    """An application in memory with what stands behind it."""

    app: FastAPI
    client: httpx.AsyncClient
    models: ScriptedModels
    studio: SharedStudio
    results: StoredResults
    sources: StoredSources
    cutouts: StoredCutOuts
    store: FilesystemStore
    service: Service
    admission: Admitting
    running: Running

    async def generate(
        self, photo: bytes | None = None, mask: bytes | None = None, **fields: object
    ) -> httpx.Response:
        data = {"prompt": "Perfume backdrop", "model": "stable-diffusion"}
        data.update({name: str(value) for name, value in fields.items()})
        files = {"image": ("photo.png", png() if photo is None else photo, "image/png")}
        if mask is not None:
            files["product_mask"] = ("mask.png", mask, "image/png")
        return await self.client.post("/api/generate", data=data, files=files)

    async def vary(self, url: str, **fields: object) -> httpx.Response:
        body = {"image_url": url, "prompt": "Change background to forest", "model": "controlnet"}
        return await self.client.post("/api/variation", json={**body, **fields})

    def names(self) -> list[str]:
        return [info.name for info in self.store.list("")]


def surface(
    folder: object,
    settings: IngressSettings | None = None,
    *,
    studio: StudioSettings | None = None,
    retention_s: float | None = None,
    keys: KeyRing | None = None,
    admission: Admitting | None = None,
    receivers: Receivers | None = None,
    counting: Counting | None = None,
    daily: DailyUsage | None = None,
    catalog: Sequence[ModelSettings] = CATALOG,
) -> Surface:
    settings = settings or IngressSettings()
    admission = admission or Admitting(settings, catalog)
    models = ScriptedModels()
    models.gate.set()
    store = FilesystemStore(folder)
    studio_settings = studio or StudioSettings()
    shared = SharedStudio(studio_settings)
    running = Running()
    results, sources, cutouts = StoredResults(store), StoredSources(store), StoredCutOuts(store)
    service = Service(
        catalog=catalog,
        settings=settings,
        backends=Backends(
            studio=shared,
            cutter=shared,
            models=models,
            results=results,
            owned=OwnedResults(results),
            tiles=StoredTiles(store),
            sources=sources,
            cutouts=cutouts,
            answers=StoredAnswers(store),
            requests=StoredRequests(store),
            unfinished=Unfinished(store),
            uploads=StoredUploads(store),
            callbacks=StoredCallbacks(store),
            receivers=receivers or Receiving(),
            admission=admission,
            replicas=running,
            usage=Usage([] if counting is None else [counting], daily),
        ),
        rates_of=lambda name: (
            settings.rates if keys is None else keys.rates_of(name, settings.rates)
        ),
        studio=studio_settings,
        version="0",
    )
    app = create_api(service, settings, version="0", retention_s=retention_s, keys=keys)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop.test")
    return Surface(
        app, client, models, shared, results, sources, cutouts, store, service, admission, running
    )


def png(
    width: int = 48,
    height: int = 32,
    colour: tuple[int, int, int] = (200, 30, 30),
    product: tuple[int, int, int] | None = (20, 60, 220),
) -> bytes:
    """A photo of a box on a plain ground; without a product only the ground."""
    image = Image.new("RGB", (width, height), colour)
    if product is not None:
        box = [width // 3, height // 4, width * 2 // 3, height * 3 // 4]
        ImageDraw.Draw(image).rectangle(box, fill=product)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def key_of(url: str) -> str:
    return url.rsplit("/", 1)[1].partition(".")[0]
