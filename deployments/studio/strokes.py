"""Checks what a caller says about a product, and brings it to the size of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Hints, Mask, Photo, Pixels
from deployments.studio.marks import SEEN

Marks = npt.NDArray[np.bool_]
"""bool [height, width]."""

_POINT = 0.004
"""Radius of a point, as a share of the picture's longer side."""
_POINT_COLOUR = 24
"""Levels that the colours of a point differ by, at most."""


class HintRefused(Exception):
    """A hint cannot be followed; the message is a sentence that begins with the field's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Hints at the size of a picture.

    Attributes:
        keep: bool [height, width]: True belongs to the product. Points are in it.
        remove: bool [height, width]: True does not.
    """

    keep: Marks
    remove: Marks


def strokes_of(hints: Hints, file_size: tuple[int, int], photo: Photo) -> Strokes:
    """Check hints, and bring them to a photo's size.

    A stroke of one pixel is still there in a smaller picture.

    Args:
        hints: As they were sent.
        file_size: Width and height of the photo as it was sent; strokes have its aspect ratio.
        photo: The photo at the size of results.

    Returns:
        The strokes.

    Raises:
        HintRefused: Strokes of another aspect ratio, that mark nothing or everything, or that
            contradict each other or a point; a point outside the photo.
    """
    height, width = photo.pixels.shape[:2]
    sizes = {}
    for field, mask in (("keep", hints.keep), ("remove", hints.remove)):
        if mask is not None:
            sizes[field] = mask.shape
            _check(field, mask, file_size)
    keep, remove = (_at(mask, (width, height)) for mask in (hints.keep, hints.remove))
    if hints.keep is not None and hints.remove is not None:
        same = hints.keep.shape == hints.remove.shape
        both = (hints.keep >= 128) & (hints.remove >= 128) if same else keep & remove
        if both.any():
            raise HintRefused("keep: strokes to keep and strokes to remove contradict each other")
        # Strokes that meet may share a pixel of a smaller picture.
        remove &= ~keep
    for x, y in hints.points:
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise HintRefused(f"point: {x:g},{y:g} is outside the photo: 0 to 1 are its sides")
        column, row = min(int(x * width), width - 1), min(int(y * height), height - 1)
        if remove[row, column]:
            raise HintRefused(f"point: {x:g},{y:g} contradicts a stroke to remove")
        keep |= _around(photo.pixels, row, column) & ~remove
    if keep.any() and photo.alpha is not None and not (photo.alpha[keep] >= SEEN).any():
        field = "point" if hints.keep is None else "keep"
        raise HintRefused(f"{field}: it marks only what is transparent in the photo")
    return Strokes(keep, remove)


def _check(field: str, mask: Mask, file_size: tuple[int, int]) -> None:
    (high, wide), (width, height) = mask.shape, file_size
    if abs(wide - width * high / height) > 1 and abs(high - height * wide / width) > 1:
        raise HintRefused(
            f"{field}: the strokes are {wide} x {high} pixels, the photo {width} x {height}: they"
            " need its size or its aspect ratio"
        )
    if mask.max() < 128:
        raise HintRefused(f"{field}: it marks nothing: white strokes mark, on black")
    if mask.min() >= 128:
        raise HintRefused(f"{field}: it marks everything: white strokes mark, on black")


def _at(mask: Mask | None, size: tuple[int, int]) -> Marks:
    """Where a mask is 128 and over, in a picture of another size."""
    if mask is None:
        return np.zeros((size[1], size[0]), np.bool_)
    if (mask.shape[1], mask.shape[0]) == size:
        return mask >= 128
    return resized(mask >= 128, size)


def resized(marks: Marks, size: tuple[int, int]) -> Marks:
    """Bring marks to another size; a line of one pixel stays whole.

    Args:
        marks: bool [height, width].
        size: Width and height.

    Returns:
        bool [height, width] of that size.
    """
    scale = min(1.0, size[0] / marks.shape[1])
    levels = marks.astype(np.uint8) * np.uint8(255)
    if scale == 1:
        return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR)) >= 128
    share = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(share) >= max(1, int(127 * scale))


def _around(pixels: Pixels, row: int, column: int) -> Marks:
    """A point: a small disc, as far as it has the colour of its middle."""
    marks = np.zeros(pixels.shape[:2], np.uint8)
    radius = max(1, round(_POINT * max(marks.shape)))
    cv2.circle(marks, (column, row), radius, 1, -1)
    apart = np.abs(pixels[marks > 0].astype(np.int16) - pixels[row, column]).max(axis=1)
    result = marks > 0
    result[result] = apart <= _POINT_COLOUR
    return result
