"""Pixels to tensors and back, as the stock pipelines do it."""

from __future__ import annotations

import numpy as np
import torch

from deployments.errors import InternalError
from deployments.jobs import Pixels


class NotFinite(InternalError):
    """The model computed NaN or infinity for a job."""


def picture_tensor(pixels: Pixels) -> torch.Tensor:
    """The pixels as float32 [1, 3, height, width], 0 to 1, with the strides of channels last."""
    # Strides choose the kernels and so the rounding; those of the stock image processors are these.
    return torch.from_numpy(pixels[None].astype(np.float32) / 255.0).permute(0, 3, 1, 2)


def check_latents(latents: torch.Tensor) -> None:
    """Refuse latents that no decoder should see.

    Raises:
        NotFinite: They hold NaN or infinity.
    """
    # Some decoders turn infinity into valid values, so the latents are checked as well.
    if not latents.isfinite().all():
        raise NotFinite("the model computed no image for this job: its latents are not finite")


def to_pixels(decoded: torch.Tensor) -> Pixels:
    """Turn a decoder's picture, [1, 3, height, width] of about -1 to 1, into pixels.

    Raises:
        NotFinite: It holds NaN or infinity.
    """
    if not decoded.isfinite().all():
        raise NotFinite("the model computed no image for this job: its decoder overflowed")
    picture = (decoded[0] * 0.5 + 0.5).clamp(0, 1).cpu().permute(1, 2, 0).float().numpy()
    return np.asarray((picture * 255).round(), dtype=np.uint8)
