"""Jobs, staggered through our model, and the same jobs through the stock diffusers pipelines."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import cv2
import diffusers
import numpy as np
import torch
from PIL import Image
from stepped import a_job, a_photo

from deployments.diffusion.compute.networks import Rows, TorchNetworks
from deployments.diffusion.families.sd.denoising import PhotoDenoising
from deployments.diffusion.families.sd.schedulers import create_scheduler
from deployments.jobs import ControlSettings, ImageJob, Mask, Pixels, PreparedPhoto

Result = tuple[torch.Tensor, Pixels]

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4}
# In float32 another batch size may move a value across the edge between two pixel values.
PIXEL_TOLERANCE = {torch.float64: 0, torch.float32: 1}
# With eight bits another batch size may round every layer otherwise, where the processor's kernels
# depend on it; so far as seen the pictures of these random networks then differ by up to 20.
BFLOAT16_PIXELS = 32

JOBS = {
    "a": a_job("a", seed=1, steps=6, strength=0.9, guidance_scale=7.5),
    "b": a_job("b", seed=2, steps=6, strength=0.5, guidance_scale=1.0, prompt="a cup"),
    "c": a_job(
        "c", seed=3, steps=6, strength=0.75, guidance_scale=3.0, negative_prompt="dark",
    ),
    "cancelled": a_job("cancelled", seed=4, steps=9, strength=1.0, guidance_scale=12.0),
    "d": a_job(
        "d", seed=5, steps=4, strength=1.0, guidance_scale=12.0, prompt="words " * 40,
    ),
    # Karras' schedule holds the timestep at which this one starts twice.
    "late": a_job("late", seed=7, steps=50, strength=0.06),
    "wide": a_job("wide", seed=6, steps=5, strength=0.6, guidance_scale=5.0),
}  # fmt: skip
CONTROLS = {
    "a": ControlSettings(scale=0.7),
    "c": ControlSettings(scale=1.3, start=0.2, end=0.7),
    "d": ControlSettings(end=0.5),
    "late": ControlSettings(scale=0.0),
}
ARRIVALS = {0: ["a"], 1: ["b", "wide"], 3: ["cancelled", "c"], 5: ["d", "late"]}
CANCEL_AT = 8
SMALL = {"height": 32, "width": 32}
PHOTOS = {key: a_photo(**SMALL, seed=7) for key in JOBS} | {
    "wide": a_photo(height=32, width=48),
    "b": a_photo(**SMALL, seed=8),
}


def a_mask(height: int, width: int) -> Mask:
    """Keep a block off the middle; on its right edge at a value just under a half."""
    mask = np.full((height, width), 255, dtype=np.uint8)
    mask[8:24, 5:20] = 0
    mask[8:24, 20:26] = 127
    mask[0:4] = 128
    return mask


@cache
def photos(masked: bool) -> Mapping[str, PreparedPhoto]:
    """The photo of each job, with a mask or without."""
    if not masked:
        return PHOTOS
    return {
        key: dataclasses.replace(photo, mask=a_mask(*photo.pixels.shape[:2]))
        for key, photo in PHOTOS.items()
    }


def run_staggered(
    model: Any,
    photos: Mapping[str, PreparedPhoto],
    together: int = 16,
    jobs: Mapping[str, ImageJob] = JOBS,
) -> dict[str, Result]:
    """Latents and pixels of the jobs that were not cancelled, each joining the others midway.

    Args:
        model: The model.
        photos: The photo of each job.
        together: The most jobs in one forward pass.
        jobs: The jobs.
    """
    model.controls = CONTROLS
    running: dict[str, PhotoDenoising] = {}
    results = {}
    tick = 0
    while running or tick <= max(ARRIVALS):
        for key in ARRIVALS.get(tick, []):
            model.check(jobs[key], photos[key])
            running[key] = model.prepare(jobs[key], photos[key])
        if tick == CANCEL_AT:
            assert running.pop("cancelled").step > 0
        shapes = {one.latents.shape for one in running.values()}
        for shape in shapes:
            group = [one for one in running.values() if one.latents.shape == shape]
            for first in range(0, len(group), together):
                batch = group[first : first + together]
                for one, prediction in zip(batch, model.predict(batch), strict=True):
                    model.advance(one, prediction)
        for key, one in list(running.items()):
            if one.step == one.steps:
                results[key] = one.latents, model.decode(one)
                del running[key]
        tick += 1
    return results


@cache
def run_stock(parts: Any, scheduler: Any, job: ImageJob, photo: PreparedPhoto) -> Result:
    """Latents and pixels that the stock pipeline makes of a job, made once for all tests."""
    settings = job.settings
    height, width = photo.pixels.shape[:2]
    mask = photo.mask
    if mask is None and parts.inpainting:
        mask = np.full((height, width), 255, dtype=np.uint8)
    name = "StableDiffusion" + ("XL" if parts.told_sizes else "")
    name += "ControlNet" if parts.controlnet is not None else ""
    name += "Img2ImgPipeline" if mask is None else "InpaintPipeline"
    options = {
        "vae": parts.vae,
        "text_encoder": parts.text_encoders[0],
        "tokenizer": parts.tokenizers[0],
        "unet": parts.unet,
        "scheduler": create_scheduler(scheduler, parts.scheduler_config),
    }
    if parts.told_sizes:
        second = {"text_encoder_2": parts.text_encoders[1], "tokenizer_2": parts.tokenizers[1]}
        options |= second | {
            "add_watermarker": False,
            "force_zeros_for_empty_prompt": parts.zeros_for_empty_prompt,
        }
        if parts.controlnet is None or mask is not None:
            options["requires_aesthetics_score"] = parts.aesthetics
    else:
        options |= {"safety_checker": None, "feature_extractor": None}
        options["requires_safety_checker"] = False
    call: dict[str, Any] = {"image": Image.fromarray(photo.pixels)}
    if mask is not None:
        call |= {"mask_image": Image.fromarray(mask), "height": height, "width": width}
    control = CONTROLS.get(job.key, ControlSettings())
    if parts.controlnet is not None:
        options["controlnet"] = parts.controlnet
        edges = cv2.Canny(photo.pixels, 100, 200)
        if photo.mask is not None:
            # The distance to the nearest kept pixel, counted as a king moves.
            near = cv2.distanceTransform((photo.mask >= 128).astype(np.uint8), cv2.DIST_C, 3)
            edges[near > 3] = 0
        call |= {
            "control_image": Image.fromarray(np.dstack([edges] * 3)),
            "controlnet_conditioning_scale": control.scale,
            "control_guidance_start": control.start,
            "control_guidance_end": control.end,
        }
    pipeline_class = getattr(diffusers, name)
    known = inspect.signature(pipeline_class.__init__).parameters
    pipeline = pipeline_class(**{key: one for key, one in options.items() if key in known})
    pipeline.set_progress_bar_config(disable=True)
    latents = pipeline(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt or None,
        strength=settings.strength,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        generator=torch.Generator().manual_seed(settings.seed),
        output_type="latent",
        **call,
    ).images
    with torch.no_grad():
        decoded = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample
    [picture] = pipeline.image_processor.postprocess(decoded, output_type="pil")
    return latents, np.asarray(picture)


class JobByJob:
    """Networks that run the rows of each job by themselves, as the stock pipelines do."""

    def __init__(self, parts: Any) -> None:
        self._networks = TorchNetworks(parts.unet, parts.controlnet, parts.loras)

    def predict(self, rows: Rows) -> torch.Tensor:
        count = len(rows.timesteps)
        # The two rows of a guided job have one sample; no two jobs have.
        starts = [
            row
            for row in range(count)
            if not row or (rows.sample[row] != rows.sample[row - 1]).any()
        ]
        made = []
        for first, end in itertools.pairwise([*starts, count]):
            seen = [place for place, row in enumerate(rows.control_rows) if first <= row < end]
            with_control = {}
            if seen and rows.control is not None and rows.control_sample is not None:
                with_control = {
                    "control": rows.control[seen],
                    "control_rows": tuple(range(end - first)),
                    "control_scales": tuple(rows.control_scales[place] for place in seen),
                    "control_sample": rows.control_sample[seen],
                }
            part = Rows(
                rows.sample[first:end],
                rows.timesteps[first:end],
                rows.embeddings[first:end],
                {name: value[first:end] for name, value in rows.added.items()},
                loras=rows.loras[first:end],
                **with_control,
            )
            made.append(self._networks.predict(part))
        return torch.cat(made)


def difference(
    ours: Mapping[str, Result], parts: Any, scheduler: Any, photos: Mapping[str, PreparedPhoto]
) -> tuple[float, int]:
    """The largest difference of latents, and of pixel values, over all jobs."""
    latents, pixels = [], []
    for key, (our_latents, our_pixels) in ours.items():
        their_latents, their_pixels = run_stock(parts, scheduler, JOBS[key], photos[key])
        latents.append((our_latents - their_latents).abs().max().item())
        pixels.append(np.abs(our_pixels.astype(int) - their_pixels).max().item())
    return max(latents), max(pixels)
