"""How well the told waits come true: Retry-After, and what came of it.

usage: python -m tests.bench.waits [--clients 8] [--seconds 120] [--max-wait S]

Clients that each ask again and again, for 1 to 8 images of 1 to 50 steps, with and without their
product, and come back when a 429 tells them to. Every client has prompts of its own, as people do.
The first third of the time counts for nothing: the costs are learned in it.

The target: nine of ten waits are within a factor of 1.5 of what was told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.bench.overload import connected
from tests.bench.service import PHOTO, progress, running
from tests.bench.soak import percentile

IMAGES = (1, 1, 2, 4, 4, 8)
STEPS = (1, 2, 10, 20, 20, 30, 50)


class Client:
    """Asks, waits as it is told to, and asks for something else.

    Args:
        http: The client of the service.
        name: In its prompts.

    Attributes:
        waits: (when it was refused first, seconds told then, seconds until it was let in).
        statuses: Answers by status.
    """

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self._http = http
        self._name = name
        self._draw = random.Random(name)  # noqa: S311 - a load
        self._photo = PHOTO.read_bytes()
        self.waits: list[tuple[float, float, float]] = []
        self.statuses: Counter[int] = Counter()

    async def run(self, until: float) -> None:
        """Ask until a time of the monotonic clock."""
        number = 0
        while time.monotonic() < until:
            number += 1
            await self._serve(
                {
                    "prompt": f"Perfume backdrop {self._name} {number}",
                    "model": "stable-diffusion",
                    "num_images": str(self._draw.choice(IMAGES)),
                    "steps": str(self._draw.choice(STEPS)),
                    "strength": "1",
                    "preserve_product": "auto" if self._draw.random() < 0.7 else "false",
                },
                until,
            )

    async def _serve(self, data: dict[str, str], until: float) -> None:
        first: tuple[float, float] | None = None
        while time.monotonic() < until:
            asked = time.monotonic()
            answer = await self._http.post(
                "/api/generate", data=data, files={"image": ("photo.png", self._photo)}
            )
            self.statuses[answer.status_code] += 1
            if answer.status_code != 429:
                if first is not None:
                    self.waits.append((*first, asked - first[0]))
                return
            told_s = float(answer.headers["Retry-After"])
            first = first or (asked, told_s)
            await asyncio.sleep(told_s)


async def load(url: str, clients: int, seconds: float) -> list[Client]:
    async with connected(url) as http:
        asking = [Client(http, str(number)) for number in range(clients)]
        until = time.monotonic() + seconds
        await asyncio.gather(*(client.run(until) for client in asking))
        return asking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--max-wait", type=float, default=None, help="ingress.max_wait_s")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    ingress = {} if options.max_wait is None else {"max_wait_s": options.max_wait}
    with running(ingress=ingress) as (url, _):
        progress(f"{options.clients} clients")
        begun = time.monotonic()
        clients = asyncio.run(load(url, options.clients, options.seconds))
    waits = [
        (told, true)
        for client in clients
        for refused, told, true in client.waits
        if refused > begun + options.seconds / 3
    ]
    ratios = [true / told for told, true in waits]
    report = {
        "answers by status": dict(sum((client.statuses for client in clients), Counter())),
        "waits": len(waits),
        "within 1.5": sum(1 / 1.5 <= ratio <= 1.5 for ratio in ratios) / max(len(ratios), 1),
        "true / told, median": percentile(ratios, 0.5) if ratios else None,
        "true / told, p90": percentile(ratios, 0.9) if ratios else None,
        "told p90 s": percentile([told for told, _ in waits], 0.9) if waits else None,
    }
    for name, value in report.items():
        print(f"{name:<28}{round(value, 3) if isinstance(value, float) else value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
