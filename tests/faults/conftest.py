"""One cluster for the suite: two worker nodes, two replicas of most parts, and a real S3 server.

Every test puts right what it broke: it waits until all replicas are back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from storage.minio_store import MinioStore
from storage.settings import MinioSettings
from storage.store import ImageStore
from tests.faults.cluster import FaultyCluster, wait_until
from tests.faults.s3_proxy import S3Proxy
from tests.running import Running
from tests.s3_server import S3Server
from tests.serve.conftest import free_port, tiny_model, wait_until_up
from tests.store_consistency import Findings, examine
from tests.tiny_models import save_tiny_controlnet, save_tiny_weights

REPLICAS = {"ingress": 2, "studio": 2, "storage": 2, "stable-diffusion": 2, "controlnet": 1}
BUCKET = "faults"
OUTAGE_S = 8.0
"""Seconds for which requests wait for a part that is down: long enough for a busy machine."""


def png(size: tuple[int, int] = (96, 64)) -> bytes:
    """A photo with a product in it: a blue box on white."""
    image = Image.new("RGB", size, "white")
    width, height = size
    ImageDraw.Draw(image).rectangle(
        (width // 3, height // 4, 2 * width // 3, 3 * height // 4), fill=(20, 60, 220)
    )
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


PHOTO = png()


@dataclass
class World:
    """The service, what it runs on and what it stores in."""

    cluster: FaultyCluster
    proxy: S3Proxy
    s3: S3Server
    url: str
    config: dict[str, Any]
    weights: Path
    client: httpx.Client = field(repr=False)

    @property
    def store(self) -> ImageStore:
        """The service's store, past the proxy."""
        return MinioStore(
            MinioSettings(kind="minio", endpoint=self.s3.endpoint, bucket=BUCKET, secure=False),
            self.s3.admin,
        )

    def generate(self, **fields: object) -> httpx.Response:
        return self.client.post("/api/generate", **form(**fields))

    def pixels(self, url: str) -> np.ndarray:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(BytesIO(answer.content))).astype(int)

    def findings(self) -> Findings:
        return examine(self.store)

    def whole(self) -> bool:
        """Whether every replica is there and every model answers."""
        if any(len(self.cluster.replicas(name)) < count for name, count in REPLICAS.items()):
            return False
        return all(
            self.generate(model=model).status_code == 200
            for model in ("stable-diffusion", "controlnet")
        )


def form(**fields: object) -> dict[str, Any]:
    """A request's form; the whole picture is the model's unless a test says otherwise."""
    data = {
        "prompt": "Perfume backdrop",
        "model": "stable-diffusion",
        "preserve_product": "false",
        "num_images": "1",
    }
    data.update({name: str(value) for name, value in fields.items()})
    return {"data": data, "files": {"image": ("photo.png", PHOTO)}}


@dataclass
class Load:
    """What clients got who asked one thing after the other: first answers, and those of retries."""

    first: list[httpx.Response | httpx.TransportError] = field(default_factory=list)
    again: list[httpx.Response] = field(default_factory=list)

    @property
    def failures(self) -> list[httpx.Response | httpx.TransportError]:
        return [
            answer
            for answer in self.first
            if isinstance(answer, httpx.TransportError) or answer.status_code != 200
        ]

    @property
    def images(self) -> list[str]:
        answers = [a for a in self.first if a not in self.failures] + self.again
        return [url for answer in answers for url in answer.json()["images"]]


PAUSE_S = 0.2
"""Seconds between an answer and the client's next request."""


class Served(Protocol):
    """Whom clients ask."""

    url: str


def under_load(
    world: Served,
    clients: int,
    work: Callable[[], None],
    *,
    until_served: bool = True,
    **fields: object,
) -> Load:
    """Let clients ask while `work` goes on; each makes a failed request again once.

    Args:
        world: Whom they ask.
        clients: How many.
        work: What goes on meanwhile.
        until_served: Go on until some were served after it; otherwise nothing is asked after it.
        fields: Of every request.
    """
    load, over = Load(), threading.Event()

    def ask(number: int) -> None:
        with httpx.Client(base_url=world.url, timeout=120) as client:
            while not over.is_set():
                request = form(**{"steps": 8, "preserve_product": ("auto", "false")[number % 2]})
                request["data"].update({name: str(value) for name, value in fields.items()})
                try:
                    answer: Any = client.post("/api/generate", **request)
                except httpx.TransportError as error:
                    answer = error
                load.first.append(answer)
                if answer in load.failures and until_served:
                    load.again.append(client.post("/api/generate", **request))
                # Leaves the machine some time for what is under test.
                over.wait(PAUSE_S)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask, number) for number in range(clients)]
        try:
            wait_until(lambda: len(load.first) > clients)
            work()
            served = len(load.first)
            wait_until(lambda: not until_served or len(load.first) > served + clients)
        finally:
            over.set()
        for future in asking:
            future.result()
    return load


@pytest.fixture
def world(running: Running, tmp_path_factory: pytest.TempPathFactory) -> World:
    return running.get("world", lambda: started(tmp_path_factory.mktemp("faults")))


@contextmanager
def started(folder: Path) -> Iterator[World]:
    """The service on its nodes, until the end of the block."""
    save_tiny_weights(folder / "sd")
    save_tiny_controlnet(folder / "controlnet")
    port = free_port()
    with (
        S3Server(folder / "s3") as s3,
        S3Proxy(s3.endpoint) as proxy,
        FaultyCluster(
            {
                "BACKDROP_S3_ACCESS_KEY": s3.admin.access_key,
                "BACKDROP_S3_SECRET_KEY": s3.admin.secret_key,
            }
        ) as cluster,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180) as client,
    ):
        cluster.add_node("one")
        cluster.add_node("two")
        config = configuration(folder, proxy.endpoint, port)
        cluster.deploy(config)
        world = World(cluster, proxy, s3, f"http://127.0.0.1:{port}", config, folder / "sd", client)
        wait_until_up(client, "/api/models")
        wait_until(world.whole)
        yield world


@pytest.fixture(autouse=True)
def put_right(request: pytest.FixtureRequest) -> Iterator[None]:
    # Asked for before the test, as no fixture may be afterwards.
    world = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if world is not None:
        wait_until(world.whole)
        settle(world)


def settle(world: World) -> None:
    """Wait until nobody writes any more."""
    before = None
    while before != (before := sorted(info.name for info in world.store.list(""))):
        time.sleep(0.3)


def configuration(folder: Path, endpoint: str, port: int) -> dict[str, Any]:
    tiny = tiny_model(folder / "sd")
    control = {"controlnet": str(folder / "controlnet")}
    models = [tiny, {**tiny, "id": "controlnet", "name": "ControlNet", **control}]
    store = {"kind": "minio", "endpoint": endpoint, "bucket": BUCKET, "secure": False}
    deployments = [
        {"name": name, "num_replicas": count, "ray_actor_options": {"num_cpus": 0.01}}
        for name, count in REPLICAS.items()
    ]
    return {
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {
                "name": "main",
                "route_prefix": "/",
                "import_path": "deployments.app:build",
                "args": {
                    "models": models,
                    "ingress": {"outage_s": OUTAGE_S},
                    "storage": {"store": store},
                },
                "deployments": deployments,
            }
        ],
    }
