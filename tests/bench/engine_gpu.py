"""Images per second of our networks on this GPU, at the sizes of Stable Diffusion 1.5 and SDXL.

`python -m tests.bench.engine_gpu --json FILE` runs guided UNet steps, two rows an image, in float16
with random weights: as our networks run them, compiled or not, in batches of 1 to 16 images;
against diffusers' eager float16 modules one image at a time, and against the time that the counted
operations take at the rate of a large matrix product on the same card. Text encoder and autoencoder
are left out. Without CUDA it runs tiny networks on the CPU, which tests this file and measures
nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

from deployments.diffusion.compute.backend_choice import create_networks
from deployments.diffusion.compute.networks import OutOfMemory, Rows, example_rows
from deployments.diffusion.weights.components import UNetComponents
from deployments.settings import ModelSettings
from tests.bench.random_models import SD_UNET, SDXL_UNET, random_network
from tests.tiny_models import tiny_components

BATCHES = (1, 2, 4, 8, 16)
STEPS = 20


def seconds_of(run: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median of a run's time, after two that compile, record and warm up."""
    times = []
    for turn in range(rounds + 2):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn > 1:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Operations per second of a square matrix product, a multiplication and an addition each."""
    one = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / seconds_of(lambda: one @ one, device, 10)


def operations(config: dict[str, Any], rows: Rows) -> int:
    """Operations of a forward pass, counted on tensors without data."""
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(**config).to(rows.sample.dtype)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        unet(
            rows.sample.to("meta"),
            rows.timesteps.to("meta"),
            rows.embeddings.to("meta"),
            added_cond_kwargs={name: value.to("meta") for name, value in rows.added.items()},
        )
    return int(counter.get_total_flops())


def random_components(family: Any, config: dict[str, Any], device: torch.device) -> UNetComponents:
    """Complete a UNet with what shapes are read from: 77 tokens, a pooled width of 1280."""
    parts = tiny_components(family=family)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    unet = random_network(diffusers.UNet2DConditionModel, config, device, dtype)
    for tokenizer in parts.tokenizers:
        tokenizer.model_max_length = 77
    if config.get("addition_time_embed_dim") is not None:
        ids = 6 * config["addition_time_embed_dim"]
        pooled = config["projection_class_embeddings_input_dim"] - ids
        parts.text_encoders[-1].config.projection_dim = pooled
    return dataclasses.replace(parts, unet=unet, device=device, dtype=dtype)


@torch.inference_mode()
def measure(
    family: Any, config: dict[str, Any], latents: int, device: torch.device, rate: float, args: Any
) -> list[dict[str, Any]]:
    """Measure one size of network and print its table."""
    parts = random_components(family, config, device)

    def step(images: int) -> Rows:
        shapes = example_rows(parts, 2 * images, latents, latents)
        return dataclasses.replace(
            shapes,
            sample=torch.randn_like(shapes.sample),
            embeddings=torch.randn_like(shapes.embeddings),
        )

    def per_second(images: int, seconds: float) -> float:
        return images / (seconds * STEPS)

    ideal = rate / (operations(config, step(1)) * STEPS)
    alone = step(1)
    eager = seconds_of(
        lambda: parts.unet(
            alone.sample,
            alone.timesteps,
            alone.embeddings,
            added_cond_kwargs=alone.added or None,
        ),
        device,
        args.rounds,
    )
    base = per_second(1, eager)
    print(f"\n{family}: {STEPS} guided steps of {latents} x {latents} latents; images per second")
    print(f"{'diffusers eager, batch 1':28}{base:9.3f}{1.0:8.2f}x{base / ideal:8.1%} of ideal")
    print(f"{'ideal at this rate':28}{ideal:9.3f}{ideal / base:8.2f}x")
    table = [{"variant": "diffusers eager", "images": 1, "per_second": base, "ideal": ideal}]
    for compiled in (False, True) if args.compile else (False,):
        networks = create_networks(
            parts, ModelSettings(id="bench", name="Bench", backend="torch", compile=compiled)
        )
        for images in args.batches:
            name = f"ours{', compiled' if compiled else ''}, batch {images}"
            rows = step(images)
            try:
                seconds = seconds_of(partial(networks.predict, rows), device, args.rounds)
            except OutOfMemory:
                print(f"{name:28}does not fit")
                break
            now = per_second(images, seconds)
            print(f"{name:28}{now:9.3f}{now / base:8.2f}x{now / ideal:8.1%} of ideal", flush=True)
            table.append(
                {"variant": name, "images": images, "per_second": now, "step_seconds": seconds}
            )
    return table


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the tables to this file")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args(arguments)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    if cuda:
        print(torch.cuda.get_device_name(device))
        sizes: dict[str, tuple[dict[str, Any], int]] = {
            "sd": (SD_UNET, 64),
            "sdxl": (SDXL_UNET, 128),
        }
        rate = matrix_rate(device, torch.float16, 8192)
    else:
        print("No CUDA here: tiny networks on the CPU, whose numbers say nothing.")
        sizes = {family: (_tiny(family), 8) for family in ("sd", "sdxl")}
        rate = matrix_rate(device, torch.float32, 256)
    print(f"a large matrix product runs at {rate / 1e12:.2f} Tflop/s")
    tables = {
        family: measure(family, config, latents, device, rate, args)
        for family, (config, latents) in sizes.items()
    }
    document = {"matrix_flops_per_second": rate, "steps": STEPS, **tables}
    if args.json is not None:
        args.json.write_text(json.dumps(document, indent=1))
    return document


def _tiny(family: Any) -> dict[str, Any]:
    config = dict(tiny_components(family=family).unet.config)
    return {name: value for name, value in config.items() if not name.startswith("_")}


if __name__ == "__main__":
    main()
