"""How much of what the engine makes alone arrives over HTTP.

usage: python -m tests.bench.efficiency [--images 60] [--arrivals 5] [--json FILE]

First the engine runs alone, in a process of its own, on the sample photo at the working size. Then
the shipped configuration serves. Images are asked for at a steady rate whether or not earlier ones
are done, one and four a request, with and without the product kept. Images a second are those that
were delivered, from the first arrival to the last answer. One run prints both and their quotient.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.bench.service import PHOTO, ROOT, progress, running

MODEL = "stable-diffusion"
WAITING = {"max_wait_s": 600, "max_waiting_images": 1000}
"""Nothing is refused: the rate is measured, not the admission."""


class _Deaf:
    """An engine's observer that hears nothing."""

    def ticked(self, rows: int, seconds: float) -> None: ...

    def admitted(self, waited_s: float) -> None: ...

    def cancelled(self, latency_s: float) -> None: ...

    def queued(self, preparing: int, ready: int, decoding: int) -> None: ...

    def ran_out_of_memory(self) -> None: ...


def engine_alone(images: int) -> float:
    """Images a second of the shipped model's engine, in this process."""
    import os

    import torch

    from deployments.diffusion.engine.step_engine import Engine
    from deployments.diffusion.families.registry import family_of, load_components
    from deployments.ingress.core.uploads import UploadRules, decode_upload
    from deployments.jobs import GeneratedImage, GenerationSettings, ImageJob
    from deployments.settings import AppArgs, UploadLimits
    from deployments.studio.fitting import fit

    torch.set_num_threads(os.cpu_count() or 1)
    document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    args = AppArgs.model_validate(document["applications"][0]["args"])
    (settings,) = [model for model in args.models if model.id == MODEL]
    parts = load_components(settings)
    runnable = family_of(settings).create_model(parts, settings)
    engine = Engine(runnable.model, runnable.capacity, images, _Deaf(), parts.device)
    photo = fit(
        decode_upload(PHOTO.read_bytes(), UploadRules(UploadLimits(), settings.size)), settings.size
    )

    def run(number: int) -> float:
        made, left = threading.Event(), [number]

        def hear(event: object) -> None:
            if isinstance(event, Exception):
                raise event
            if isinstance(event, GeneratedImage):
                left[0] -= 1
                if not left[0]:
                    made.set()

        begun = time.perf_counter()
        for seed in range(number):
            wanted = GenerationSettings(
                "Perfume backdrop", "", seed, settings.steps, settings.guidance_scale,
                settings.strength,
            )  # fmt: skip
            engine.submit(ImageJob(f"{seed:032x}", wanted), photo, hear)
        made.wait(600)
        return number / (time.perf_counter() - begun)

    run(min(16, images))  # compiles what is compiled on first use
    rate = run(images)
    engine.close(drain_s=0)
    return rate


async def over_http(url: str, images: int, each: int, arrivals: float, preserve: str) -> float:
    """Images a second that are delivered while they are asked for at a steady rate."""
    photo = PHOTO.read_bytes()

    async def ask(client: httpx.AsyncClient, number: int) -> int:
        await asyncio.sleep(number * each / arrivals)
        data = {"prompt": "Perfume backdrop", "model": MODEL, "num_images": str(each)}
        data |= {"preserve_product": preserve, "seed": str(number * each)}
        answer = await client.post("/api/generate", data=data, files={"image": ("a.png", photo)})
        return len(answer.raise_for_status().json()["images"])

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        begun = time.perf_counter()
        made = await asyncio.gather(*(ask(client, number) for number in range(images // each)))
        return sum(made) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--arrivals", type=float, default=5.0, help="images asked for in a second")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--engine-alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine_alone:
        print(engine_alone(options.images))
        return
    progress("the engine alone")
    command = [sys.executable, "-m", "tests.bench.efficiency", "--engine-alone"]
    command += ["--images", str(options.images)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    alone = float(told.stdout.split()[-1])
    rows: dict[str, Any] = {"engine alone": {"images/s": alone, "share": 1.0}}
    with running(ingress=WAITING) as (url, _):
        for preserve in ("false", "auto"):
            for each in (1, 4):
                name = f"{each} a request, product {'kept' if preserve == 'auto' else 'not kept'}"
                progress(name)
                rate = asyncio.run(over_http(url, options.images, each, options.arrivals, preserve))
                rows[name] = {"images/s": rate, "share": rate / alone}
    print(f"{'':36}{'images/s':>10}{'share':>8}")
    for name, row in rows.items():
        print(f"{name:36}{row['images/s']:>10.2f}{row['share']:>8.0%}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
