"""Fits photos to the size a model works at."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from deployments.jobs import SIDE_STEP, Mask, Photo, PreparedPhoto

_SHORTEST_SIDE = 64
"""Below this the innermost level of a UNet has next to nothing left to look at."""


def working_size(width: int, height: int, size: int) -> tuple[int, int]:
    """The size at which a model works on a picture.

    The aspect ratio is kept up to rounding, and the area is about `size` times `size`; a long
    picture has more where its shorter side would come out below 64.

    Args:
        width: Pixels, at least 1.
        height: Pixels, at least 1.
        size: The model's nominal side in pixels.

    Returns:
        Width and height in pixels, both multiples of 16 and at least 64.
    """
    scale = max(size / math.sqrt(width * height), _SHORTEST_SIDE / min(width, height))
    return (
        SIDE_STEP * round(width * scale / SIDE_STEP),
        SIDE_STEP * round(height * scale / SIDE_STEP),
    )


def fit(photo: Photo, size: int) -> PreparedPhoto:
    """Resample a photo to its working size, with a Lanczos filter in both directions.

    Args:
        photo: Of any size from 1 x 1; it is made larger as well as smaller.
        size: The model's nominal side in pixels.

    Returns:
        The whole photo, uint8 [height, width, 3] at `working_size`.
    """
    image = Image.fromarray(photo.pixels)
    target = working_size(image.width, image.height, size)
    # Averaging whole blocks first, down to three times the target, costs no visible quality and
    # spares the filter most of a large photo.
    fitted = image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return PreparedPhoto(np.asarray(fitted))


def limited(width: int, height: int, max_side: int) -> tuple[int, int]:
    """A size with its longer side at most so many pixels, aspect kept up to rounding.

    Args:
        width: Pixels, at least 1.
        height: Pixels, at least 1.
        max_side: Pixels, at least 1.

    Returns:
        Width and height in pixels, at least 1; those given where they are small enough.
    """
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(photo: Photo, mask: Mask | None, max_side: int) -> tuple[Photo, Mask | None]:
    """Make a photo and its mask smaller where the longer side is over a limit.

    All channels go through one filter that has no negative lobes: so a pixel stays the same
    mixture of product and background in the colours as in the mask, and nothing rings.

    Args:
        photo: Of any size from 1 x 1.
        mask: uint8 [height, width] at the photo's size; None where there is none.
        max_side: Pixels, at least 1.

    Returns:
        Both at the size of `limited`; themselves where they are small enough.
    """
    height, width = photo.pixels.shape[:2]
    size = limited(width, height, max_side)
    if size == (width, height):
        return photo, mask

    def smaller(channels: Mask) -> Mask:
        image = Image.fromarray(channels)
        return np.asarray(image.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0))

    alpha = None if photo.alpha is None else smaller(photo.alpha)
    return Photo(smaller(photo.pixels), alpha), None if mask is None else smaller(mask)
