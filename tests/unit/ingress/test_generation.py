"""One admitted request: its places come back and its rules hold, however it ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from deployments.errors import DeadlineExceeded, ReplicaLost, Unavailable
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.events import ImageProgress, ImageStored
from deployments.ingress.core.generation import Generation
from deployments.ingress.core.job_source import Origin, UploadSource
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.result_urls import new_key
from deployments.jobs import GeneratedImage, GenerationSettings, ImageJob, Photo
from deployments.settings import IngressSettings, StudioSettings
from storage.filesystem import FilesystemStore
from tests.unit.ingress.memory import (
    CATALOG,
    Admitting,
    ScriptedModels,
    SharedStudio,
)
from tests.unit.ingress.stored import (
    StoredAnswers,
    StoredCutOuts,
    StoredResults,
    StoredSources,
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

    async def borrow(self, key, sources, results):
        self.watched.note("borrow", key)
        return await super().borrow(key, sources, results)

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
        opened = self.backends.studio.open_upload(photo, None, "false", 32)
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
        self.admission = CountingPlaces(Admitting(self.settings))
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
        **settings: Any,
    ) -> Generation:
        places = at_once(self.admission.take(MODEL.id, "", images, 4))
        backends = Backends(
            studio=self.studio,
            cutter=self.studio,
            models=self.models,
            results=self.results,
            sources=self.sources,
            cutouts=StoredCutOuts(self.store),
            answers=StoredAnswers(self.store),
            admission=Admitting(self.settings),
        )
        jobs = [
            ImageJob(new_key(), GenerationSettings("p", "", seed, 4, 3.0, 1.0))
            for seed in range(images)
        ]

        keys = [job.key for job in jobs]
        source: Any = UploadSource(backends, PHOTO, None, preserve, MODEL.size, keys)
        if kind == "result":
            source = BareResult(backends, keys)
        return Generation(
            model=MODEL,
            jobs=jobs,
            source=source,
            places=places,
            backends=backends,
            deadline=Deadline(deadline_s),
            version="0",
            turn=None,
            **{"shape_floor": 0.0, "progress": False, **settings},
        )

    def names(self) -> list[str]:
        return [info.name for info in self.store.list("")]

    def stored(self) -> list[str]:
        return sorted(path.stem for path in (self.folder / "generated").glob("*.png"))


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_images_come_in_order_and_places_come_back(world):
    run = world.run(4)
    assert world.admission.taken == 4
    images = await run.images()
    assert [image.index for image in images] == [0, 1, 2, 3]
    assert [image.seed for image in images] == [0, 1, 2, 3]
    assert world.stored() == sorted(image.key for image in images)
    assert world.admission.taken == 0


@pytest.mark.parametrize("ticks", range(6))
async def test_places_come_back_when_everything_is_cancelled_at_once(world, ticks):
    # A task that is cancelled before its first step never runs any of its own code.
    world.models.gate.clear()
    run = world.run(LIMIT)
    for _ in range(ticks):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.images()
    assert world.admission.taken == 0


async def test_a_failure_cancels_the_other_images(world):
    world.models.gate.clear()
    world.models.failures = [Unavailable("model is gone")]
    with pytest.raises(Unavailable, match="model is gone"):
        await world.run(3).images()
    failed, *others = world.models.jobs
    assert sorted(world.models.cancelled) == sorted(job.key for job in others)
    assert failed.key not in world.models.cancelled
    assert world.admission.taken == 0
    assert world.stored() == []


async def test_the_source_is_stored_before_any_image(world):
    world.sources.gate.clear()
    run = world.run(3)
    # The images are made meanwhile, and their places are free for others.
    await until(lambda: world.admission.taken == 0)
    await asyncio.sleep(0.02)
    assert [call for call, _ in world.watched.calls] == []
    world.sources.gate.set()
    await run.images()
    assert [call for call, _ in world.watched.calls] == [
        "keep", "save", "save", "save",
    ]  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
async def test_no_image_is_stored_without_its_source(world, late):
    world.watched.failing["keep"] = Unavailable("the storage is not available now")
    if late:
        world.sources.gate.clear()
    run = world.run(2)
    if late:
        await until(lambda: world.admission.taken == 0)
        world.sources.gate.set()
    with pytest.raises(Unavailable):
        await run.images()
    assert world.watched.keys("save") == []
    assert world.admission.taken == 0
    assert world.names() == []


async def test_a_result_as_source_is_not_stored_again(world):
    await world.run(2, kind="result").images()
    assert world.watched.keys("keep") == []


async def test_a_passed_deadline_cancels_everything(world):
    world.models.gate.clear()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
        await world.run(3, deadline_s=0.5).images()
    assert len(world.models.cancelled) == 3
    assert world.admission.taken == 0


@pytest.mark.parametrize("storage_fails", [False, True])
async def test_what_is_being_stored_is_removed_when_the_caller_leaves(world, storage_fails):
    # Written, but not yet answered for.
    world.results.save_gate.clear()
    run = asyncio.create_task(world.run(3).images())
    await until(lambda: len(world.stored()) == 3)
    keys = world.stored()
    if storage_fails:
        world.watched.failing["delete"] = Unavailable("the storage is not available now")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    # Each removal is tried, and its failure does not hide why it was needed.
    assert sorted(world.watched.keys("delete")) == keys
    assert world.stored() == (keys if storage_fails else [])


async def test_a_failed_save_leaves_nothing(world):
    class FailsLast(WatchedResults):
        async def save(self, key, png, recipe):
            if len(self.watched.keys("save")) == 2:
                raise Unavailable("the disk is full")
            await super().save(key, png, recipe)

    world.results = FailsLast(world.store, world.watched)
    with pytest.raises(Unavailable, match="disk is full"):
        await world.run(3).images()
    assert len(world.watched.keys("save")) == 2
    assert world.stored() == []
    assert world.admission.taken == 0


async def test_a_run_nobody_reads_ends(world):
    world.run(3)
    await until(lambda: world.admission.taken == 0 and len(world.stored()) == 3)


async def test_a_reader_who_is_cancelled_before_reading_changes_nothing(world):
    reader = asyncio.create_task(world.run(2).images())
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await until(lambda: world.admission.taken == 0)


async def test_a_failure_nobody_reads_makes_no_noise(world):
    noise: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: noise.append(context))
    world.models.failures = [RuntimeError("a fault"), Unavailable("gone")]
    run = world.run(2)
    await until(lambda: world.admission.taken == 0)
    await asyncio.sleep(0)
    del run
    gc.collect()
    await asyncio.sleep(0)
    assert noise == []


async def test_leaving_the_events_cancels_what_is_in_flight(world):
    class FirstIsFast(ScriptedModels):
        async def generate(self, model, job, photo, *, progress) -> AsyncGenerator[Any]:
            if job.settings.seed == 0:
                yield GeneratedImage((await photo).prepared.pixels, 0.5, "scripted@1")
                return
            async for item in super().generate(model, job, photo, progress=progress):
                yield item

    world.models = FirstIsFast()
    async with asyncio.timeout(20), aclosing(world.run(3, deadline_s=3600).events()) as events:
        first = await anext(events)
        assert world.admission.taken == 2
    assert len(world.models.cancelled) == 2
    assert world.admission.taken == 0
    # The caller has its URL, so it stays.
    assert world.stored() == [first.key]


async def test_progress_counts_up_and_ends_with_the_image(world):
    events = [event async for event in world.run(2, progress=True).events()]
    for index in range(2):
        mine = [event for event in events if event.index == index]
        *steps, image = mine
        assert steps == [ImageProgress(index, step, 4) for step in (1, 2, 3, 4)]
        assert isinstance(image, ImageStored)


async def test_no_progress_unless_it_is_wanted(world):
    events = [event async for event in world.run(2).events()]
    assert all(isinstance(event, ImageStored) for event in events)


async def test_a_model_that_gives_no_image_counts_as_lost(world):
    class Silent(ScriptedModels):
        async def generate(self, model, job, photo, *, progress) -> AsyncGenerator[Any]:
            await photo
            return
            yield

    world.models = Silent()
    with pytest.raises(ReplicaLost, match="ended without an image"):
        await world.run(1).images()
    assert world.admission.taken == 0
