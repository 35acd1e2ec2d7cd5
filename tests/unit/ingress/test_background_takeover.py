"""A replica that works on a background request dies, sleeps or stops, and another goes on."""

from __future__ import annotations

import asyncio

import pytest

from deployments.errors import ReplicaLost
from deployments.ingress.core.background import held, runner, work
from deployments.ingress.core.background.names import Name, in_turn
from deployments.ingress.core.background.records import Record, StoredEvent, record_of
from deployments.ingress.core.events import ImageStored
from deployments.ingress.core.keys import new_key, owner_of
from tests.unit.ingress.background import (
    at_work,
    followed,
    pair,
    settings,
    submitted,
    until,
    until_over,
    until_state,
)
from tests.unit.ingress.memory import Surface, key_of, surface


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(work, "PUT_OFF_S", 0.05)
    monkeypatch.setattr(runner, "OTHERS_S", 0.05)
    monkeypatch.setattr(held.Happening, "SHORTEST_S", 0.05)


class OneGate:
    """Lets the first image through, and no other until it is opened."""

    def __init__(self, *, closed: bool = False) -> None:
        self.first, self.opened = asyncio.Event(), asyncio.Event()
        if not closed:
            self.first.set()
        self._asked = 0

    async def wait(self) -> None:
        self._asked += 1
        await (self.first if self._asked == 1 else self.opened).wait()


async def died(replica: Surface, task: asyncio.Task) -> None:
    """A replica is gone, as far as others see: it writes nothing any more, and holds nothing."""
    replica.service._backends.requests.fails = True
    task.cancel()
    await asyncio.wait([task])


def record(api: Surface, path: str) -> Record:
    requests = api.service._backends.requests.requests
    return record_of(requests.load(owner_of(""), path.rpartition("/")[2])[0])


def files(api: Surface, folder: str, suffix: str) -> list[str]:
    return [name for name in api.names() if name.startswith(folder) and name.endswith(suffix)]


async def follow(api: Surface, path: str, seen: list) -> None:
    async for event in api.service.background.follow("", path.rpartition("/")[2], 0):
        if isinstance(event, StoredEvent | Record):
            seen.append(event)


async def test_another_replica_goes_on_where_one_died(tmp_path):
    one, two = pair(tmp_path)
    one.models.gate = OneGate()
    path = await submitted(one, num_images=3, seed=7)
    seen: list = []
    following = asyncio.create_task(follow(two, path, seen))
    task = asyncio.create_task(one.service.background.run())
    await until(lambda: record(two, path).made)
    (first,) = record(two, path).made
    await died(one, task)
    assert record(two, path).state == "running"
    async with at_work(two):
        done = await until_over(two, path)
    await following
    assert done["state"] == "done"
    assert done["answer"]["seeds"] == [7, 8, 9]
    # What one has made, two has not made again; and its keys are the same.
    assert [job.settings.seed for job in two.models.jobs] == [8, 9]
    keys = {key_of(url) for url in done["answer"]["images"]}
    assert keys == {job.key for job in one.models.jobs} == set(record(two, path).fixed.image_keys)
    assert first.key in keys
    assert len(files(two, "generated/", ".png")) == 3
    assert len(files(two, "sources/", ".png")) == 1
    # A follower saw every event once, over the change.
    *events, whole = seen
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert sum(isinstance(event.what, ImageStored) for event in events) == 3
    assert whole.state == "done"
    assert [n for n, _, _ in await followed(two, path)] == list(range(1, len(events) + 2))


async def died_between_an_image_and_its_event(one: Surface, path: str) -> None:
    held.Happening.SHORTEST_S = 60.0  # nothing is written down but at an image
    one.models.gate = OneGate(closed=True)
    task = asyncio.create_task(one.service.background.run())
    await until(lambda: record(one, path).state == "running")
    one.service._backends.requests.fails = True
    one.models.gate.first.set()
    await until(lambda: files(one, "generated/", ".png"))
    await died(one, task)


async def test_an_image_that_was_stored_and_not_written_down_is_not_made_again(tmp_path):
    one, two = pair(tmp_path)
    path = await submitted(one, seed=7, prompt="Add AI human")
    await died_between_an_image_and_its_event(one, path)
    assert record(two, path).made == []
    async with at_work(two):
        done = await until_over(two, path)
    assert [job.settings.seed for job in two.models.jobs] == [8]
    assert done["answer"]["seeds"] == [7, 8]
    assert done["answer"]["fidelity"][0]["pixels"] == 1.0
    assert [(entry["width"], entry["height"]) for entry in done["answer"]["details"]] == [
        (48, 32)
    ] * 2
    assert [len(image.warnings) for image in record(two, path).made] == [1, 1]


