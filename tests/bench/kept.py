"""What keeping the product costs: four images with it against four without.

usage: python -m tests.bench.kept [--rounds 7] [--json FILE]

The shipped configuration serves one client, who asks for four images at a time: without a product,
with one that is searched for, with a cut-out that was made before, and as a variation. The kinds
take turns within each round, so that a slow moment of the machine meets all of them. A row has the
median of the rounds in seconds, and its quotient to the row without a product.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageOps

from tests.bench.service import PHOTO, progress, running

MODEL = "stable-diffusion"
SIZES = ((600, 400), (1024, 1024))
PLAIN = "without a product"


def photo_of(size: tuple[int, int]) -> bytes:
    """The sample photo at a size, as a JPEG."""
    with Image.open(PHOTO) as sample:
        fitted = ImageOps.fit(sample.convert("RGB"), size, Image.Resampling.LANCZOS)
    buffer = BytesIO()
    fitted.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def kinds(client: httpx.Client, photo: bytes) -> dict[str, Callable[[], httpx.Response]]:
    """The requests that are compared."""
    fields = {"prompt": "Perfume backdrop", "model": MODEL, "num_images": "4", "seed": "1"}
    files = {"image": ("photo.jpg", photo)}

    def generate(**more: str) -> httpx.Response:
        return client.post("/api/generate", data=fields | more, files=files)

    cut = client.post("/api/cutout", files=files).raise_for_status().json()["cutout"]
    result = generate().raise_for_status().json()["images"][0]
    body = {"prompt": "Perfume backdrop", "model": MODEL, "num_images": 4, "seed": 1}
    return {
        PLAIN: lambda: generate(preserve_product="false"),
        "searched": generate,
        "cut out before": lambda: generate(cutout=cut),
        "varied": lambda: client.post("/api/variation", json=body | {"image_url": result}),
    }


def compare(client: httpx.Client, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """The seconds of each kind, and their quotients."""
    asked = kinds(client, photo_of(size))
    took: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(-1, rounds):  # one to warm up
        for name, ask in asked.items():
            begun = time.perf_counter()
            ask().raise_for_status()
            if number >= 0:
                took[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(times) for name, times in took.items()}
    return {
        name: {"seconds": median, "quotient": median / medians[PLAIN]}
        for name, median in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    report = {}
    with running() as (url, _), httpx.Client(base_url=url, timeout=600) as client:
        for size in SIZES:
            name = "{} x {}".format(*size)
            progress(name)
            report[name] = compare(client, size, options.rounds)
    for size_name, rows in report.items():
        print(f"{size_name:24}{'s':>8}{'quotient':>10}")
        for kind, row in rows.items():
            print(f"  {kind:22}{row['seconds']:>8.2f}{row['quotient']:>10.2f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
