"""Hostile files and bodies against the HTTP surface in memory: what is answered, and what stays.

usage: python -m tests.bench.fuzz [--images 10000] [--bodies 2000] [--json FILE]

Every answer must be a result or a refusal that is the caller's fault; anything else ends the run
with exit code 1, and its number makes the same file again (`tests.hostile_images.hostile`). The
surface is the service's own, with a scripted model and results on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from deployments.settings import IngressSettings
from tests.hostile_images import hostile
from tests.unit.ingress.memory import Surface, png, surface

EXPECTED = frozenset({200, 400, 404, 413, 415})
SLOW_S = 10.0
WARM_UP = 500
NAMES = ["prompt", "model", "num_images", "seed", "steps", "strength", "image_url", "x", "", "\0"]
VALUES = ["", "4", "-1", "1e999", "nan", "null", "stable-diffusion", "\0", "\ud800", "9" * 5000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--bodies", type=int, default=2_000)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = surface(Path(folder), IngressSettings(max_images=2))
        told = asyncio.run(measure(made, options.images, options.bodies))
    for name, value in told.items():
        print(f"{name:>16}: {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    sys.exit(1 if told["unexpected"] else 0)


async def measure(made: Surface, images: int, bodies: int) -> dict[str, object]:
    """Send everything, and tell what came back and what the process holds before and after."""
    answers: Counter[str] = Counter()
    unexpected: list[str] = []
    slowest = 0.0
    start = (0, 0)
    async with made.client:
        for number in range(images + bodies):
            if number == min(WARM_UP, images):
                start = held()
            kind, status, seconds = await once(made, number, number - images)
            # What stands for the models remembers all it was asked, which is no growth of ours.
            for remembered in (made.models.jobs, made.models.photos, made.studio.finder.searched):
                remembered.clear()
            answers[f"{kind} {status}"] += 1
            slowest = max(slowest, seconds)
            if status not in EXPECTED or seconds > SLOW_S:
                unexpected.append(f"{kind} {number}: {status} after {seconds:.1f} s")
    end = held()
    return {
        "images": images,
        "bodies": bodies,
        "answers": dict(sorted(answers.items())),
        "slowest_s": round(slowest, 2),
        "memory_mb": [start[0], end[0]],
        "descriptors": [start[1], end[1]],
        "unexpected": unexpected,
    }


async def once(made: Surface, number: int, body: int) -> tuple[str, int, float]:
    """One request: of image `number`, or of a made-up body where `body` is not negative."""
    begun = time.monotonic()
    if body >= 0:
        kind, status = await send_body(made, body)
    else:
        kind, data = hostile(number)
        as_mask = number % 7 == 6
        photo, mask = (png(), data) if as_mask else (data, None)
        answer = await made.generate(photo, mask, num_images=1)
        kind, status = ("mask" if as_mask else kind), answer.status_code
    return kind, status, time.monotonic() - begun


async def send_body(made: Surface, number: int) -> tuple[str, int]:
    """A form or a JSON body with odd names and values, cut or damaged half of the time."""
    dice = random.Random(number)  # noqa: S311 - made up, not secret
    fields = {dice.choice(NAMES): dice.choice(VALUES) for _ in range(dice.randint(0, 6))}
    if number % 2:
        kind, path, content_type = "json", "/api/variation", "application/json"
        content = json.dumps(fields).encode()
    else:
        kind, path, content_type = "form", "/api/generate", "multipart/form-data; boundary=x"
        parts = [("image", '; filename="a.png"', png())]
        parts += [(name, "", value.encode("utf-8", "replace")) for name, value in fields.items()]
        content = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
            + value
            + b"\r\n"
            for name, more, value in parts
        )
        content += b"--x--\r\n"
    damaged = bytearray(content)
    for _ in range(dice.choice([0, 0, 1, 5])):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    if dice.random() < 0.25:
        del damaged[dice.randrange(len(damaged)) :]
    answer = await made.client.post(
        path, content=bytes(damaged), headers={"Content-Type": content_type}
    )
    return kind, answer.status_code


def held() -> tuple[int, int]:
    """Memory of this process in MB, and its open descriptors."""
    gc.collect()
    process = psutil.Process()
    return process.memory_info().rss // 2**20, process.num_fds()


if __name__ == "__main__":
    main()
