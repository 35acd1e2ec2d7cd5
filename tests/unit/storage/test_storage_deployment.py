import asyncio
import gc
import inspect
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.deployment import Storage
from storage.errors import (
    StorageMisconfigured,
    StorageUnavailable,
)
from storage.filesystem import FilesystemStore
from storage.lineage import Lineage
from storage.names import SWEEPER
from storage.records import Records
from storage.settings import FilesystemSettings
from storage.sweeping import Sweeper

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
KEY = f"{1:032x}"
CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> FilesystemSettings:
    return FilesystemSettings(path=str(tmp_path / "images"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for another thread; the bound only ends a test that fails anyway."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def test_it_keeps_results_and_sources(settings: FilesystemSettings) -> None:
    storage = Storage(settings, retention_s=None)
    await storage.save(KEY, PNG, {"seed": 1})
    await storage.keep_sources(KEY, [KEY], Encoded(PNG, PNG + b"product"))
    assert (await storage.load_image(KEY, "png")).data == PNG
    assert (await storage.load_source(KEY)).data == PNG
    assert await storage.load_recipe(KEY) == {"seed": 1}
    assert await storage.load_mask(KEY) == PNG + b"product"
    await storage.delete(KEY, [KEY])
    loads = (storage.load_recipe, storage.load_source, storage.load_mask)
    assert [await load(KEY) for load in loads] == [None] * 3
    assert await storage.load_image(KEY, "png") is None
    await storage.check_health()
    storage.close()


@dataclass
class Encoded:
    photo: bytes | None
    product: bytes | None


async def test_sources_are_marked_before_anything_is_stored_or_read(
    settings: FilesystemSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order on which a removal at the same time relies."""
    storage = Storage(settings, retention_s=None)
    order: list[str] = []

    def note(kind: type, name: str) -> None:
        method = getattr(kind, name)

        def noted(*args: object) -> object:
            order.append(name)
            return method(*args)

        monkeypatch.setattr(kind, name, noted)

    note(Lineage, "refer")
    note(Lineage, "save_source")
    note(Records, "load_image")
    await storage.save(KEY, PNG, {})
    await storage.keep_sources(KEY, [KEY], Encoded(PNG, None))
    assert (await storage.borrow(KEY, "png", [KEY], ["b" * 32])).data == PNG
    assert order == ["refer", "save_source", "refer", "load_image"]
    storage.close()


@pytest.mark.parametrize("broken", ["recipe", "mark"])
async def test_no_image_is_stored_without_its_recipe_and_its_mark(
    settings: FilesystemSettings, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    storage = Storage(settings, retention_s=None)
    put = FilesystemStore.put

    def failing(store: FilesystemStore, name: str, data: bytes, content_type: str) -> None:
        if name.startswith("owned/" if broken == "mark" else f"generated/{KEY}.json"):
            raise StorageUnavailable("broken")
        put(store, name, data, content_type)

    with monkeypatch.context() as patch:
        patch.setattr(FilesystemStore, "put", failing)
        with pytest.raises(StorageUnavailable, match="broken"):
            await storage.save(KEY, PNG, {"owner": "d" * 32})
    assert await storage.load_image(KEY, "png") is None
    await storage.save(KEY, PNG, {"owner": "d" * 32})
    assert (await storage.load_image(KEY, "png")).data == PNG
    storage.close()


def test_it_takes_what_records_and_lineage_take() -> None:
    methods = {Records: ("save", "load_image", "load_recipe", "delete")}
    methods[Lineage] = ("load_source", "load_mask")
    for kind, name in ((kind, name) for kind, names in methods.items() for name in names):
        ours, theirs = getattr(Storage, name), getattr(kind, name)
        assert inspect.iscoroutinefunction(ours)
        assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters


async def test_the_event_loop_is_not_blocked(
    settings: FilesystemSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(settings, retention_s=None)
    release = threading.Event()
    running: list[str] = []
    get = FilesystemStore.get

    def slow_get(store: FilesystemStore, name: str) -> object:
        if name == SWEEPER:
            return get(store, name)
        running.append(name)
        assert release.wait(30)
        return get(store, name)

    await storage.save(KEY, PNG, {})
    monkeypatch.setattr(FilesystemStore, "get", slow_get)
    loads = [asyncio.create_task(storage.load_image(KEY, "png")) for _ in range(40)]
    await asyncio.to_thread(wait_for, lambda: len(running) == 16)
    await storage.check_health()
    # A cancelled caller does not make room for another thread.
    for load in loads[:8]:
        load.cancel()
    await asyncio.gather(*loads[:8], return_exceptions=True)
    await asyncio.sleep(0.05)
    assert len(running) == 16
    release.set()
    results = await asyncio.gather(*loads[8:])
    assert [stored.data for stored in results] == [PNG] * 32
    storage.close()


def test_a_wrong_configuration_fails_the_constructor(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageMisconfigured, match="cannot be used as a folder"):
        Storage(FilesystemSettings(path=str(tmp_path / "file")), retention_s=None)


def test_a_store_that_cannot_serve_fails_the_constructor(
    settings: FilesystemSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FilesystemStore) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(FilesystemStore, "check", fail)
    with pytest.raises(StorageUnavailable, match="disk is full"):
        Storage(settings, retention_s=60.0)
    assert not any(thread.name == "storage-sweep" for thread in threading.enumerate())


async def test_a_dead_store_is_no_reason_to_kill_the_replica(
    settings: FilesystemSettings, tmp_path: Path
) -> None:
    storage = Storage(settings, retention_s=60.0, sweep_interval_s=0.01)
    (tmp_path / "images").rename(tmp_path / "gone")
    with pytest.raises(StorageUnavailable):
        await storage.load_image(KEY, "png")
    await storage.check_health()
    (tmp_path / "gone").rename(tmp_path / "images")
    await storage.save(KEY, PNG, {})
    storage.close()


async def test_old_results_go_and_the_sweep_outlives_an_outage(
    settings: FilesystemSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "images"
    storage = Storage(settings, retention_s=3600.0, sweep_interval_s=0.01)
    root.rename(tmp_path / "gone")
    wait_for(lambda: "will be repeated" in caplog.text)
    (tmp_path / "gone").rename(root)
    await storage.save(KEY, PNG, {})
    await storage.save(f"{2:032x}", PNG, {})
    image = root / f"generated/{KEY}.png"
    os.utime(image, (time.time() - 7200, time.time() - 7200))
    await asyncio.to_thread(wait_for, lambda: not image.with_suffix(".json").exists())
    assert not image.exists()
    assert (await storage.load_image(f"{2:032x}", "png")).data == PNG
    storage.close()


async def test_without_retention_only_what_is_half_done_is_removed(
    settings: FilesystemSettings, tmp_path: Path
) -> None:
    storage = Storage(settings, retention_s=None, sweep_interval_s=0.01)
    await storage.save(KEY, PNG, {})
    folder = tmp_path / "images/generated"
    lone = folder / f"{2:032x}.json"
    lone.write_text("{}")
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    await asyncio.to_thread(wait_for, lambda: not lone.exists())
    assert (await storage.load_image(KEY, "png")).data == PNG
    storage.close()


async def test_a_sweep_that_died_is_reported(
    settings: FilesystemSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())

    def fail(_: Sweeper) -> float:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Sweeper, "turn", fail)
    storage = Storage(settings, retention_s=60.0)
    assert died.wait(30)
    storage._sweeper.join()
    with pytest.raises(StorageUnavailable, match="sweep of this replica has died"):
        await storage.check_health()


@pytest.mark.parametrize("end", ["close", "forget"])
def test_the_sweep_stops_with_the_replica(settings: FilesystemSettings, end: str) -> None:
    storage = Storage(settings, retention_s=60.0, sweep_interval_s=3600.0)
    sweeper = storage._sweeper
    assert sweeper.is_alive()
    gone = weakref.ref(storage)
    if end == "close":
        storage.close()
        storage.close()
    else:
        del storage
        gc.collect()
        assert gone() is None
    sweeper.join(30)
    assert not sweeper.is_alive()


def test_storage_starts_without_the_heavy_libraries() -> None:
    code = (
        "import storage.deployment, storage.minio_store, sys;"
        "print({'ray', 'fastapi', 'torch', 'deployments'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
