"""Stable Diffusion: a job beside others gives what the stock diffusers pipeline gives alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from stepped import Listener, SteppedModel
from stock import (
    BFLOAT16_PIXELS,
    CONTROLS,
    JOBS,
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
    return components(inpainting=mode == "inpainting", **options)


@pytest.mark.parametrize("scheduler", RECIPES)
def test_every_sampler_equals_the_stock_pipeline(components: Any, scheduler: Any) -> None:
    # With a mask a job uses all that a sampler has: it starts from the photo or from noise, and
    # noises the photo anew for every step. The other modes are compared with two samplers below.
    parts, given = components(controlnet=True, dtype=torch.float64), photos(masked=True)
    ours = run_staggered(SteppedModel.free(parts, scheduler), given)
    latents, pixels = difference(ours, parts, scheduler, given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_stock_pipeline_without_a_controlnet(components: Any, mode: str) -> None:
    parts = build(components, mode, dtype=torch.float64)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler_a"), given)
    latents, pixels = difference(ours, parts, "euler_a", given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_stock_pipeline_in_single_precision(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.float32)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "dpmpp_2m"), given)
    latents, pixels = difference(ours, parts, "dpmpp_2m", given)
    assert latents <= TOLERANCE[torch.float32]
    assert pixels <= PIXEL_TOLERANCE[torch.float32]


@pytest.mark.parametrize("mode", MODES)
def test_gives_the_stock_pipelines_bits_in_bfloat16(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.bfloat16)
    given = photos(masked=mode != "img2img")
    # All that is ours is done for many jobs at once; only the kernels see one job's batch size.
    model = SteppedModel.free(parts, "dpmpp_2m", networks=JobByJob(parts))
    assert difference(run_staggered(model, given), parts, "dpmpp_2m", given) == (0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_stays_near_the_stock_pipeline_in_bfloat16_together(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.bfloat16)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "dpmpp_2m"), given)
    assert difference(ours, parts, "dpmpp_2m", given)[1] <= BFLOAT16_PIXELS


def test_an_inpainting_model_paints_everything_without_a_mask(components: Any) -> None:
    parts = components(inpainting=True, controlnet=True, dtype=torch.float64)
    given = photos(masked=False)
    ours = run_staggered(SteppedModel.free(parts, "lcm"), given)
    latents, pixels = difference(ours, parts, "lcm", given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_stock_pipeline_with_a_tiny_autoencoder(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, vae="tiny", dtype=torch.float64)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler_a"), given)
    latents, pixels = difference(ours, parts, "euler_a", given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_stock_pipeline_where_the_whole_text_is_added_to_the_time(
    components: Any, mode: str
) -> None:
    parts = build(components, mode, pooled=True, controlnet=True, dtype=torch.float64)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler_a"), given)
    latents, pixels = difference(ours, parts, "euler_a", given)
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


@pytest.mark.parametrize("mode", MODES)
def test_tables_equal_the_stock_pipeline_in_single_precision(components: Any, mode: str) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.float32)
    given = photos(masked=mode != "img2img")
    ours = run_staggered(SteppedModel.free(parts, "euler_a", tables=True), given)
    latents, pixels = difference(ours, parts, "euler_a", given)
    assert latents <= TOLERANCE[torch.float32]
    assert pixels <= PIXEL_TOLERANCE[torch.float32]


class SharedTimestep:
    """Networks that are told the first row's timestep for every row."""

    def __init__(self, parts: Any) -> None:
        self._networks = TorchNetworks(parts.unet, parts.controlnet)

    def predict(self, rows: Rows) -> torch.Tensor:
        shared = rows.timesteps[:1].expand_as(rows.timesteps)
        return self._networks.predict(dataclasses.replace(rows, timesteps=shared))


def test_the_comparison_sees_a_shared_timestep(components: Any) -> None:
    parts, given = components(dtype=torch.float64), photos(masked=False)
    model = SteppedModel.free(parts, "ddim", networks=SharedTimestep(parts))
    assert difference(run_staggered(model, given), parts, "ddim", given)[0] > 1e-3


def test_the_comparison_sees_a_dropped_controlnet(components: Any) -> None:
    parts, given = components(controlnet=True, dtype=torch.float64), photos(masked=False)
    model = SteppedModel.free(dataclasses.replace(parts, controlnet=None), "ddim")
    assert difference(run_staggered(model, given), parts, "ddim", given)[0] > 1e-3


@pytest.mark.parametrize("mode", ["masked", "inpainting"])
def test_the_comparison_sees_an_ignored_mask(components: Any, mode: str) -> None:
    parts = build(components, mode, dtype=torch.float64)
    ours = run_staggered(SteppedModel.free(parts, "ddim"), photos(masked=False))
    assert difference(ours, parts, "ddim", photos(masked=True))[0] > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_the_engine_gives_the_stock_pipelines_images(
    components: Any, start_engine: Callable[..., Any], mode: str
) -> None:
    parts = build(components, mode, controlnet=True, dtype=torch.float64)
    given = photos(masked=mode != "img2img")
    model = SteppedModel(parts, "dpmpp_2m")
    model.controls = CONTROLS
    engine = start_engine(model)
    listeners = {key: Listener() for key in JOBS}
    tickets = {}
    for keys in (["a"], ["b", "wide"], ["cancelled", "c"], ["d", "late"]):
        for key in keys:
            tickets[key] = engine.submit(JOBS[key], given[key], listeners[key])
        model.next_batch()
        model.allow()
    while not listeners["cancelled"].progress:
        model.next_batch()
        model.allow()
    tickets["cancelled"].cancel()
    model.allow(1000)
    pixels = {key: heard.image().pixels for key, heard in listeners.items() if key != "cancelled"}
    assert not listeners["cancelled"].ends
    ours = {key: (model.latents[key], pixels[key]) for key in pixels}
    assert len(ours) == len(JOBS) - 1
    latents, worst_pixel = difference(ours, parts, "dpmpp_2m", given)
    assert latents <= TOLERANCE[torch.float64]
    assert worst_pixel == 0


def test_the_same_seed_gives_the_same_image_alone_and_beside_others(components: Any) -> None:
    parts, given = components(controlnet=True, dtype=torch.float64), photos(masked=True)
    beside = run_staggered(SteppedModel.free(parts, "euler_a"), given)
    alone = run_staggered(SteppedModel.free(parts, "euler_a"), given, together=1)
    for key, (_, pixels) in beside.items():
        assert np.array_equal(pixels, alone[key][1])
