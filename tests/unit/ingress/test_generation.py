"""One admitted request: its places come back and its rules hold, however it ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from deployments.errors import DeadlineExceeded, ReplicaLost, Unavailable
from deployments.ingress.core.events import ImageProgress, ImageStored
from deployments.jobs import GeneratedImage
from tests.unit.ingress.memory import (
    ScriptedModels,
)
from tests.unit.ingress.watched import LIMIT, WatchedResults, World


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
