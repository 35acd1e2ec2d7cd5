"""Time outside the engine of a request for one 512x512 image through HTTP, part by part.

usage: python -m tests.bench.overhead [--requests 40] [--preserve auto] [--json FILE]

The shipped demo weights make the images, in few steps. The service says in `Server-Timing` where a
request's time went, and the client sees the whole. `encode` and `store` happen in one chain of
calls; `encode` is measured apart, in this process, on one of the images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from deployments.studio.encoding import encode_png
from tests.bench.service import PHOTO, generate, progress, running

SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--preserve", choices=("auto", "false"), default="false")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with running(size=SIDE, steps=2) as (url, _):
        progress(f"{options.requests} requests, one after the other")
        rows, image = measure(url, options.requests, options.preserve)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    medians["encode"] = encode_ms(image)
    medians["store"] = medians["encode and store"] - medians["encode"]
    print(f"{'part':<42}{'median ms':>10}")
    for name, milliseconds in medians.items():
        print(f"{name:<42}{milliseconds:>10.1f}")
    if options.json:
        options.json.write_text(json.dumps(medians, indent=1))


def measure(url: str, requests: int, preserve: str) -> tuple[list[dict[str, float]], bytes]:
    """Rows of milliseconds by part, and the last image."""
    photo = sample()
    rows = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for number in range(requests + 3):
            begun = time.perf_counter()
            answer = generate(client, photo, seed=number, preserve_product=preserve)
            whole = (time.perf_counter() - begun) * 1000
            answer.raise_for_status()
            parts = dict(
                part.split(";dur=") for part in answer.headers["server-timing"].split(", ")
            )
            inside = {name: float(value) for name, value in parts.items()}
            rows.append({
                "whole request": whole,
                "engine": inside["engine"],
                "outside the engine": whole - inside["engine"],
                "upload, proxy, parsing, answer": whole - sum(inside.values()),
                "open the photo": inside["input"],
                "handle calls": inside["handle"],
                "encode and store": inside["finish"],
            })  # fmt: skip
        image = client.get(answer.json()["images"][0]).content
    return rows[3:], image  # the first ones warm caches


def sample() -> bytes:
    """A photo-like PNG: the sample photo at the working size."""
    buffer = BytesIO()
    Image.open(PHOTO).convert("RGB").resize((SIDE, SIDE)).save(buffer, "PNG")
    return buffer.getvalue()


def encode_ms(image: bytes) -> float:
    pixels = np.asarray(Image.open(BytesIO(image)))
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        encode_png(pixels, {"prompt": "Perfume backdrop"})
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
