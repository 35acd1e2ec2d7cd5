"""The studio's calls: what they answer, and that they leave the event loop free."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.jobs import GeneratedImage, Photo, PreparedPhoto, Recipe
from deployments.studio import deployment
from deployments.studio.deployment import Studio

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)

RECIPE = Recipe(
    model="stable-diffusion",
    weights="/srv/weights",
    scheduler="ddim",
    source="upload",
    source_key="SOURCE-KEY",
    photo_key="PHOTO-KEY",
    version="1.0",
    created="2026-01-01T00:00:00Z",
    prompt="Forêt 🌲",
    negative_prompt="",
    seed=7,
    steps=20,
    guidance_scale=7.5,
    strength=0.8,
)

GENERATED = GeneratedImage(PIXELS, queued_s=0.1, engine_s=1.5, weights="/srv/weights")


async def test_prepare_fits_the_photo() -> None:
    prepared = await Studio().prepare(Photo(PIXELS), 128)
    assert isinstance(prepared, PreparedPhoto)
    assert prepared.pixels.shape == (96, 160, 3)


async def test_finish_writes_the_public_part_of_the_recipe() -> None:
    data = await Studio().finish(GENERATED, RECIPE)
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)
        assert image.info["backdrop:prompt"] == "Forêt 🌲"
        assert image.info["backdrop:seed"] == "7"
        assert set(image.info) == {f"backdrop:{name}" for name in RECIPE.public()}
    for private in (RECIPE.weights, RECIPE.source_key, RECIPE.photo_key):
        assert private.encode() not in data


async def test_encode_source_writes_the_photo_and_nothing_else() -> None:
    data = await Studio().encode_source(Photo(PIXELS))
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)
        assert image.info == {}


@pytest.mark.parametrize(("call", "work"), [
    (lambda studio: studio.prepare(Photo(PIXELS), 64), "fit"),
    (lambda studio: studio.finish(GENERATED, RECIPE), "encode_png"),
    (lambda studio: studio.encode_source(Photo(PIXELS)), "encode_png"),
], ids=["prepare", "finish", "encode_source"])  # fmt: skip
async def test_no_more_calls_than_threads_and_the_loop_stays_free(
    monkeypatch: pytest.MonkeyPatch, call, work: str
) -> None:
    started, release, running, most = threading.Semaphore(0), threading.Event(), [], []

    def slow(*_: object) -> str:
        running.append(1)
        most.append(len(running))
        started.release()
        # Were this the event loop's thread, nobody could release it.
        assert release.wait(30)
        running.pop()
        return "done"

    monkeypatch.setattr(deployment, work, slow)
    studio = Studio(threads=2)
    calls = [asyncio.create_task(call(studio)) for _ in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=30)
    assert not started.acquire(blocking=False)
    release.set()
    assert await asyncio.gather(*calls) == ["done"] * 5
    assert max(most) == 2


def test_a_replica_starts_without_torch_and_ray() -> None:
    check = (
        "import sys, deployments.studio.deployment, deployments.ingress.uploads;"
        "print({'torch', 'ray', 'diffusers', 'fastapi'} & set(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", check]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"
