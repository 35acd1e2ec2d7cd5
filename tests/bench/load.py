"""Many clients at once for a while: counts, percentiles, and whether every image is really there.

usage: python -m tests.bench.load [--clients 32] [--seconds 60] [--preserve auto] [--json FILE]

Clients ask for one image each, over and over, with the shipped configuration. Afterwards every URL
is fetched and decoded, and the store is compared with the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

import httpx
import psutil
from PIL import Image

from tests.bench.service import PHOTO, progress, running


async def client(
    url: str, preserve: str, number: int, until: float, seen: list[tuple[int, float, str]]
) -> None:
    """Ask until the time is over; a 429 waits as long as it says."""
    models = ("stable-diffusion", "controlnet")
    photo = PHOTO.read_bytes()
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        while time.monotonic() < until:
            data = {
                "prompt": "Perfume backdrop",
                "model": models[number % 2],
                "num_images": "1",
                "preserve_product": preserve,
                "steps": str(8 + number % 8),
            }
            begun = time.monotonic()
            answer = await http.post(
                "/api/generate", data=data, files={"image": ("photo.png", photo)}
            )
            image = answer.json()["images"][0] if answer.is_success else answer.text
            seen.append((answer.status_code, time.monotonic() - begun, image))
            if answer.status_code == 429:
                await asyncio.sleep(float(answer.headers["retry-after"]))


async def load(
    url: str, preserve: str, clients: int, seconds: float
) -> list[tuple[int, float, str]]:
    seen: list[tuple[int, float, str]] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(url, preserve, number, until, seen) for number in range(clients)))
    return seen


async def broken(url: str, images: list[str]) -> list[str]:
    """The images that cannot be fetched or decoded."""
    wrong = []
    async with httpx.AsyncClient(timeout=60) as http:
        for image in images:
            answer = await http.get(image)
            try:
                Image.open(BytesIO(answer.raise_for_status().content)).load()
            except (httpx.HTTPError, OSError) as error:
                wrong.append(f"{image}: {error}")
    return wrong


def memory_mb(pid: int) -> float:
    """Proportional memory of a process and all it started."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--preserve", choices=("auto", "false"), default="auto")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with running() as (url, pid):
        idle = memory_mb(pid)
        progress(f"{options.clients} clients for {options.seconds:g} s")
        seen = asyncio.run(load(url, options.preserve, options.clients, options.seconds))
        images = [image for status, _, image in seen if status == 200]
        progress(f"fetching {len(images)} images")
        wrong = asyncio.run(broken(url, images))
        after = memory_mb(pid)
    times = sorted(seconds for status, seconds, _ in seen if status == 200)
    report = {
        "answers by status": dict(Counter(status for status, _, _ in seen)),
        "images": len(images),
        "duplicated images": len(images) - len(set(images)),
        "images that do not decode": len(wrong),
        "images per second": len(images) / options.seconds,
        "median s": statistics.median(times),
        "p95 s": times[int(0.95 * (len(times) - 1))],
        "idle memory MB": idle,
        "memory after MB": after,
    }
    for name, value in report.items():
        print(f"{name:<28}{value if not isinstance(value, float) else round(value, 2)}")
    for status, _, text in seen:
        if status >= 500:
            print(status, text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
