"""A job beside others gives what the stock diffusers pipeline gives alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import cv2
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from stepped import Listener, SteppedModel, a_job, a_photo

from deployments.diffusion.schedulers import create_scheduler
from deployments.jobs import ImageJob, Pixels, PreparedPhoto
from deployments.settings import SchedulerName

CONTROL_SCALE = 0.7
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4}
# In float32 another batch size may move a value across the edge between two pixel values.
PIXEL_TOLERANCE = {torch.float64: 0, torch.float32: 1}

JOBS = {
    "a": a_job("a", seed=1, steps=8, strength=0.9, guidance_scale=7.5),
    "b": a_job("b", seed=2, steps=12, strength=0.5, guidance_scale=1.0, prompt="a cup"),
    "c": a_job("c", seed=3, steps=10, strength=0.75, guidance_scale=3.0, negative_prompt="dark"),
    "cancelled": a_job("cancelled", seed=4, steps=9, strength=1.0, guidance_scale=12.0),
    "d": a_job("d", seed=5, steps=6, strength=1.0, guidance_scale=12.0, prompt="words " * 40),
    # Karras' schedule holds the timestep at which this one starts twice.
    "late": a_job("late", seed=7, steps=50, strength=0.06),
    "wide": a_job("wide", seed=6, steps=7, strength=0.6, guidance_scale=5.0),
}
SMALL = {"height": 32, "width": 32}
PHOTOS = {key: a_photo(**SMALL, seed=7) for key in JOBS} | {
    "wide": a_photo(height=32, width=48),
    "b": a_photo(**SMALL, seed=8),
}
ARRIVALS = {0: ["a"], 1: ["b", "wide"], 3: ["cancelled", "c"], 5: ["d", "late"]}
CANCEL_AT = 8


def run_staggered(
    start_engine: Callable[..., Any], model: SteppedModel
) -> dict[str, tuple[torch.Tensor, Pixels]]:
    """Latents and pixels of the jobs that were not cancelled, all run in one engine."""
    engine = start_engine(model)
    listeners = {key: Listener() for key in JOBS}
    tickets = {}
    for step in range(max(CANCEL_AT, *ARRIVALS) + 1):
        for key in ARRIVALS.get(step, []):
            tickets[key] = engine.submit(JOBS[key], PHOTOS[key], listeners[key])
        batch = model.next_batch()
        if step == CANCEL_AT:
            assert listeners["cancelled"].progress
            tickets["cancelled"].cancel()
        assert len(batch) >= 1
        model.allow()
    model.allow(1000)
    pixels = {key: heard.image().pixels for key, heard in listeners.items() if key != "cancelled"}
    assert not listeners["cancelled"].ends
    return {key: (model.latents[key], pixels[key]) for key in pixels}


def run_stock(
    parts: Any, scheduler: SchedulerName, job: ImageJob, photo: PreparedPhoto
) -> tuple[torch.Tensor, Pixels]:
    """Latents and pixels that the stock pipeline makes of a job."""
    options = {
        "vae": parts.vae,
        "text_encoder": parts.text_encoder,
        "tokenizer": parts.tokenizer,
        "unet": parts.unet,
        "scheduler": create_scheduler(scheduler, parts.scheduler_config),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    call: dict[str, Any] = {}
    if parts.controlnet is None:
        pipeline = diffusers.StableDiffusionImg2ImgPipeline(**options)
    else:
        pipeline = diffusers.StableDiffusionControlNetImg2ImgPipeline(
            controlnet=parts.controlnet, **options
        )
        edges = cv2.Canny(photo.pixels, 100, 200)
        call["control_image"] = Image.fromarray(np.dstack([edges] * 3))
        call["controlnet_conditioning_scale"] = CONTROL_SCALE
    pipeline.set_progress_bar_config(disable=True)
    latents = pipeline(
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        image=Image.fromarray(photo.pixels),
        strength=job.strength,
        num_inference_steps=job.steps,
        guidance_scale=job.guidance_scale,
        generator=torch.Generator().manual_seed(job.seed),
        output_type="latent",
        **call,
    ).images
    with torch.no_grad():
        decoded = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample
    [picture] = pipeline.image_processor.postprocess(decoded, output_type="pil")
    return latents, np.asarray(picture)


def difference(
    ours: dict[str, tuple[torch.Tensor, Pixels]], parts: Any, scheduler: SchedulerName
) -> tuple[float, int]:
    """The largest difference of latents, and of pixel values, over all jobs."""
    latents, pixels = [], []
    for key, (our_latents, our_pixels) in ours.items():
        their_latents, their_pixels = run_stock(parts, scheduler, JOBS[key], PHOTOS[key])
        latents.append((our_latents - their_latents).abs().max().item())
        pixels.append(np.abs(our_pixels.astype(int) - their_pixels).max().item())
    return max(latents), max(pixels)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("controlnet", [False, True], ids=["img2img", "controlnet"])
@pytest.mark.parametrize("scheduler", get_args(SchedulerName))
def test_equals_the_stock_pipeline(
    components: Any, start_engine: Any, scheduler: Any, controlnet: bool, dtype: torch.dtype
) -> None:
    parts = components(controlnet=controlnet, dtype=dtype)
    model = SteppedModel(parts, scheduler, control_scale=CONTROL_SCALE)
    latents, pixels = difference(run_staggered(start_engine, model), parts, scheduler)
    assert latents <= TOLERANCE[dtype]
    assert pixels <= PIXEL_TOLERANCE[dtype]


@pytest.mark.parametrize("controlnet", [False, True], ids=["img2img", "controlnet"])
def test_equals_the_stock_pipeline_with_a_tiny_autoencoder(
    components: Any, start_engine: Any, controlnet: bool
) -> None:
    parts = components(controlnet=controlnet, vae="tiny", dtype=torch.float64)
    model = SteppedModel(parts, "dpmpp_2m", control_scale=CONTROL_SCALE)
    latents, pixels = difference(run_staggered(start_engine, model), parts, "dpmpp_2m")
    assert latents <= TOLERANCE[torch.float64]
    assert pixels == 0


class SharedTimestep:
    """A UNet that is told the first row's timestep for every row."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet

    def __call__(self, sample: Any, timesteps: Any, **options: Any) -> Any:
        return self._unet(sample, timesteps[:1].expand_as(timesteps), **options)


def test_the_comparison_sees_a_shared_timestep(components: Any, start_engine: Any) -> None:
    parts = components(dtype=torch.float64)
    broken = dataclasses.replace(parts, unet=SharedTimestep(parts.unet))
    ours = run_staggered(start_engine, SteppedModel(broken, "ddim"))
    assert difference(ours, parts, "ddim")[0] > 1e-3


def test_the_comparison_sees_a_dropped_controlnet(components: Any, start_engine: Any) -> None:
    parts = components(controlnet=True, dtype=torch.float64)
    broken = dataclasses.replace(parts, controlnet=None)
    ours = run_staggered(start_engine, SteppedModel(broken, "ddim"))
    assert difference(ours, parts, "ddim")[0] > 1e-3


def test_the_same_seed_gives_the_same_image_alone_and_beside_others(
    components: Any, start_engine: Any
) -> None:
    parts = components(controlnet=True, dtype=torch.float64)
    beside = run_staggered(start_engine, SteppedModel(parts, "euler_a"))
    for key, (_, pixels) in beside.items():
        model = SteppedModel(parts, "euler_a")
        model.allow(1000)
        listener = Listener()
        start_engine(model).submit(JOBS[key], PHOTOS[key], listener)
        assert np.array_equal(listener.image().pixels, pixels)
