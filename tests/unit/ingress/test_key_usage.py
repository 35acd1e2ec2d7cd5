"""What API keys use: counted by name, written down by day, and told with bounded labels."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from deployments.errors import InternalError, StorageDown
from deployments.ingress.core.usage import DailyUsage, Used, end_of
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.remote import metrics
from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.background import at_work, submit, until
from tests.unit.ingress.memory import surface
from tests.unit.ingress.test_cutouts import cut

SHOP, OTHER = ({"Authorization": f"Bearer {secret}"} for secret in ("s3cret", "0ther"))
DAY = date(2026, 11, 30)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Store:
    """Keeps what is written last of each day.

    Attributes:
        away: It cannot be reached.
    """

    def __init__(self) -> None:
        self.days: dict[date, dict[str, dict[str, int]]] = {}
        self.replicas: set[str] = set()
        self.writings = 0
        self.away = False

    async def save(self, day, replica, keys) -> None:
        if self.away:
            raise StorageDown("the storage is away")
        self.writings += 1
        self.replicas.add(replica)
        self.days[day] = keys


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daily(store: Store, clock: Clock) -> DailyUsage:
    return DailyUsage(store, 3600, clock)


def used(*counts: int) -> dict[str, int]:
    names = ("requests", "refused", "failed", "images", "steps", "pixels")
    return dict(zip(names, counts, strict=True))


@pytest.mark.parametrize(("status", "end"), [
    (200, "answered"), (202, "answered"), (304, "answered"), (429, "refused"), (400, "failed"),
    (401, "failed"), (499, "failed"), (500, "failed"),
])  # fmt: skip
def test_how_a_request_ended(status, end):
    assert end_of(status) == end


async def test_each_writing_has_the_whole_day(daily, store):
    daily.asked("shop", "answered")
    daily.made("shop", 20, 512 * 512)
    await daily.save()
    await daily.save()
    assert (store.writings, store.days) == (1, {DAY: {"shop": used(1, 0, 0, 1, 20, 262_144)}})
    daily.asked("shop", "refused")
    daily.asked("", "failed")
    await daily.save()
    assert store.days == {DAY: {"shop": used(2, 1, 0, 1, 20, 262_144), "": used(1, 0, 1, 0, 0, 0)}}
    (replica,) = store.replicas
    assert len(replica) == 20


async def test_at_midnight_another_day_begins(daily, store, clock):
    daily.asked("shop", "answered")
    clock.now += timedelta(minutes=2)
    daily.asked("shop", "answered")
    await daily.save()
    assert store.days == {
        DAY: {"shop": used(1, 0, 0, 0, 0, 0)},
        DAY + timedelta(days=1): {"shop": used(1, 0, 0, 0, 0, 0)},
    }
    # A clock that is set back does not write over a day that is told.
    clock.now -= timedelta(minutes=2)
    daily.asked("shop", "answered")
    await daily.save()
    assert store.days[DAY] == {"shop": used(1, 0, 0, 0, 0, 0)}
    assert store.days[DAY + timedelta(days=1)] == {"shop": used(2, 0, 0, 0, 0, 0)}


async def test_nothing_is_lost_while_the_store_is_away(daily, store, clock, caplog):
    store.away = True
    daily.asked("shop", "answered")
    await daily.save()
    assert "the usage of 2026-11-30 could not be written yet" in caplog.text
    clock.now += timedelta(days=1)
    daily.asked("shop", "answered")
    await daily.save()
    store.away = False
    await daily.save()
    assert [keys["shop"]["requests"] for keys in store.days.values()] == [1, 1]


async def test_it_is_written_again_and_again_and_at_the_end(store, clock):
    daily = DailyUsage(store, 0.01, clock)
    daily.asked("shop", "answered")
    writing = asyncio.create_task(daily.run())
    await until(lambda: store.writings == 1)
    slow = DailyUsage(store, 3600, clock)
    slow.asked("late", "answered")
    ending = asyncio.create_task(slow.run())
    await asyncio.sleep(0)
    for task in (writing, ending):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "late" in store.days[DAY]


async def test_each_key_s_requests_and_images_are_counted(tmp_path, daily, store):
    keys = KeyRing({"shop": "s3cret", "other": "0ther"})
    settings = IngressSettings(rates=RateSettings(requests_per_minute=4))
    made = surface(tmp_path, settings, keys=keys, daily=daily)
    async with made.client as client:
        client.headers.update(SHOP)
        assert (await made.generate(num_images=2, strength=1)).status_code == 200
        assert (await made.generate(num_images=99)).status_code == 400
        assert (await cut(made, headers=SHOP)).status_code == 200
        made.models.failures = [InternalError("no")]
        assert (await made.generate(num_images=1)).status_code == 500
        await client.get("/api/models")
        assert (await made.generate(num_images=1, strength=1)).status_code == 200
        assert (await made.generate(num_images=1)).status_code == 429
        client.headers.update({"Authorization": "Bearer wrong"})
        assert (await made.generate(num_images=1)).status_code == 401
    await daily.save()
    # 48 x 32 pixels, 4 steps.
    assert store.days == {
        DAY: {"shop": used(6, 1, 2, 3, 3 * 4, 3 * 48 * 32), "": used(1, 0, 1, 0, 0, 0)}
    }


async def test_plain_images_have_no_steps(tmp_path, daily, store):
    made = surface(tmp_path, daily=daily)
    async with made.client:
        answer = await made.generate(background="#FFFFFF", num_images=1)
        assert answer.status_code == 200, answer.text
    await daily.save()
    assert store.days[DAY][""]["images"] == 1
    assert store.days[DAY][""]["steps"] == 0


async def test_a_job_s_images_are_its_key_s(tmp_path, daily, store):
    keys = KeyRing({"shop": "s3cret", "other": "0ther"})
    made = surface(tmp_path, keys=keys, daily=daily)
    async with made.client, at_work(made):
        accepted = await submit(made, headers=OTHER, num_images=2)
        assert accepted.status_code == 202
        await until(lambda: daily._days and daily._of("other").images == 2)
    await daily.save()
    assert (store.days[DAY]["other"]["requests"], "shop" in store.days[DAY]) == (1, False)


async def test_the_application_writes_it_down_as_long_as_it_runs(tmp_path, daily, store):
    made = surface(tmp_path, daily=daily)
    async with made.app.router.lifespan_context(made.app):
        await made.generate(num_images=1)
        assert not store.days
    assert store.days[DAY][""]["images"] == 1


class Heard:
    """Stands for Ray's counters."""

    counts: Counter[tuple[object, ...]]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.name = name
        self.tag_keys = tag_keys

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert value > 0
        assert set(tags) == set(self.tag_keys)
        Heard.counts[(self.name.removeprefix("backdrop_key_"), *tags.values())] += value


