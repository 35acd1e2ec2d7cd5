"""Pixels to tensors and back, as the stock pipelines do it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from deployments.errors import InternalError
from deployments.jobs import Pixels, PreparedPhoto


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


def padded(photo: PreparedPhoto, step: int) -> PreparedPhoto:
    """Repeat a photo's border, and its mask's, until both sides are multiples of `step` pixels.

    What is added lies on both sides, half and half. A photo that fits is returned as it is.
    """
    around = _around(photo.pixels.shape[0], step), _around(photo.pixels.shape[1], step)
    if around == ((0, 0), (0, 0)):
        return photo
    mask = None if photo.mask is None else np.pad(photo.mask, around, mode="edge")
    return replace(photo, pixels=np.pad(photo.pixels, (*around, (0, 0)), mode="edge"), mask=mask)


def unpadded(pixels: Pixels, size: tuple[int, int], step: int) -> Pixels:
    """Cut uint8 [height, width, 3] of a `padded` photo's shape back to its height and width."""
    (top, _), (left, _) = _around(size[0], step), _around(size[1], step)
    return np.ascontiguousarray(pixels[top : top + size[0], left : left + size[1]])


def _around(side: int, step: int) -> tuple[int, int]:
    missing = -side % step
    return missing // 2, missing - missing // 2
