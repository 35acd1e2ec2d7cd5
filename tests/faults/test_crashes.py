"""One machine and the filesystem store: its disk is full, and everything is killed at once."""

from __future__ import annotations

import os
import subprocess
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
from storage.retention import sweep
from tests.faults.conftest import form, under_load
from tests.serve.conftest import free_port, wait_until_up
from tests.store_consistency import examine
from tests.tiny_models import save_tiny_weights

ROOM = 4 * 2**20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, disk: Path) -> Path:
    folder = tmp_path_factory.mktemp("crashes")
    save_tiny_weights(folder / "sd")
    model = {
        "id": "stable-diffusion",
        "name": "Stable Diffusion",
        "weights": str(folder / "sd"),
        "size": 64,
        "steps": 4,
        "threads": 1,
    }
    names = ["ingress", "admission", "studio", "storage", model["id"]]
    document = {
        "http_options": {"host": "127.0.0.1", "port": free_port()},
        "applications": [
            {
                "name": "main",
                "route_prefix": "/",
                "import_path": "deployments.app:build",
                "args": {
                    "models": [model],
                    "studio": {"shape_floor": 0.0},
                    "storage": {"store": {"kind": "filesystem", "path": str(disk / "data")}},
                },
                "deployments": [
                    {"name": name, "ray_actor_options": {"num_cpus": 0.01}} for name in names
                ],
            }
        ],
    }
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


class Service:
    """The running service: what `under_load` needs of it, and its process."""

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


@contextmanager
def running(config: Path) -> Iterator[Service]:
    port = yaml.safe_load(config.read_text())["http_options"]["port"]
    url = f"http://127.0.0.1:{port}"
    with serve_run(config) as child, httpx.Client(base_url=url, timeout=120) as client:
        wait_until_up(client, "/api/models")
        yield Service(url, child.pid, client)


def test_a_full_disk_is_said_and_nothing_is_lost_when_everything_is_killed(config, disk):
    store = FilesystemStore(disk / "data")
    with running(config) as service:
        before = service.generate(num_images=2).json()["images"]
        refused_while_full(service, store, disk)
        # Room again, and it works again.
        assert service.generate().status_code == 200
        assert examine(store).wrong == []

        load: Any = under_load(service, 4, service.kill_everything, until_served=False)
    acknowledged = before + load.images
    assert len(acknowledged) > 6
    with running(config) as service:
        for url in acknowledged:
            assert service.client.get(url).status_code == 200, url
        assert service.generate().status_code == 200
    findings = examine(store)
    assert findings.wrong == []
    assert {url.rsplit("/", 1)[1].removesuffix(".png") for url in acknowledged} <= set(
        findings.images
    )
    # What was being written is half done at most, and the sweep takes it away.
    sweep(store, timedelta(days=2), datetime.now(UTC) + timedelta(days=1, hours=2))
    assert examine(store).unfinished == []


def refused_while_full(service: Service, store: FilesystemStore, disk: Path) -> None:
    held = {info.name for info in store.list("")}
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        room = os.statvfs(disk)
        file.write(b"\0" * (room.f_bavail * room.f_frsize))
    try:
        begun = time.monotonic()
        answer = service.generate(num_images=2)
        assert (answer.status_code, answer.json()["error"]) == (503, "the storage is full")
        assert int(answer.headers["retry-after"]) >= 30
        # It is not waited for: only somebody who makes room can help.
        assert time.monotonic() - begun < 60
        assert service.client.get("/api/models").status_code == 200
        assert {info.name for info in store.list("")} == held
        assert not list((disk / "data").glob("*/.*.part"))
    finally:
        ballast.unlink()
