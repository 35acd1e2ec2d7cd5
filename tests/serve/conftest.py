"""One real Ray for this suite and the browser's: `serve run` in a process of its own, over HTTP.

Two applications: `main` at `/` with its results on disk, and `limited` at `/limited` with keys,
small limits and its results in a real S3 server. `main` has the demo weights; all other models are
tiny, of the real classes, and run on plain torch, which starts soonest.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deployments.launch import serve_run
from tests.s3_server import S3Server
from tests.tiny_models import save_tiny_controlnet, save_tiny_weights

KEY = "limited-key-7f3a"
HURRIED = "hurried-key-51c0"
START_TIMEOUT_S = 300
ROOM = 256 * 2**20
"""Bytes of the disk that the main application stores on."""


@dataclass
class Cluster:
    """The running service.

    Attributes:
        url: Where it listens.
        data: The folder of the main application's store.
        small_disk: Whether it is on a file system of its own, which a test may fill.
        weights: The tiny models' weights.
        s3: The limited application's store.
        keys: The file of its keys, beside the one of the environment.
        pid: The process that started it all.
    """

    url: str
    data: Path
    small_disk: bool
    weights: Path
    s3: S3Server
    keys: Path
    pid: int
    client: httpx.Client = field(repr=False)

    def generate(self, photo: bytes, *, prefix: str = "", **fields: object) -> httpx.Response:
        """POST /api/generate; the whole picture is the model's unless a test says otherwise."""
        data = {
            "prompt": "Perfume backdrop",
            "model": "stable-diffusion",
            "preserve_product": "false",
        }
        data.update({name: str(value) for name, value in fields.items()})
        return self.client.post(
            f"{prefix}/api/generate", data=data, files={"image": ("photo.png", photo)}
        )

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        return [
            process
            for process in psutil.Process(self.pid).children(recursive=True)
            if f"ServeReplica:{deployment}" in " ".join(process.cmdline())
        ]


@contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """The service, until the end of the block."""
    save_tiny_weights(folder / "sd")
    save_tiny_controlnet(folder / "controlnet")
    port = free_port()
    config = folder / "serve_config.yaml"
    url = f"http://127.0.0.1:{port}"
    with (
        S3Server(folder / "s3") as s3,
        small_disk(folder / "disk") as mounted,
        pytest.MonkeyPatch.context() as patch,
    ):
        # One model cannot load, and trying again would not help it.
        patch.setenv("RAY_SERVE_MAX_PER_REPLICA_RETRY_COUNT", "1")
        (folder / "keys").write_text(f"hurried:{HURRIED} requests_per_minute=1\n")
        config.write_text(yaml.safe_dump(configuration(folder, s3, port)))
        with serve_run(config) as child, httpx.Client(base_url=url, timeout=120) as client:
            wait_until_up(client, "/api/models")
            wait_until_up(client, "/limited/api/models")
            data = folder / "disk" / "data"
            yield Cluster(url, data, mounted, folder / "sd", s3, folder / "keys", child.pid, client)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A folder with a small file system of its own in it; false where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def tiny_model(weights: Path) -> dict[str, object]:
    """The catalog's entry of a tiny model."""
    return {
        "id": "stable-diffusion",
        "name": "Stable Diffusion",
        "weights": str(weights),
        "size": 64,
        "steps": 4,
        "guidance_scale": 3.0,
        "threads": 1,
        "backend": "torch",
    }


def configuration(folder: Path, s3: S3Server, port: int) -> dict[str, object]:
    """The Serve configuration of the suite."""
    tiny = tiny_model(folder / "sd")
    demo = {
        "size": 256,
        "steps": 4,
        "max_steps": 200,  # so many take as long as a person looks
        "guidance_scale": 3.0,
        "strength": 0.95,
        "threads": 2,
        "starter_prompts": ["Perfume backdrop", "Change background to forest"],
    }
    models = [
        # The first, which the page offers.
        {"id": "demo", "name": "Demo", "scheduler": "euler_a", **demo},
        tiny,
        {
            **tiny,
            "id": "controlnet",
            "name": "ControlNet",
            "controlnet": str(folder / "controlnet"),
        },
        {**tiny, "id": "missing", "name": "Missing", "weights": str(folder / "nowhere")},
    ]
    small = {
        "max_images": 2,
        "max_waiting_images": 2,
        "deadline_s": 4.0,
        "require_key": True,
        "usage": {"metric_keys": 1, "daily": True, "write_interval_s": 1},
        "limits": {"max_body_bytes": 65536},
    }
    s3_store = {
        "kind": "minio",
        "endpoint": s3.endpoint,
        "bucket": "limited",
        "secure": False,
    }
    secrets = {
        # By its digest, so that the key itself stands nowhere but in requests.
        "BACKDROP_API_KEYS": f"test:sha256:{hashlib.sha256(KEY.encode()).hexdigest()}",
        "BACKDROP_API_KEYS_FILE": str(folder / "keys"),
        "BACKDROP_S3_ACCESS_KEY": s3.admin.access_key,
        "BACKDROP_S3_SECRET_KEY": s3.admin.secret_key,
    }
    slow = {**tiny, "size": 512, "max_steps": 200}
    return {
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            application(
                "main",
                "/",
                {
                    "models": models,
                    # The bound refuses, and not the estimate of the wait: the first images, made
                    # while the replicas warm up, make the model look slow.
                    "ingress": {"max_waiting_images": 16, "max_wait_s": 3600},
                    "storage": {
                        "store": {"kind": "filesystem", "path": str(folder / "disk" / "data")}
                    },
                },
                ingress=2,
            ),
            {
                **application(
                    "limited",
                    "/limited",
                    {
                        "models": [slow],
                        "ingress": small,
                        "storage": {"store": s3_store, "retention_s": 3600},
                    },
                ),
                "runtime_env": {"env_vars": secrets},
            },
        ],
    }


def application(
    name: str, prefix: str, args: dict[str, object], *, ingress: int = 1
) -> dict[str, object]:
    """An application whose replicas all fit on a small machine, with so many of the ingress."""
    names = ["ingress", "admission", "studio", "storage"]
    names += [model["id"] for model in args["models"]]
    return {
        "name": name,
        "route_prefix": prefix,
        "import_path": "deployments.app:build",
        "args": args,
        "deployments": [
            {
                "name": deployment,
                "ray_actor_options": {"num_cpus": 0.01},
                "num_replicas": ingress if deployment == "ingress" else 1,
            }
            for deployment in names
        ],
    }


def wait_until_up(client: httpx.Client, path: str) -> None:
    """Wait for an answer that is not a missing route."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if client.get(path, timeout=30).status_code in (200, 401):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise TimeoutError(f"{path} was not up within {START_TIMEOUT_S} s")


def settled(read: Callable[[], Any], expected: object) -> Any:
    """What is read once it is as expected, or else at last: each replica looks for itself."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
