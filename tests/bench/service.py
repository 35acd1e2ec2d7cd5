"""The service under measurement: `serve run` on loopback with a configuration made for it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.launch import serve_run
from tests.serve.conftest import free_port, wait_until_up

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "deployments" / "samples" / "coffee.png"


@contextmanager
def running(
    *, data: Path | None = None, ingress: dict[str, object] | None = None, **model: object
) -> Iterator[tuple[str, int]]:
    """Run the shipped configuration with its models changed, and wait until they work.

    Args:
        data: The folder of the store; one of its own by default.
        ingress: Keys of the ingress to set.
        model: Keys of the catalog's entries to set.

    Yields:
        The URL, and the process id of `serve run`.
    """
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    document["http_options"]["port"] = port = free_port()
    args = document["applications"][0]["args"]
    with tempfile.TemporaryDirectory() as folder:
        args["storage"]["store"]["path"] = str(data or Path(folder) / "data")
        args["ingress"].update(ingress or {})
        for entry in args["models"]:
            entry.update(model)
        config = Path(folder) / "serve_config.yaml"
        config.write_text(yaml.safe_dump(document))
        url = f"http://127.0.0.1:{port}"
        with serve_run(config) as child:
            _warm(url, [entry["id"] for entry in args["models"]])
            yield url, child.pid


def _warm(url: str, models: list[str]) -> None:
    with httpx.Client(base_url=url, timeout=120) as client:
        wait_until_up(client, "/api/models")
        for model in models:
            generate(client, model=model).raise_for_status()


def generate(client: httpx.Client, photo: bytes | None = None, **fields: object) -> httpx.Response:
    """Ask for one image."""
    data = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "1"}
    data.update({name: str(value) for name, value in fields.items()})
    content = PHOTO.read_bytes() if photo is None else photo
    return client.post("/api/generate", data=data, files={"image": ("photo.png", content)})


def progress(text: str) -> None:
    """Say what is going on, beside the results."""
    print(text, file=sys.stderr, flush=True)
