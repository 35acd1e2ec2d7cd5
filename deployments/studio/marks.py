"""Turns what a caller marked, a mask or an upload's transparency, into the alpha of a product.

What is marked is kept: greys are the alpha as they are, and of a mask with two levels nothing is
lost.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Photo, Pixels

_END = 8
"""How far from 0 or 255 a level still counts as that: what JPEG makes of two levels."""
_MIDDLE = slice(96, 160)
_FEW = 16
"""Greys of a mask that are drawn on purpose are fewer than those that JPEG makes."""
_BLOCK = 8
"""How far from a border, in pixels, JPEG changes levels."""
_CLEAR = 8
"""Alpha up to this shows nothing."""
SEEN = 16
"""Alpha from this on shows something."""
_LEAST_CLEAR = 0.001
"""Share of the pixels that must be clear for transparency to mean something."""
_CONTRAST = 32
"""Distance of two colours, in levels, from which a pixel between them tells how much it shows."""
_WINDOW = 5
"""Pixels around a border pixel whose colours are taken for those of its two sides."""


class MaskRefused(Exception):
    """A caller's mask cannot mark a product; the message is a sentence that says why."""


def check_given(mask: Mask, photo: Photo) -> None:
    """Refuse a caller's mask that cannot mark a product of this photo.

    Args:
        mask: uint8 [height, width]: 255 marks the product that is kept.
        photo: The photo it was sent with.

    Raises:
        MaskRefused: Its size is not the photo's, it marks nothing, or it marks everything.
    """
    height, width = photo.pixels.shape[:2]
    if mask.shape != (height, width):
        raise MaskRefused(
            f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels, the photo {width} x {height}"
        )
    if mask.max() < SEEN:
        raise MaskRefused("the mask marks nothing: white marks the product that is kept")
    if mask.min() >= 256 - SEEN:
        raise MaskRefused("the mask marks everything: nothing is left to change")


def alpha_of_mask(pixels: Pixels, mask: Mask) -> Mask:
    """Make a caller's mask the alpha of the product.

    Args:
        pixels: uint8 [height, width, 3], sRGB.
        mask: uint8 [height, width], which `check_given` accepts.

    Returns:
        Alpha, uint8 [height, width]: the mask as it is where it has greys. A mask of two levels,
        also one that JPEG has blurred, comes with a border made soft by `soften`.
    """
    if _has_two_levels(mask):
        return soften(pixels, (mask >= 128).astype(np.uint8))
    return mask


