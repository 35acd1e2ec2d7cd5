"""Measures how true a result is to its product."""

from __future__ import annotations

import cv2
import numpy as np

from deployments.jobs import Fidelity, Mask, Pixels, Product
from deployments.studio.foreground import continued

OPAQUE = 250
"""From this alpha on a pixel is the product's."""
_SIDE = 192
"""The longer side, in pixels, at which the scene is compared with the product."""
_REACH = 0.2
"""How far from the product it can have grown, as a share of the longer side."""
_ALIKE = 40.0
"""Distance of two colours, in levels of RGB, up to which one may continue the other."""
_CLEARLY = 20.0
"""How many levels nearer to the product's colour than to the scene's a pixel must be."""


def measure(result: Pixels, product: Product) -> Fidelity:
    """Compare a result with the product it shall show, in a few milliseconds.

    Args:
        result: uint8 [height, width, 3], as `compose` gives it, or as read back from its file.
        product: What was marked or found, at the result's size.

    Returns:
        `pixels`: the share of the product's pixels, those with an alpha of 250 or more, that the
        result has within 1/255 in each channel. Where alpha is less than 255 the scene shines
        through by that much, and that is allowed.

        `shape`: the product's area as a share of its area together with what the scene adds to it.
        Added is what begins at the outline, lies within a fifth of the picture's side, and has a
        colour that continues the nearest part of the product and not the scene further out. The
        share is taken of a picture of 192 pixels.

        Both are 1 where there is nothing to compare.
    """
    return Fidelity(_pixels(result, product), _shape(result, product.alpha))


def _pixels(result: Pixels, product: Product) -> float:
    red, green, blue = cv2.split(cv2.absdiff(result, product.pixels))
    # Saturates at 0.
    amiss = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.bitwise_not(product.alpha))
    marked = cv2.inRange(product.alpha, OPAQUE, 255)
    far = cv2.countNonZero(cv2.bitwise_and(cv2.inRange(amiss, 2, 255), marked))
    return 1 - far / max(cv2.countNonZero(marked), 1)


def _shape(result: Pixels, alpha: Mask) -> float:
    """1 where the scene leaves the product as it is, less where it grew onto it."""
    height, width = alpha.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(result, size, interpolation=cv2.INTER_AREA), np.uint8)
    shown = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = (shown >= OPAQUE).astype(np.uint8) * np.uint8(255)
    clear = shown < 256 - OPAQUE
    away = cv2.distanceTransform(cv2.bitwise_not(inside), cv2.DIST_L2, 3)
    beyond = (clear & (away > _REACH * max(size))).astype(np.uint8) * np.uint8(255)
    if not inside.any() or not beyond.any():
        return 1.0
    colours = small.astype(np.float32)
    from_product = np.linalg.norm(colours - continued(small, inside, size), axis=2)
    from_scene = np.linalg.norm(colours - continued(small, beyond, size), axis=2)
    added = clear & (from_product < _ALIKE) & (from_scene > from_product + _CLEARLY)
    added &= beyond == 0
    _, parts = cv2.connectedComponents(added.astype(np.uint8))
    outline = cv2.dilate((~clear).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touching = np.unique(parts[added & outline])
    grown = int(np.count_nonzero(np.isin(parts, touching) & added))
    kept = int(np.count_nonzero(shown >= 128))
    return kept / (kept + grown)
