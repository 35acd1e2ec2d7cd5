"""Requests that are answered later, on a real service: a replica or all of it is killed meanwhile.

Two ingress replicas, a store on disk, and a receiver that is called back. The last test ends the
service.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from deployments.ingress.core.callbacks.signing import SECRETS_VARIABLE
from deployments.launch import serve_run
from storage.filesystem import FilesystemStore
from tests.callback_receiver import Receiver
from tests.faults.cluster import wait_until
from tests.faults.conftest import form
from tests.faults.test_crashes import Service
from tests.running import Running
from tests.serve.conftest import application, free_port, tiny_model, wait_until_up
from tests.store_consistency import examine
from tests.tiny_models import save_tiny_weights

ASYNC = {"Prefer": "respond-async"}
LONG = {"num_images": 4, "steps": 100, "strength": 1}
ENDS = ("done", "error", "cancelled")
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


@dataclass
class Jobs(Service):
    """A running service, and where it keeps what it must not lose.

    Attributes:
        folder: Of its configuration, its weights and its store.
        receiver: The only one that it may call back.
    """

    url: str
    pid: int
    client: httpx.Client = field(repr=False)
    folder: Path
    receiver: Receiver

    @property
    def store(self) -> FilesystemStore:
        return FilesystemStore(self.folder / "data")

    def submit(self, **fields: object) -> str:
        answer = self.client.post("/api/generate", headers=ASYNC, **form(**fields))
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def job(self, path: str) -> dict:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until_over(self, path: str) -> dict:
        wait_until(lambda: self.job(path)["state"] in ("done", "failed", "cancelled"))
        return self.job(path)

    def pixels(self, url: str) -> np.ndarray:
        path = url.removeprefix(self.url)
        return np.asarray(Image.open(BytesIO(self.client.get(path).content))).astype(int)

    def ingress(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.Process(self.pid).children(recursive=True)
            if "ServeReplica:main:ingress" in " ".join(process.cmdline())
        ]

    def who_works_on(self, path: str) -> psutil.Process:
        """The ingress replica that said last that it works on a job."""
        line = f"background request {path.rpartition('/')[2]} is worked on here"
        for process in self.ingress():
            logs = [Path(file.path) for file in process.open_files() if "ingress" in file.path]
            if any(line in log.read_text(errors="replace") for log in logs if log.is_file()):
                return process
        raise LookupError(f"no replica works on {path}")

    @property
    def callback_url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/called"

    def until_told(self, path: str) -> dict:
        """How far the callbacks of a job are, once they are done."""
        wait_until(lambda: self.job(path)["callback"]["state"] != "active")
        return self.job(path)["callback"]


@contextmanager
def started(folder: Path, receiver_port: int = 0) -> Iterator[Jobs]:
    """The service on what is in the folder, until the end of the block."""
    with Receiver(secret=SECRET, at=receiver_port) as receiver, serving(folder, receiver) as jobs:
        yield jobs


@contextmanager
def serving(folder: Path, receiver: Receiver) -> Iterator[Jobs]:
    if not (folder / "sd").exists():
        save_tiny_weights(folder / "sd")
    port = free_port()
    # Large enough that its steps take a while.
    model = {**tiny_model(folder / "sd"), "size": 128, "max_steps": 200}
    args = {
        "models": [model],
        "ingress": {
            "max_wait_s": 3600,
            "webhooks": {
                "hosts": [f"127.0.0.1:{receiver.port}"],
                "allow_http": True,
                "allow_networks": ["127.0.0.0/8"],
                "timeout_s": 60,
                "retry_s": 0.5,
            },
        },
        "storage": {"store": {"kind": "filesystem", "path": str(folder / "data")}},
    }
    document = {
        "http_options": {"host": "127.0.0.1", "port": port},
        "logging_config": {"enable_access_log": False},
        "applications": [
            {
                **application("main", "/", args, ingress=2),
                "runtime_env": {"env_vars": {SECRETS_VARIABLE: SECRET}},
            }
        ],
    }
    config = folder / "serve_config.yaml"
    config.write_text(yaml.safe_dump(document))
    url = f"http://127.0.0.1:{port}"
    with serve_run(config) as child, httpx.Client(base_url=url, timeout=120) as client:
        wait_until_up(client, "/api/models")
        service = Jobs(url, child.pid, client, folder, receiver)
        wait_until(lambda: service.generate().status_code == 200)
        yield service


@pytest.fixture
def jobs(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return running.get("jobs", lambda: started(tmp_path_factory.mktemp("jobs")))


class Follower:
    """Follows a job as a browser's EventSource does, over lost connections.

    Attributes:
        events: Id, name and data of each event that has an id.
    """

    def __init__(self, url: str) -> None:
        self.events: list[tuple[int, str, dict]] = []
        self.connections = 0
        self._url = url
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> list[tuple[int, str, dict]]:
        self._thread.join(300)
        assert not self._thread.is_alive()
        return self.events

    def _follow(self) -> None:
        while not self.events or self.events[-1][1] not in ENDS:
            with suppress(httpx.TransportError):
                self._read()
            time.sleep(0.2)

    def _read(self) -> None:
        last = str(self.events[-1][0] if self.events else 0)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
        with httpx.stream("GET", self._url, headers=headers, timeout=60) as answer:
            if answer.status_code != 200:
                return
            self.connections += 1
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "id" in fields:
                    told = json.loads(fields["data"])
                    self.events.append((int(fields["id"]), fields["event"], told))
                fields = {}


def test_a_job_goes_on_where_its_replica_is_killed(jobs):
    expected = jobs.client.post("/api/generate", **form(**LONG, seed=7)).json()["images"]
    path = jobs.submit(**LONG, seed=7)
    follower = Follower(jobs.url + path)
    wait_until(lambda: follower.events)
    jobs.who_works_on(path).kill()
    killed, told = time.monotonic(), len(follower.events)
    wait_until(lambda: len(follower.events) > told)
    print(f"the next event came {time.monotonic() - killed:.1f} s after the kill")
    events = follower.end()
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    names = [name for _, name, _ in events]
    assert (names.count("image"), names[-1]) == (4, "done")
    job = jobs.job(path)
    assert job["answer"] == events[-1][2]
    assert job["answer"]["seeds"] == [7, 8, 9, 10]
    for mine, other in zip(job["answer"]["images"], expected, strict=True):
        assert abs(jobs.pixels(mine) - jobs.pixels(other)).max() <= 1
    assert examine(jobs.store).wrong == []
    wait_until(lambda: len(jobs.ingress()) == 2)


def test_no_callback_is_lost_with_the_replica_that_made_it(jobs):
    answer, arrived = threading.Event(), threading.Event()

    def slow(request) -> None:
        arrived.set()
        answer.wait(300)
        request.send_response(204)
        request.end_headers()

    receiver = jobs.receiver
    # The first image of each job is told, and the answer does not come.
    receiver.answers += [slow, slow]
    paths = [jobs.submit(num_images=2, steps=2, callback_url=jobs.callback_url) for _ in range(2)]
    for path in paths:
        assert jobs.until_over(path)["callback"]["delivered"] == 0
    wait_until(lambda: len(receiver.messages) >= 2)
    # It has made the images of the first job, and calls; maybe those of the second too.
    jobs.who_works_on(paths[0]).kill()
    killed, before = time.monotonic(), len(receiver.messages)
    wait_until(lambda: len(receiver.messages) > before)
    print(f"it was called again {time.monotonic() - killed:.1f} s after the kill")
    answer.set()
    for path in paths:
        told = jobs.until_told(path)
        assert (told["delivered"], told["waiting"], told["failed"]) == (3, 0, 0)
        told_of(receiver, path, images=2)
    assert receiver.unsigned == 0
    # The one whose answer was lost came again under the same id.
    ids = [message.id for message in receiver.messages]
    assert len(ids) > len(set(ids)) == 6
    wait_until(lambda: len(jobs.ingress()) == 2)


def told_of(receiver: Receiver, path: str, images: int) -> None:
    """Every event of a job has come, first in order, whatever came again."""
    key = path.rpartition("/")[2]
    bodies = {
        message.id: json.loads(message.body)
        for message in receiver.messages
        if message.id.startswith(f"msg_{key}_")
    }
    numbers = [int(name.rpartition("_")[2]) for name in bodies]
    assert numbers == sorted(numbers)
    assert [body["type"] for body in bodies.values()] == ["job.image"] * images + ["job.done"]


def test_a_job_that_runs_is_cancelled(jobs):
    path = jobs.submit(**{**LONG, "steps": 200})
    follower = Follower(jobs.url + path)
    wait_until(lambda: jobs.job(path)["state"] == "running")
    answer = jobs.client.delete(path)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert follower.end()[-1][1] == "cancelled"
    # What it held is free: the same again would not fit four times.
    assert jobs.client.post("/api/generate", **form(num_images=4)).status_code == 200
    names = [info.name for info in jobs.store.list("")]
    assert not [name for name in names if path.rpartition("/")[2] in name and "uploads" in name]
    assert jobs.client.delete(path).json()["state"] == "cancelled"


def test_jobs_are_there_after_everything_was_killed(jobs, running):
    jobs.receiver.answers += [500] * 1000
    url, port = jobs.callback_url, jobs.receiver.port
    paths = [jobs.submit(**LONG, seed=seed, callback_url=url) for seed in (20, 30, 40)]
    wait_until(lambda: jobs.job(paths[0])["progress"] > 0.1)
    listed = [job["id"] for job in jobs.client.get("/api/jobs?limit=100").json()["jobs"]]
    jobs.kill_everything()
    folder = jobs.folder
    running.close()
    with started(folder, port) as again:
        done = [again.until_over(path) for path in paths]
        assert [job["state"] for job in done] == ["done"] * 3
        seeds = [job["answer"]["seeds"] for job in done]
        assert seeds == [[first + n for n in range(4)] for first in (20, 30, 40)]
        for job in done:
            for url in job["answer"]["images"]:
                assert again.pixels(url).ndim == 3
        for path in paths:
            assert again.until_told(path)["failed"] == 0
            told_of(again.receiver, path, images=4)
        now = [job["id"] for job in again.client.get("/api/jobs?limit=100").json()["jobs"]]
        assert now == listed
        findings = examine(again.store)
        assert (findings.wrong, findings.unfinished) == ([], [])
        names = [info.name.partition("/")[0] for info in again.store.list("")]
        assert not {"unfinished", "uploads", "callbacks"} & set(names)
