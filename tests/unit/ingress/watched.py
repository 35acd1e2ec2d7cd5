"""The surroundings of a generation, which tell what was asked of them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.generation import Generation
from deployments.ingress.core.job_source import Origin, UploadSource
from deployments.ingress.core.keys import new_key
from deployments.ingress.core.orders import Order, Plan
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.terms import Terms
from deployments.ingress.core.usage import Usage
from deployments.jobs import GenerationSettings, ImageJob, Layout, Photo
from deployments.settings import IngressSettings, StudioSettings
from storage.filesystem import FilesystemStore
from tests.unit.ingress.memory import (
    CATALOG,
    Admitting,
    Running,
    ScriptedModels,
    SharedStudio,
)
from tests.unit.ingress.receiving import Receiving
from tests.unit.ingress.stored import (
    OwnedResults,
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

PHOTO = Photo(np.full((32, 48, 3), 200, dtype=np.uint8))
PHOTO.pixels[8:24, 16:32] = (20, 60, 220)
MODEL = CATALOG[0]
LIMIT = 8


class Watched:
    """What is asked of a part; it fails where a test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.failing: dict[str, Exception] = {}

    def note(self, call: str, key: str) -> None:
        self.calls.append((call, key))
        if call in self.failing:
            raise self.failing[call]

    def keys(self, call: str) -> list[str]:
        return [key for name, key in self.calls if name == call]


class WatchedResults(StoredResults):
    """The real records, watched."""

    def __init__(self, store: FilesystemStore, watched: Watched) -> None:
        super().__init__(store)
        self.watched = watched
        self.save_gate = asyncio.Event()
        self.save_gate.set()

    async def save(self, key, png, recipe):
        self.watched.note("save", key)
        await super().save(key, png, recipe)
        await self.save_gate.wait()

    async def borrow(self, key, file_format, sources, results):
        self.watched.note("borrow", key)
        return await super().borrow(key, file_format, sources, results)

    async def delete(self, key, sources):
        self.watched.note("delete", key)
        await super().delete(key, sources)


class WatchedSources(StoredSources):
    """The real lineage, watched."""

    def __init__(self, store: FilesystemStore, watched: Watched) -> None:
        super().__init__(store)
        self.watched = watched
        self.gate = asyncio.Event()
        self.gate.set()

    async def keep(self, key, results, encoded):
        await self.gate.wait()
        self.watched.note("keep", key)
        await super().keep(key, results, encoded)


class BareResult:
    """A result that was made without a product."""

    def __init__(self, backends: Backends, results: list[str]) -> None:
        self.backends = backends
        self.results = results
        self.referred: list[str] = []

    async def open(self) -> Origin:
        self.referred.append(new_key())
        photo = self.backends.studio.lend(PHOTO)
        opened = self.backends.studio.open_upload(photo, None, "false", Layout(32))
        return Origin(photo, opened, "result", new_key(), self.referred[0], None, False, ())

    async def keep(self, origin: Origin) -> None:
        pass


class CountingPlaces(PlacesClient):
    """The real one, which tells how many places it holds."""

    @property
    def taken(self) -> int:
        return sum(lease.images for lease in self._leases.values())


def at_once(coroutine):
    """The value of a coroutine that has nothing to wait for."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


class World:
    """The surroundings of a generation."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.store = FilesystemStore(folder)
        self.settings = IngressSettings(max_waiting_images=LIMIT)
        self.admission = CountingPlaces(Admitting(self.settings), lambda name: self.settings.rates)
        self.models = ScriptedModels()
        self.models.gate.set()
        self.watched = Watched()
        self.results = WatchedResults(self.store, self.watched)
        self.sources = WatchedSources(self.store, self.watched)
        self.studio = SharedStudio(StudioSettings())

    def run(
        self,
        images: int = 3,
        *,
        kind: Any = "upload",
        preserve: Any = "auto",
        deadline_s: float = 30.0,
        shape_floor: float = 0.0,
        progress: bool = False,
    ) -> Generation:
        places = at_once(self.admission.take(MODEL.id, "", images, 4))
        backends = Backends(
            studio=self.studio,
            cutter=self.studio,
            models=self.models,
            results=self.results,
            owned=OwnedResults(self.results),
            tiles=StoredTiles(self.store),
            sources=self.sources,
            cutouts=StoredCutOuts(self.store),
            answers=StoredAnswers(self.store),
            requests=StoredRequests(self.store),
            unfinished=Unfinished(self.store),
            uploads=StoredUploads(self.store),
            callbacks=StoredCallbacks(self.store),
            receivers=Receiving(),
            admission=Admitting(self.settings),
            replicas=Running(),
            usage=Usage(),
        )
        jobs = [
            ImageJob(new_key(), GenerationSettings("p", "", seed, 4, 3.0, 1.0))
            for seed in range(images)
        ]

        keys = [job.key for job in jobs]
        source: Any = UploadSource(
            backends, PHOTO, None, preserve, Layout(MODEL.size), keys, "5" * 32
        )
        if kind == "result":
            source = BareResult(backends, keys)
        return Generation(
            plan=Plan(MODEL, tuple(jobs), shape_floor, Order(MODEL.id, "p", images), "5" * 32),
            source=source,
            places=places,
            backends=backends,
            terms=Terms("", Deadline(deadline_s), progress),
            version="0",
            turn=None,
        )

    def names(self) -> list[str]:
        return [info.name for info in self.store.list("")]

    def stored(self) -> list[str]:
        return sorted(path.stem for path in (self.folder / "generated").rglob("*.png"))
