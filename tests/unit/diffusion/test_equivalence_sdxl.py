"""Stable Diffusion XL: a job beside others gives what the stock diffusers pipeline gives alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from stepped import SteppedModel
from stock import (
    BFLOAT16_PIXELS,
    PIXEL_TOLERANCE,
    TOLERANCE,
    JobByJob,
    difference,
    photos,
    run_staggered,
)

from deployments.diffusion.compute.networks import Rows, TorchNetworks
from deployments.diffusion.families.sd.schedulers import RECIPES

MODES = ["img2img", "masked", "inpainting"]


def build(components: Any, mode: str, **options: Any) -> Any:
    parts = components(family="sdxl", inpainting=mode == "inpainting", **options)
    # Else the stock pipelines encode in float32 whatever the dtype, and nothing can be compared.
    parts.vae.register_to_config(force_upcast=False)
    return parts


@pytest.mark.parametrize("scheduler", RECIPES)
def test_every_sampler_equals_the_stock_pipeline(components: Any, scheduler: Any) -> None:
    parts, given = build(components, "masked", dtype=torch.float64), photos(masked=True)
    ours = run_staggered(SteppedModel.free(parts, scheduler), given)
    latents, pixels = difference(ours, parts, scheduler, given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize(
    ("controlnet", "dtype"),
    [(False, torch.float64), (True, torch.float64), (True, torch.float32)],
    ids=["plain", "controlnet", "controlnet-float32"],
)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_equals_the_stock_pipeline(
    components: Any, mode: str, controlnet: bool, dtype: torch.dtype
) -> None:
    parts = build(components, mode, controlnet=controlnet, dtype=dtype)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler_a"), given)
    latents, pixels = difference(ours, parts, "euler_a", given)
    assert latents <= TOLERANCE[dtype]
    assert pixels <= PIXEL_TOLERANCE[dtype]


@pytest.mark.parametrize("mode", MODES)
def test_gives_the_stock_pipelines_bits_in_bfloat16(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.bfloat16)
    given = photos(masked=mode != "img2img")
    # All that is ours is done for many jobs at once; only the kernels see one job's batch size.
    model = SteppedModel.free(parts, "euler", networks=JobByJob(parts))
    assert difference(run_staggered(model, given), parts, "euler", given) == (0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_stays_near_the_stock_pipeline_in_bfloat16_together(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.bfloat16)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler"), given)
    assert difference(ours, parts, "euler", given)[1] <= BFLOAT16_PIXELS


def test_an_inpainting_model_paints_everything_without_a_mask(components: Any) -> None:
    parts = build(components, "inpainting", dtype=torch.float64)
    given = photos(masked=False)
    ours = run_staggered(SteppedModel.free(parts, "euler"), given)
    latents, pixels = difference(ours, parts, "euler", given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("zeros", [False, True], ids=["encoded", "zeros"])
def test_an_empty_negative_prompt_is_what_the_weights_say(components: Any, zeros: bool) -> None:
    parts = build(components, "img2img", dtype=torch.float64)
    parts = dataclasses.replace(parts, zeros_for_empty_prompt=zeros)
    given = photos(masked=False)
    ours = run_staggered(SteppedModel.free(parts, "ddim"), given)
    assert difference(ours, parts, "ddim", given)[0] <= TOLERANCE[torch.float64]
    other = dataclasses.replace(parts, zeros_for_empty_prompt=not zeros)
    assert difference(ours, other, "ddim", given)[0] > 1e-3


def test_a_unet_that_asks_for_scores_is_told_them(components: Any) -> None:
    parts = build(components, "img2img", dtype=torch.float64)
    given = photos(masked=False)
    told: list[torch.Tensor] = []

    class Told:
        def predict(self, rows: Rows) -> torch.Tensor:
            told.append(rows.added["time_ids"])
            # The tiny UNet reads six numbers, so it is not shown these five.
            shown = {**rows.added, "time_ids": torch.zeros(len(rows.timesteps), 6)}
            networks = TorchNetworks(parts.unet, None)
            return networks.predict(dataclasses.replace(rows, added=shown))

    scored = dataclasses.replace(parts, aesthetics=True)
    run_staggered(SteppedModel.free(scored, "ddim", networks=Told()), given)
    # The first job is guided: its negative prompt comes first.
    assert told[0].tolist() == [[32, 32, 0, 0, 2.5], [32, 32, 0, 0, 6.0]]


class SharedText:
    """Networks that are told the first row's pooled text for every row."""

    def __init__(self, parts: Any) -> None:
        self._networks = TorchNetworks(parts.unet, parts.controlnet)

    def predict(self, rows: Rows) -> torch.Tensor:
        texts = rows.added["text_embeds"]
        added = {**rows.added, "text_embeds": texts[:1].expand_as(texts)}
        return self._networks.predict(dataclasses.replace(rows, added=added))


def test_the_comparison_sees_a_shared_text(components: Any) -> None:
    parts, given = build(components, "img2img", dtype=torch.float64), photos(masked=False)
    model = SteppedModel.free(parts, "ddim", networks=SharedText(parts))
    assert difference(run_staggered(model, given), parts, "ddim", given)[0] > 1e-3