@pytest.fixture
def heard(monkeypatch) -> type[Heard]:
    monkeypatch.setattr(metrics, "Counter", Heard)
    Heard.counts = Counter()
    return Heard


def test_the_metrics_tell_the_first_keys_apart(heard):
    counting = metrics.UsageMetrics(2, lambda: ["first", "second", "third"])
    for name in ("third", "second", "first", "second", ""):
        counting.asked(name, "answered")
    counting.asked("first", "refused")
    counting.made("first", 20, 100)
    counting.made("third", 0, 50)
    assert heard.counts == {
        ("requests", "(other keys)", "answered"): 1,
        ("requests", "second", "answered"): 2,
        ("requests", "first", "answered"): 1,
        ("requests", "(no key)", "answered"): 1,
        ("requests", "first", "refused"): 1,
        ("images", "first"): 1,
        ("steps", "first"): 20,
        ("pixels", "first"): 100,
        ("images", "(other keys)"): 1,
        ("pixels", "(other keys)"): 50,
    }


def test_keys_that_come_and_go_make_no_more_labels(heard):
    names = ["0"]
    counting = metrics.UsageMetrics(3, lambda: names)
    for number in range(50):
        names[0] = str(number)
        counting.asked(names[0], "answered")
    labels = {label for _, label, _ in heard.counts}
    assert labels == {"0", "1", "2", "(other keys)"}


def test_what_is_counted_is_what_is_stored():
    from storage.usage import COUNTED

    assert tuple(Used.__slots__) == COUNTED
