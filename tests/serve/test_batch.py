"""`backdrop batch` and the Python client against a real service."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw

from deployments.client import AsyncBackdrop, Backdrop, Done, Progress
from deployments.client import Image as ImageEvent
from tests.documents import ROOT
from tests.serve.conftest import Cluster

ASKED = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "preserve_product": "false"}
PHOTO = ROOT / "deployments" / "samples" / "coffee.png"


def batch(cluster: Cluster, folder: Path) -> subprocess.Popen[str]:
    """The command, as it is installed, on the photos of a folder."""
    command = [sys.executable, "-m", "deployments.launch", "batch", "photos", "--out", "out"]
    command += ["--num-images", "1", "--parallel", "3"]
    for name, value in ASKED.items():
        command += [f"--{name.replace('_', '-')}", value]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BACKDROP_URL": cluster.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def draw(folder: Path, count: int) -> None:
    """Photos of boxes, each of another colour."""
    folder.mkdir()
    for number in range(count):
        photo = Image.new("RGB", (96, 64), (230, 225, 215))
        ImageDraw.Draw(photo).rectangle([32, 16, 63, 47], fill=(number * 20, 90, 160))
        photo.save(folder / f"{number:02}.png")


def test_a_batch_that_is_killed_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    draw(tmp_path / "photos", 12)
    out = tmp_path / "out"
    before = {
        name: len(list(cluster.data.glob(name)))
        for name in ("generated/**/*.png", "requests/**/*.json")
    }
    killed = batch(cluster, tmp_path)
    while len(list(out.glob("*.png"))) < 3:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    killed.kill()
    told, _ = killed.communicate()
    assert "backdrop: 12 photos, 0 of them done before" in told
    assert len(list(out.glob("*.png"))) < 12

    told, _ = (again := batch(cluster, tmp_path)).communicate(timeout=300)
    assert again.returncode == 0, told
    assert "backdrop: all 12 photos done" in told
    rows = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert [row["files"] for row in rows] == [[f"{number:02}-1.png"] for number in range(12)]
    assert len({path.read_bytes() for path in out.glob("*.png")}) == 12
    # None was made twice, the three that were under way included.
    for name, count in before.items():
        assert len(list(cluster.data.glob(name))) == count + 12


def test_the_python_client_streams_and_cancels(cluster: Cluster) -> None:
    with Backdrop(cluster.url) as backdrop:
        assert backdrop.models()[0].id == "demo"
        events = list(backdrop.generate_events(PHOTO, num_images=2, **ASKED))
        assert isinstance(events[-1], Done)
        assert sum(isinstance(event, Progress) for event in events) >= 2
        urls = [event.url for event in events if isinstance(event, ImageEvent)]
        assert sorted(urls) == sorted(events[-1].result.images)
        cut = backdrop.cutout(image=PHOTO)
        assert backdrop.download(cut.image_url).startswith(b"\x89PNG")

    async def cancelled() -> str:
        async with AsyncBackdrop(cluster.url) as backdrop:
            job = await backdrop.submit(PHOTO, num_images=8, **ASKED)
            assert job.id in [listed.id for listed in (await backdrop.jobs()).jobs]
            return (await backdrop.cancel(job.id)).state

    assert asyncio.run(cancelled()) == "cancelled"