async def test_one_that_only_slept_finds_out_that_it_was_taken_over(tmp_path):
    one, two = pair(tmp_path)
    one.models.gate = OneGate()
    two.models.gate = OneGate()
    path = await submitted(one, num_images=3, seed=7)
    async with at_work(one):
        await until(lambda: record(two, path).made)
        # The admission gives its claim away, as it does when a replica is silent for long.
        places = one.service._places
        for claim in list(places._claims):
            places.give_back(claim)
        async with at_work(two):
            await until(lambda: len(two.models.jobs) == 2)
            await until(lambda: len(one.models.cancelled) == 2)
            # What two may have stored by now, one has not removed.
            await until(lambda: len(record(two, path).made) == 2)
            two.models.gate.opened.set()
            done = await until_over(two, path)
    assert done["answer"]["seeds"] == [7, 8, 9]
    assert len(files(two, "generated/", ".png")) == 3
    numbers = [number for number, _, _ in await followed(two, path)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_replica_that_stops_puts_its_work_back_at_once(tmp_path):
    one, two = pair(tmp_path)
    one.models.gate.clear()
    path = await submitted(one)
    async with at_work(one):
        await until_state(one, path, "running")
    assert (record(two, path).state, record(two, path).attempts) == ("waiting", 0)
    async with at_work(two):
        assert (await until_over(two, path))["state"] == "done"


async def test_all_is_taken_up_after_a_restart_of_everything(tmp_path):
    before = surface(tmp_path, settings())
    before.models.gate.clear()
    paths = [await submitted(before, seed=n) for n in range(3)]
    task = asyncio.create_task(before.service.background.run())
    await until(lambda: len(before.models.photos) == 6)
    await died(before, task)
    after = surface(tmp_path, settings())
    async with at_work(after):
        done = [await until_over(after, path) for path in paths]
    assert [job["answer"]["seeds"] for job in done] == [[0, 1], [1, 2], [2, 3]]
    assert len(files(after, "generated/", ".png")) == 6
    assert files(after, "unfinished/", "") == files(after, "uploads/", "") == []


async def test_one_that_is_cancelled_while_nobody_works_on_it_leaves_nothing(tmp_path):
    one, two = pair(tmp_path)
    path = await submitted(one, seed=7)
    await died_between_an_image_and_its_event(one, path)
    assert (await two.client.delete(path)).json()["state"] == "cancelled"
    async with at_work(two):
        await until(lambda: not files(two, "unfinished/", ""))
    assert two.models.jobs == []
    assert files(two, "generated/", "") == files(two, "uploads/", "") == []


async def test_one_that_takes_its_replicas_with_it_is_given_up(tmp_path):
    api = surface(tmp_path, settings())
    api.models.failures += [ReplicaLost("the model is not available now", 0.01)] * 99
    path = await submitted(api, num_images=1)
    async with at_work(api):
        job = await until_over(api, path)
    assert (job["state"], job["failure"]["status"]) == ("failed", 500)
    assert job["failure"]["error"] == "it was given up after 5 attempts"
    assert len(api.models.jobs) == work.MOST_ATTEMPTS


async def test_two_replicas_share_the_work(tmp_path):
    one, two = pair(tmp_path, at_once=1)
    paths = [await submitted(one, num_images=1, seed=n) for n in range(6)]
    async with at_work(one, two):
        for path in paths:
            assert (await until_over(two, path))["state"] == "done"
    made = [job.settings.seed for api in (one, two) for job in api.models.jobs]
    assert sorted(made) == list(range(6))


async def test_no_more_run_at_a_time_than_may(tmp_path):
    api = surface(tmp_path, settings(at_once=2))
    api.models.gate.clear()
    paths = [await submitted(api, num_images=1, seed=n) for n in range(4)]
    async with at_work(api):
        await until(lambda: len(api.models.photos) == 2)
        await asyncio.sleep(0.3)
        assert len(api.models.photos) == 2
        states = [(await api.client.get(path)).json()["state"] for path in paths]
        assert sorted(states) == ["running", "running", "waiting", "waiting"]
        api.models.gate.set()
        for path in paths:
            await until_over(api, path)


def test_who_submits_many_keeps_nobody_waiting():
    def name(owner: str, number: int) -> Name:
        return Name(owner, f"{2**48 - 1 - number:012x}" + "0" * 20)

    many = [name("a" * 32, number) for number in range(5)]
    few = [name("b" * 32, number) for number in (10, 11)]
    assert in_turn([*many, *few]) == [many[0], few[0], many[1], few[1], *many[2:]]
    assert in_turn([]) == []


def test_newer_requests_sort_first(monkeypatch):
    first = new_key()
    later = int(first[:12], 16) - 5000
    assert Name("a" * 32, f"{later:012x}" + "0" * 20).submitted_ms > Name("a", first).submitted_ms
    assert len({new_key() for _ in range(1000)}) == 1000
