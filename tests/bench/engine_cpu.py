"""Our networks on this CPU against diffusers as it comes, at Stable Diffusion 1.5's size.

`python -m tests.bench.engine_cpu --json FILE` measures a UNet step of two rows at 512 x 512, and an
image of one step from photo to pixels. Every round measures each variant once, in turn, so that
what else the machine does falls on all of them. Weights are random.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image

from deployments.diffusion.compute.autoencoder import Autoencoder
from deployments.diffusion.compute.compiled_networks import CompiledNetworks
from deployments.diffusion.compute.networks import Networks, Rows, TorchNetworks
from deployments.diffusion.compute.openvino_autoencoder import OpenVINOAutoencoder
from deployments.diffusion.compute.openvino_networks import OpenVINONetworks
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.diffusion.families.sd.schedulers import create_scheduler
from deployments.jobs import GenerationSettings, ImageJob, PreparedPhoto
from tests.bench.random_models import (
    SD_AUTOENCODER,
    SD_UNET,
    random_network,
    sd_components,
    tiny_autoencoder,
)
from tests.tiny_models import prompts_of

BASELINE = "diffusers float32"
SIDE = 512


def interleaved(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def report(title: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Print a table of medians and fastest rounds, and give it as JSON's types."""
    print(f"\n{title}\n{'':32}{'median':>9}{'fastest':>9}{'times':>8}{'times':>8}")
    table = {}
    base = seconds[BASELINE]
    for name, rounds in seconds.items():
        middle = statistics.median(base) / statistics.median(rounds)
        fastest = min(base) / min(rounds)
        print(
            f"{name:32}{statistics.median(rounds):8.2f}s{min(rounds):8.2f}s"
            f"{middle:7.2f}x{fastest:7.2f}x"
        )
        table[name] = {"seconds": rounds, "times_of_medians": middle, "times_of_fastest": fastest}
    return table


@torch.inference_mode()
def unet_step(parts: Any, ours: dict[str, Networks], rounds: int) -> dict[str, Any]:
    """A guided image's UNet step."""
    generator = torch.Generator().manual_seed(0)
    rows = Rows(
        torch.randn(2, 4, SIDE // 8, SIDE // 8, generator=generator),
        torch.tensor([500.0, 500.0]),
        torch.randn(2, 77, 768, generator=generator),
        {},
    )

    def half(networks: Networks) -> Callable[[], object]:
        cast = Rows(rows.sample.bfloat16(), rows.timesteps, rows.embeddings.bfloat16(), {})
        return lambda: networks.predict(cast)

    variants: dict[str, Callable[[], object]] = {
        BASELINE: lambda: parts.unet(
            rows.sample, rows.timesteps, encoder_hidden_states=rows.embeddings
        )
    }
    for name, networks in ours.items():
        if name.startswith("torch bfloat16"):
            variants[name] = half(networks)
        else:
            variants[name] = lambda networks=networks: networks.predict(rows)  # type: ignore[misc]
    return report("UNet step, 2 rows, 512 x 512", interleaved(variants, rounds))


def one_step_image(
    parts: Any, networks: Networks, autoencoder: Autoencoder, guidance: float, rounds: int
) -> dict[str, Any]:
    """Photo to image in one step: stock pipeline with AutoencoderKL, ours with AutoencoderTiny."""
    stock = diffusers.StableDiffusionImg2ImgPipeline(
        vae=random_network(diffusers.AutoencoderKL, SD_AUTOENCODER),
        text_encoder=parts.text_encoders[0],
        tokenizer=parts.tokenizers[0],
        unet=parts.unet,
        scheduler=create_scheduler("euler_a", parts.scheduler_config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    stock.set_progress_bar_config(disable=True)
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    # New each time, so that no cache of prompts or photos helps.
    seeds = iter(range(1, 1000))

    def run_stock() -> object:
        return stock(
            prompt=f"a forest {next(seeds)}",
            image=Image.fromarray(pixels),
            num_inference_steps=1,
            strength=1.0,
            guidance_scale=guidance,
        )

    spent: dict[str, list[float]] = {stage: [] for stage in ("prepare", "step", "decode")}

    def ours(model: StableDiffusion) -> object:
        seed = next(seeds)
        job = ImageJob("a", GenerationSettings(f"a forest {seed}", "", seed, 1, guidance, 1.0))
        photo = pixels.copy()
        photo[0, 0] = seed % 256
        times = [time.perf_counter()]
        denoising = model.prepare(job, PreparedPhoto(photo))
        times.append(time.perf_counter())
        model.advance(denoising, model.predict([denoising])[0])
        times.append(time.perf_counter())
        picture = model.decode(denoising)
        times.append(time.perf_counter())
        if model is fast:
            for stage, (begun, ended) in zip(spent, pairwise(times), strict=True):
                spent[stage].append(ended - begun)
        return picture

    fast = StableDiffusion(prompts_of(parts), networks, "euler_a", canny, autoencoder=autoencoder)
    by_torch = StableDiffusion(prompts_of(parts), networks, "euler_a", canny)
    table = report(
        f"One-step image, 512 x 512, guidance {guidance:g}",
        interleaved(
            {
                BASELINE: run_stock,
                "ours, tiny autoencoder in torch": lambda: ours(by_torch),
                "ours, tiny autoencoder": lambda: ours(fast),
            },
            rounds,
        ),
    )
    stages = {stage: min(seconds) for stage, seconds in spent.items()}
    print("of the last, fastest:", ", ".join(f"{one} {s:.2f} s" for one, s in stages.items()))
    return {**table, "stages": stages}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the table to this file")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--all", action="store_true", help="also what is not our default")
    parser.add_argument("--compile", action="store_true", help="also torch.compile; takes minutes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)

    unet = random_network(diffusers.UNet2DConditionModel, SD_UNET)
    parts = sd_components(tiny_autoencoder(), unet)
    start = time.perf_counter()
    fast = OpenVINONetworks(parts, bf16=True, threads=options.threads)
    autoencoder = OpenVINOAutoencoder(parts, bf16=True, threads=options.threads)
    started = time.perf_counter() - start
    print(f"{options.threads} threads; converted and compiled in {started:.1f} s")
    ours: dict[str, Networks] = {"OpenVINO bfloat16": fast}
    if options.all:
        ours["OpenVINO float32"] = OpenVINONetworks(parts, bf16=False, threads=options.threads)
        half = random_network(diffusers.UNet2DConditionModel, SD_UNET, dtype=torch.bfloat16)
        ours["torch bfloat16"] = TorchNetworks(half, None)
        turned = random_network(diffusers.UNet2DConditionModel, SD_UNET, dtype=torch.bfloat16)
        turned.to(memory_format=torch.channels_last)
        ours["torch bfloat16 channels last"] = TorchNetworks(turned, None)
        if options.compile:
            ours["torch bfloat16 compiled"] = CompiledNetworks(half, None, graphs=False)
    tables = {"unet_step": unet_step(parts, ours, options.rounds)}
    ours.clear()
    for guidance in (1.0, 7.5):
        tables[f"one_step_image_guidance_{guidance:g}"] = one_step_image(
            parts, fast, autoencoder, guidance, max(2, options.rounds // 2)
        )
    if options.json is not None:
        document = {"threads": options.threads, "load_seconds": started, **tables}
        options.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
