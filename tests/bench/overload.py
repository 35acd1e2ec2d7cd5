"""Several times more requests than the service can serve: who is served, how soon, and who is not.

usage: python -m tests.bench.overload [--times 4] [--seconds 60] [--images 4] [--max-wait S]

First one client after the other's answer (unloaded), then several at once (capacity), then requests
that come at random at `times` what was served of them, whatever the answers are. With the shipped
configuration, and the API's default number of images a request.

The targets: the p95 of the served at most 3 times that of unloaded requests, refusals within 0.1 s
at the median, no 5xx, memory flat, the store consistent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from storage.filesystem import FilesystemStore
from tests.bench.load import memory_mb
from tests.bench.service import PHOTO, progress, running
from tests.bench.soak import percentile
from tests.store_consistency import examine

UNLOADED_REQUESTS = 12
CAPACITY_CLIENTS = 8
CAPACITY_S = 30.0
CALM_S = 5.0


class Client:
    """Asks for one image each time and notes how it went.

    Args:
        http: The client of the service.
        images: Of each request.

    Attributes:
        seen: (status, seconds) of each answer; status 0 is none.
    """

    def __init__(self, http: httpx.AsyncClient, images: int) -> None:
        self._http = http
        self._data = {
            "prompt": "Perfume backdrop",
            "model": "stable-diffusion",
            "num_images": str(images),
        }
        self._photo = PHOTO.read_bytes()
        self.seen: list[tuple[int, float]] = []

    async def ask(self) -> int:
        begun = time.monotonic()
        try:
            answer = await self._http.post(
                "/api/generate", data=self._data, files={"image": ("photo.png", self._photo)}
            )
            status = answer.status_code
        except httpx.TransportError:
            status = 0
        self.seen.append((status, time.monotonic() - begun))
        return status

    def times(self, status: int) -> list[float]:
        return [seconds for seen, seconds in self.seen if seen == status]


def connected(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx.AsyncClient(base_url=url, timeout=300, limits=limits)


async def unloaded(url: str, images: int) -> list[float]:
    async with connected(url) as http:
        client = Client(http, images)
        for _ in range(UNLOADED_REQUESTS):
            await client.ask()
        return client.times(200)


async def capacity(url: str, images: int) -> float:
    """Requests a second with as many clients as keep it busy."""
    async with connected(url) as http:
        client = Client(http, images)
        begun = time.monotonic()

        async def keep_asking() -> None:
            while time.monotonic() < begun + CAPACITY_S:
                if await client.ask() == 429:
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(keep_asking() for _ in range(CAPACITY_CLIENTS)))
        return len(client.times(200)) / (time.monotonic() - begun)


async def overload(url: str, images: int, rate: float, seconds: float) -> Client:
    async with connected(url) as http:
        client = Client(http, images)
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                group.create_task(client.ask())
                await asyncio.sleep(random.expovariate(rate))
        return client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--max-wait", type=float, default=None, help="ingress.max_wait_s")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        ingress = {} if options.max_wait is None else {"max_wait_s": options.max_wait}
        with running(data=data, ingress=ingress) as (url, pid):
            progress("unloaded")
            calm = asyncio.run(unloaded(url, options.images))
            progress("capacity")
            rate = asyncio.run(capacity(url, options.images))
            time.sleep(CALM_S)
            before = memory_mb(pid)
            progress(f"{options.times:g} times {rate:.2f} requests a second")
            asked = options.times * rate
            client = asyncio.run(overload(url, options.images, asked, options.seconds))
            time.sleep(CALM_S)
            after = memory_mb(pid)
            found = examine(FilesystemStore(data))
    served, refused = client.times(200), client.times(429)
    report = {
        "unloaded p95 s": percentile(calm, 0.95),
        "capacity requests/s": rate,
        "asked/s": asked,
        "answers by status": dict(Counter(status for status, _ in client.seen)),
        "served/s": len(served) / options.seconds,
        "served median s": statistics.median(served),
        "served p95 s": percentile(served, 0.95),
        "served p95 / unloaded p95": percentile(served, 0.95) / percentile(calm, 0.95),
        "refused median s": statistics.median(refused) if refused else None,
        "refused p95 s": percentile(refused, 0.95) if refused else None,
        "5xx or no answer": sum(status == 0 or status >= 500 for status, _ in client.seen),
        "memory before MB": before,
        "memory after MB": after,
        "inconsistencies": found.wrong,
    }
    for name, value in report.items():
        print(f"{name:<28}{round(value, 3) if isinstance(value, float) else value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
