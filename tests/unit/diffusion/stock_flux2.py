"""Jobs of FLUX.2 klein, staggered through our model, and the same through the stock pipelines."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from stepped import a_job, a_photo

from deployments.diffusion.families.flux2.model import EditDenoising, Flux2Klein
from deployments.jobs import ImageJob, Mask, Pixels, PreparedPhoto
from tests.tiny_flux2 import REMEMBERING, stock_pipeline

Result = tuple[torch.Tensor, Pixels]

TOLERANCE = 1e-9
"""Of latents in double precision, relative to the largest."""

JOBS = {
    "edit": a_job("edit", seed=1, steps=6, guidance_scale=1.0),
    "guided": a_job("guided", seed=2, steps=5, guidance_scale=4.0, prompt="a cup"),
    "two": a_job("two", seed=3, steps=4, guidance_scale=1.0, prompt="words " * 600),
    "cancelled": a_job("cancelled", seed=4, steps=9, guidance_scale=3.0),
    "inpaint": a_job("inpaint", seed=5, steps=6, strength=0.7, guidance_scale=1.0, prompt="sea"),
    "negative": a_job(
        "negative", seed=6, steps=5, strength=1.0, guidance_scale=2.5, negative_prompt="dark",
    ),
    "both": a_job("both", seed=7, steps=4, strength=0.9, guidance_scale=1.0, prompt=""),
    "wide": a_job("wide", seed=8, steps=3, guidance_scale=1.0),
    "late": a_job("late", seed=9, steps=20, strength=0.06, guidance_scale=1.0),
}  # fmt: skip
DISTILLED = ("edit", "two", "inpaint", "both", "wide", "late")
"""Those of them without guidance."""

ARRIVALS = {
    0: ["edit"],
    1: ["guided", "wide"],
    2: ["cancelled", "two"],
    3: ["inpaint", "negative"],
    4: ["both", "late"],
}
CANCEL_AT = 5


def a_mask(height: int, width: int) -> Mask:
    """Keep a block off the grid of tokens; on its right edge at a value just under a half."""
    mask = np.full((height, width), 255, dtype=np.uint8)
    mask[20:56, 12:40] = 0
    mask[20:56, 40:44] = 127
    mask[0:4] = 128
    return mask


def _photos() -> dict[str, PreparedPhoto]:
    square = {key: a_photo(seed=7) for key in JOBS}
    other = a_photo(height=80, width=64, seed=9).pixels
    mask = a_mask(64, 64)
    return square | {
        "guided": a_photo(seed=8),
        "wide": a_photo(height=64, width=96),
        "two": dataclasses.replace(a_photo(seed=3), references=(other,)),
        "inpaint": dataclasses.replace(a_photo(seed=4), mask=mask),
        "negative": dataclasses.replace(a_photo(seed=5), mask=mask),
        "both": dataclasses.replace(a_photo(seed=6), mask=mask, references=(other,)),
        "late": dataclasses.replace(a_photo(seed=7), mask=mask),
    }


PHOTOS: Mapping[str, PreparedPhoto] = _photos()


def run_staggered(
    model: Flux2Klein,
    together: int = 16,
    photos: Mapping[str, PreparedPhoto] = PHOTOS,
    without: tuple[str, ...] = (),
    jobs: Mapping[str, ImageJob] = JOBS,
) -> dict[str, Result]:
    """Latents and pixels of the jobs that were not cancelled, each joining the others midway.

    Args:
        model: The model; where its weights are distilled the guided jobs are left out.
        together: The most jobs in one forward pass.
        photos: The photo of each job.
        without: Jobs that are left out.
        jobs: The jobs.
    """
    left_out = {*without, *(set(JOBS) - set(DISTILLED) if model._parts.distilled else ())}
    running: dict[str, tuple[tuple[int, ...], EditDenoising]] = {}
    results, tick = {}, 0
    while running or tick <= max(ARRIVALS):
        for key in ARRIVALS.get(tick, []):
            if key not in left_out:
                demand = model.check(jobs[key], photos[key])
                running[key] = demand.layout, model.prepare(jobs[key], photos[key])
                assert running[key][1].steps == demand.steps
        if tick == CANCEL_AT and "cancelled" in running:
            assert running.pop("cancelled")[1].step > 0
        groups = defaultdict(list)
        for layout, one in running.values():
            groups[layout].append(one)
        for group in groups.values():
            for first in range(0, len(group), together):
                batch = group[first : first + together]
                for one, prediction in zip(batch, model.predict(batch), strict=True):
                    model.advance(one, prediction)
        for key, (_, one) in list(running.items()):
            if one.step == one.steps:
                results[key] = one.latents, model.decode(one)
                del running[key]
        tick += 1
    return results


@cache
def run_stock(parts: Any, job: ImageJob, photo: PreparedPhoto) -> Result:
    """Latents and pixels that the stock pipeline makes of a job, made once for all tests."""
    settings = job.settings
    height, width = photo.pixels.shape[:2]
    shown, *further = (Image.fromarray(one) for one in (photo.pixels, *photo.references))
    name = "Flux2KleinPipeline" if photo.mask is None else "Flux2KleinInpaintPipeline"
    pipeline = stock_pipeline(REMEMBERING if parts.remembers else name, parts)
    pipeline.set_progress_bar_config(disable=True)
    call: dict[str, Any] = {"image": [shown, *further], "height": height, "width": width}
    if not parts.remembers:
        call["guidance_scale"] = settings.guidance_scale
    if photo.mask is not None:
        call |= {
            "image": shown,
            "image_reference": further[0] if further else None,
            "mask_image": Image.fromarray(photo.mask),
            "strength": settings.strength,
        }
    if settings.negative_prompt:
        # The stock pipelines take the text only encoded.
        call["negative_prompt_embeds"], _ = pipeline.encode_prompt(settings.negative_prompt)
    seen: list[torch.Tensor] = []

    def see(pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append(tensors["latents"])
        return tensors

    [picture] = pipeline(
        prompt=settings.prompt,
        num_inference_steps=settings.steps,
        generator=torch.Generator().manual_seed(settings.seed),
        callback_on_step_end=see,
        **call,
    ).images
    return seen[-1], np.asarray(picture)


def difference(ours: Mapping[str, Result], parts: Any) -> tuple[float, int]:
    """The largest relative difference of latents, and that of pixel values, over all jobs."""
    latents, pixels = [], []
    for key, (our_latents, our_pixels) in ours.items():
        their_latents, their_pixels = run_stock(parts, JOBS[key], PHOTOS[key])
        assert our_latents.shape == their_latents.shape
        apart = (our_latents - their_latents).abs().max() / their_latents.abs().max()
        latents.append(apart.item())
        pixels.append(np.abs(our_pixels.astype(int) - their_pixels).max().item())
    return max(latents), max(pixels)
