"""Pixels to tensors and back, as the stock pipelines do it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from deployments.errors import InternalError
from deployments.jobs import Mask, Pixels, PreparedPhoto


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


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture lies in the one that a model works on.

    Its border is repeated, as much on one side as on the other, until both sides are multiples of
    `step`. With `square` they become one, and the whole is resampled to a square of so many pixels
    (or more, by the step).

    Attributes:
        height: Of the picture, in pixels.
        width: Likewise.
        step: Pixels, at least 1.
        square: A side in pixels; None keeps the picture's shape.
    """

    height: int
    width: int
    step: int
    square: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of what the model works on."""
        if self.square is not None:
            return (self._fitting(self.square),) * 2
        return self._fitting(self.height), self._fitting(self.width)

    def put(self, photo: PreparedPhoto) -> PreparedPhoto:
        """Make a photo of this frame's size. One that has it is returned as it is."""
        around = self._around
        pixels, mask = photo.pixels, photo.mask
        if around != ((0, 0), (0, 0)):
            pixels = np.pad(pixels, (*around, (0, 0)), mode="edge")
            mask = None if mask is None else np.pad(mask, around, mode="edge")
        if pixels.shape[:2] != self.size:
            pixels = _resampled(pixels, self.size)
            mask = None if mask is None else _resampled(mask, self.size)
        return photo if pixels is photo.pixels else replace(photo, pixels=pixels, mask=mask)

    def take(self, pixels: Pixels) -> Pixels:
        """Cut what lies in the picture's place out of uint8 [*size, 3]."""
        (top, bottom), (left, right) = self._around
        whole = (top + self.height + bottom, left + self.width + right)
        if whole != self.size:
            pixels = _resampled(pixels, whole)
        cut = pixels[top : top + self.height, left : left + self.width]
        return np.ascontiguousarray(cut)

    @property
    def _around(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """What is added before and behind, of rows and of columns."""
        side = max(self.height, self.width)
        wanted = self.size if self.square is None else (side, side)
        missing = wanted[0] - self.height, wanted[1] - self.width
        return (
            (missing[0] // 2, missing[0] - missing[0] // 2),
            (missing[1] // 2, missing[1] - missing[1] // 2),
        )

    def _fitting(self, side: int) -> int:
        return -(-side // self.step) * self.step


def _resampled(channels: Mask, size: tuple[int, int]) -> Mask:
    """Resample uint8 [height, width] or [height, width, 3] by a Lanczos filter."""
    return np.asarray(Image.fromarray(channels).resize(size[::-1], Image.Resampling.LANCZOS))