def _has_two_levels(mask: Mask) -> bool:
    """Whether a mask has two levels, or had them before JPEG made it.

    JPEG leaves many levels, none near the middle, within a block of the border. Greys that mean
    something pass through the middle, as soft edges do, or are few or further inside, as glass is.
    """
    counts = np.bincount(mask.ravel(), minlength=256)
    between = counts[_END + 1 : 255 - _END]
    if not between.any():
        return True
    if counts[_MIDDLE].any() or np.count_nonzero(between) < _FEW:
        return False
    marked = (mask >= 128).astype(np.uint8)
    border = cv2.morphologyEx(marked, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = cv2.dilate(border, np.ones((2 * _BLOCK + 1, 2 * _BLOCK + 1), np.uint8))
    grey = np.asarray(cv2.inRange(mask, _END + 1, 254 - _END), np.uint8)
    return not bool((grey > near * np.uint8(255)).any())


def soften(pixels: Pixels, marked: Mask) -> Mask:
    """Make the border of a mask of two levels as soft as the picture is there, by a pixel.

    A border pixel whose colour lies between those of its two sides shows the product by as much as
    its colour says: outside less than a half, inside a half or more, and inside only where the
    marked part is at least 5 pixels wide and of one colour. Where the two sides look alike the
    border is left as it is.

    Args:
        pixels: uint8 [height, width, 3], sRGB.
        marked: uint8 [height, width]: 1 is the product, 0 is not.

    Returns:
        Alpha, uint8 [height, width]: 128 or more where it is marked, 127 or less where it is not.
    """
    square = np.ones((3, 3), np.uint8)
    outer = np.asarray(cv2.dilate(marked, square), np.uint8) - marked
    thick = np.asarray(cv2.morphologyEx(marked, cv2.MORPH_OPEN, np.ones((5, 5))), np.uint8)
    inner = (marked - np.asarray(cv2.erode(marked, square), np.uint8)) & thick
    border = np.nonzero(outer | inner)
    alpha = marked * np.uint8(255)
    product, spread, product_known = _means(pixels, marked - inner, border, _WINDOW)
    ground, _, ground_known = _means(pixels, 1 - marked - outer, border, _WINDOW)
    rim, _, _ = _means(pixels, marked, border, 3)
    # A dark outline, of a drawing or a shaded edge, is what mixes with the ground there.
    further = _squares(rim - ground) > _squares(product - ground)
    product[further] = rim[further]
    apart = product - ground
    distance = _squares(apart)
    seen = pixels[border] - ground
    share = ((seen * apart).sum(axis=1) / np.maximum(distance, 1)).clip(0, 1)
    levels = np.rint(share * 255).astype(np.uint8)
    inside = marked[border] > 0
    levels = np.where(inside, np.maximum(levels, 128), np.minimum(levels, 127)).astype(np.uint8)
    told = product_known & ground_known & (distance >= _CONTRAST**2)
    # What is marked is made softer only where the product is of one colour, and the pixel a mixture
    # of that and the ground's: else it may have a colour of its own.
    amiss = _squares(seen - share[:, None] * apart)
    told &= ~inside | (25 * np.maximum(spread, amiss) < distance)
    alpha[border] = np.where(told, levels, alpha[border])
    return np.asarray(alpha, np.uint8)


def _squares(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray((colours * colours).sum(axis=1), np.float32)


def _means(
    pixels: Pixels, known: Mask, at: tuple[npt.NDArray[np.intp], ...], side: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Of the known pixels round others: mean colour [n, 3], variance [n], if there are any [n]."""
    window = (side, side)
    colours = cv2.bitwise_and(pixels, pixels, mask=known)
    sums = np.asarray(cv2.boxFilter(colours, cv2.CV_32F, window, normalize=False), np.float32)[at]
    squares = np.asarray(cv2.sqrBoxFilter(colours, cv2.CV_32F, window, normalize=False))[at]
    counts = np.asarray(cv2.boxFilter(known, cv2.CV_32F, window, normalize=False), np.float32)[at]
    count = np.maximum(counts, np.float32(1))
    means = np.asarray(sums / count[:, None], np.float32)
    variance = np.asarray(squares.sum(axis=1) / count, np.float32) - _squares(means)
    return means, variance, counts > 0


def alpha_of_transparency(photo: Photo) -> Mask | None:
    """The alpha that an upload's own transparency gives its product.

    Args:
        photo: A clean picture.

    Returns:
        Its alpha as it is, where transparency means something: three corners are clear, or a
        thousandth of the picture is. None where it is opaque but for a few pixels, so that the
        product has to be searched for.
    """
    alpha = photo.alpha
    if alpha is None or alpha.max() < SEEN:
        return None
    corners = sum(int(alpha[row, column] <= _CLEAR) for row in (0, -1) for column in (0, -1))
    clear = np.count_nonzero(alpha <= _CLEAR) / alpha.size
    return alpha if corners >= 3 or clear >= _LEAST_CLEAR else None


def may_be_inverted(mask: Mask) -> bool:
    """Whether a mask marks two or more corners of the picture, as few products do.

    Args:
        mask: uint8 [height, width]: 255 marks the product.
    """
    corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(np.count_nonzero(corners >= 128) >= 2)


def is_opposite(mask: Mask, found: Mask) -> bool:
    """Whether a mask marks what a finder does not, and leaves out what it does.

    Args:
        mask: uint8 [height, width]: 255 marks the product, by the caller.
        found: uint8 [height, width]: 255 marks what a finder takes for the product.

    Returns:
        True where most of what either takes for the ground's opposite is the same: the
        intersection over union of `found` with the inverted mask is a half or more, and more than
        with the mask.
    """
    given, seen = mask >= 128, found >= 128

    def overlap(marked: npt.NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(marked & seen) / max(int((marked | seen).sum()), 1))

    inverted = overlap(~given)
    return inverted >= 0.5 and inverted > overlap(given)
