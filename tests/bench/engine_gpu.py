"""Images per second of our networks on this GPU: Stable Diffusion 1.5, SDXL and FLUX.2 klein.

`python -m tests.bench.engine_gpu --json FILE` runs steps with random weights: guided ones of UNets,
two rows an image, in float16, and klein's edits at guidance 1 in bfloat16. It runs them as our
models do, compiled where they can be, in batches of 1 to 16 images; against diffusers' eager
modules one image at a time, and against the time that the counted operations take at the rate of a
large matrix product on the same card. Text encoder and autoencoder are left out. Without CUDA it
runs tiny networks on the CPU, which tests this file and measures nothing.
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
from deployments.diffusion.families.flow_matching import Schedule
from deployments.diffusion.families.flux2.model import EditDenoising, Flux2Klein
from deployments.diffusion.families.flux2.references import Shown
from deployments.diffusion.families.flux2.tokens import positions
from deployments.diffusion.weights.components import UNetComponents
from deployments.settings import ModelSettings
from tests.bench.random_models import KLEIN_TRANSFORMER, SD_UNET, SDXL_UNET, random_network
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_models import tiny_components

BATCHES = (1, 2, 4, 8, 16)
STEPS, KLEIN_STEPS = 20, 4
TEXT_TOKENS = 512
UNETS = ("sd", "sdxl")


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
def measure_unet(
    family: Any, config: dict[str, Any], latents: int, device: torch.device, rate: float, args: Any
) -> Table:
    """Measure one size of UNet."""
    parts = random_components(family, config, device)

    def step(images: int) -> Rows:
        shapes = example_rows(parts, 2 * images, latents, latents)
        return dataclasses.replace(
            shapes,
            sample=torch.randn_like(shapes.sample),
            embeddings=torch.randn_like(shapes.embeddings),
        )

    alone = step(1)

    def eager() -> object:
        return parts.unet(
            alone.sample,
            alone.timesteps,
            alone.embeddings,
            added_cond_kwargs=alone.added or None,
        )

    table = Table(f"{family}, guided steps of {latents} x {latents} latents", STEPS, device, args)
    table.begin(eager, rate / operations(config, step(1)))
    for compiled in (False, True) if args.compile else (False,):
        networks = create_networks(
            parts, ModelSettings(id="bench", name="Bench", backend="torch", compile=compiled)
        )
        table.add(
            "ours, compiled" if compiled else "ours",
            lambda images, networks=networks: partial(networks.predict, step(images)),
        )
    return table


@torch.inference_mode()
def measure_klein(
    config: dict[str, Any], tokens: int, device: torch.device, rate: float, args: Any
) -> Table:
    """Measure edits of klein's kind: as many tokens of the picture, and again of the photo."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network = random_network(diffusers.Flux2Transformer2DModel, config, device, dtype)
    parts = dataclasses.replace(
        tiny_flux2(dtype=dtype), transformer=network, device=device, text_tokens=TEXT_TOKENS
    )
    parts = dataclasses.replace(parts, vae=parts.vae.to(device))
    side = int(tokens**0.5)
    layout = (side * parts.token_side,) * 4
    where = positions(layout, parts.token_side).to(device)
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    width, text = network.config.in_channels, network.config.joint_attention_dim

    def edit() -> EditDenoising:
        photo = torch.randn(1, side**2, width, **options)
        return EditDenoising(
            size=layout[:2],
            schedule=Schedule(torch.linspace(1, 0, 5), torch.full((4,), 0.5, **options), 4),
            latents=torch.randn(1, side**2, width, **options),
            shown=Shown(photo, photo, where, None),
            texts=torch.randn(1, TEXT_TOKENS, text, **options),
            guidance_scale=1.0,
            kept=None,
            warnings=(),
        )

    given = {
        "hidden_states": torch.randn(1, 2 * side**2, width, **options),
        "timestep": torch.full((1,), 0.5, **options),
        "encoder_hidden_states": torch.randn(1, TEXT_TOKENS, text, **options),
        "img_ids": where,
        "txt_ids": torch.zeros(TEXT_TOKENS, 4, device=device),
    }

    def counted() -> int:
        with torch.device("meta"):
            empty = diffusers.Flux2Transformer2DModel(**config).to(dtype)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            empty(**{name: value.to("meta") for name, value in given.items()})
        return int(counter.get_total_flops())

    model = Flux2Klein(parts)
    table = Table(f"klein, edits of {side**2} tokens", KLEIN_STEPS, device, args)
    table.begin(lambda: network(**given, return_dict=False), rate / counted())
    table.add("ours", lambda images: partial(model.predict, [edit() for _ in range(images)]))
    return table


class Table:
    """Images per second of one kind of network, printed as they are measured.

    Args:
        title: What is measured.
        steps: Of an image.
        device: Where.
        args: Rounds and batches.
    """

    def __init__(self, title: str, steps: int, device: torch.device, args: Any) -> None:
        self.rows: list[dict[str, Any]] = []
        self._steps, self._device, self._args = steps, device, args
        self._base = self._ideal = 0.0
        print(f"\n{title}; images of {steps} steps per second")

    def begin(self, eager: Callable[[], object], ideal_steps: float) -> None:
        """Measure diffusers' module, whose step could be taken so often in a second."""
        seconds = seconds_of(eager, self._device, self._args.rounds)
        base, ideal = 1 / (seconds * self._steps), ideal_steps / self._steps
        self._base, self._ideal = base, ideal
        print(f"{'diffusers eager, batch 1':28}{base:9.3f}{1.0:8.2f}x{base / ideal:8.1%} of ideal")
        print(f"{'ideal at this rate':28}{ideal:9.3f}{ideal / base:8.2f}x")
        row = {"variant": "diffusers eager", "images": 1, "per_second": base, "ideal": ideal}
        self.rows.append(row)

    def add(self, variant: str, step: Callable[[int], Callable[[], object]]) -> None:
        """Measure what makes a step of so many images, until one does not fit."""
        for images in self._args.batches:
            name = f"{variant}, batch {images}"
            try:
                seconds = seconds_of(step(images), self._device, self._args.rounds)
            except OutOfMemory:
                print(f"{name:28}does not fit")
                return
            now = images / (seconds * self._steps)
            told = f"{now:9.3f}{now / self._base:8.2f}x{now / self._ideal:8.1%} of ideal"
            print(f"{name:28}{told}", flush=True)
            row = {"variant": name, "images": images, "per_second": now, "step_seconds": seconds}
            self.rows.append(row)


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
        edits = KLEIN_TRANSFORMER, 4096
        rate = matrix_rate(device, torch.float16, 8192)
    else:
        print("No CUDA here: tiny networks on the CPU, whose numbers say nothing.")
        sizes = {family: (_config(tiny_components(family=family).unet), 8) for family in UNETS}
        edits = _config(tiny_flux2().transformer), 16
        rate = matrix_rate(device, torch.float32, 256)
    print(f"a large matrix product runs at {rate / 1e12:.2f} Tflop/s")
    tables = {
        family: measure_unet(family, config, latents, device, rate, args).rows
        for family, (config, latents) in sizes.items()
    }
    tables["flux2"] = measure_klein(*edits, device, rate, args).rows
    document = {"matrix_flops_per_second": rate, **tables}
    if args.json is not None:
        args.json.write_text(json.dumps(document, indent=1))
    return document


def _config(network: Any) -> dict[str, Any]:
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


if __name__ == "__main__":
    main()
