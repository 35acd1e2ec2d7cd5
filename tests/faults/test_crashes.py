"""One machine and the filesystem store: its disk is full, and everything is killed at once.

On the service of the suite for HTTP, after all its other tests: it does not come back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deployments.launch import serve_run
from storage.filesystem import FilesystemStore
from tests.faults.conftest import form, under_load
from tests.running import Running
from tests.serve.conftest import (
    Cluster,
    application,
    free_port,
    tiny_model,
    wait_until_up,
)
from tests.store_consistency import examine
from tests.sweeping import sweep


class Service:
    """A running service: what `under_load` needs of it, and its process."""

    def __init__(self, url: str, pid: int, client: httpx.Client) -> None:
        self.url = url
        self.pid = pid
        self.client = client

    def generate(self, **fields: object) -> httpx.Response:
        return self.client.post("/api/generate", **form(**fields))

    def kill_everything(self) -> None:
        """SIGKILL to all of it: nobody gets to say goodbye."""
        top = psutil.Process(self.pid)
        everything = [*top.children(recursive=True), top]
        for process in everything:
            process.suspend()
        for process in everything:
            process.kill()


@pytest.fixture
def doomed(cluster: Cluster, running: Running) -> Iterator[Service]:
    """The service, which nobody gets again."""
    if not cluster.small_disk:
        pytest.skip("a file system of its own cannot be mounted here")
    yield Service(cluster.url, cluster.pid, cluster.client)
    running.close()


@contextmanager
def restarted(cluster: Cluster, folder: Path) -> Iterator[Service]:
    """The main application with one model, on what its predecessor has left."""
    weights = {"store": {"kind": "filesystem", "path": str(cluster.data)}}
    args = {"models": [tiny_model(cluster.weights)], "storage": weights}
    port = free_port()
    document = {
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [application("main", "/", args)],
    }
    config = folder / "serve_config.yaml"
    config.write_text(yaml.safe_dump(document))
    url = f"http://127.0.0.1:{port}"
    with serve_run(config) as child, httpx.Client(base_url=url, timeout=120) as client:
        wait_until_up(client, "/api/models")
        yield Service(url, child.pid, client)


def test_a_full_disk_is_said_and_nothing_is_lost_when_everything_is_killed(
    doomed, cluster, tmp_path
):
    store = FilesystemStore(cluster.data)
    # Other tests have damaged what was theirs.
    wrong = examine(store).wrong
    before = doomed.generate(num_images=2).json()["images"]
    refused_while_full(doomed, store, cluster.data)
    # Room again, and it works again.
    assert doomed.generate().status_code == 200
    assert examine(store).wrong == wrong

    load: Any = under_load(doomed, 4, doomed.kill_everything, until_served=False)
    acknowledged = [url.rsplit("/", 1)[1] for url in before + load.images]
    assert len(acknowledged) > 6
    with restarted(cluster, tmp_path) as service:
        for name in acknowledged:
            assert service.client.get(f"/generated/{name}").status_code == 200, name
        assert service.generate().status_code == 200
    findings = examine(store)
    assert findings.wrong == wrong
    assert {name.removesuffix(".png") for name in acknowledged} <= set(findings.images)
    # What was being written is half done at most, and the sweep takes it away.
    sweep(store, timedelta(days=2), datetime.now(UTC) + timedelta(days=1, hours=2))
    assert examine(store).unfinished == []


def refused_while_full(service: Service, store: FilesystemStore, data: Path) -> None:
    held = {info.name for info in store.list("")}
    ballast = data.parent / "ballast"
    with ballast.open("wb") as file:
        room = os.statvfs(data)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    try:
        begun = time.monotonic()
        answer = service.generate(num_images=2)
        assert (answer.status_code, answer.json()["error"]) == (503, "the storage is full")
        assert int(answer.headers["retry-after"]) >= 30
        # It is not waited for: only somebody who makes room can help.
        assert time.monotonic() - begun < 60
        assert service.client.get("/api/models").status_code == 200
        assert {info.name for info in store.list("")} == held
        assert not list(data.rglob(".*.part"))
    finally:
        ballast.unlink()
