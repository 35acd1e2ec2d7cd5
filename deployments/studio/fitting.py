"""Fits photos to the size a model works at. Knows no files and no models."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from deployments.jobs import SIDE_STEP, Photo, PreparedPhoto

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
