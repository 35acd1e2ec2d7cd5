"""Finds reasons to doubt a cut-out that a search made, for the warnings of an answer.

What can be known without another network: how sure the search was, and, before a ground that a
smooth surface describes, what differs from that ground and was left out, and what looks like it
and was kept. Before other grounds only the first is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Pixels
from deployments.studio.fitting import limited
from deployments.studio.foreground import Floats, plain_surface

_SIDE = 800
"""The longer side, in pixels, at which a photo is looked through."""
_DIFFERENT = 24
"""Levels in a channel from which a pixel is something else than the ground."""
ALIKE_BELOW = 12
"""Levels in a channel below which a pixel is certainly the ground."""
_ALIKE = 32
"""Levels up to which a pixel inside the product may be the ground behind glass."""
_SHARP = 20
"""Levels between neighbours, from which something has an edge: cast shadows have none."""
_NEAR = 5
"""Pixels round a cut-out that belong to its own edge."""
_THIN = 8
"""Up to this width, in pixels, something is a thin part."""
LEAST_LEFT_OUT = 2e-4
"""Share of the picture from which something that was left out counts."""
MOST_SEEN_THROUGH = 0.3
"""Share of the product from which its likeness to the ground counts."""
_SURE = 200
_MAYBE = 50
UNSURE_BELOW = 0.89
"""Below this `certainty` a search is called unsure."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A photo made smaller, with the plain ground that its product stands before.

    Attributes:
        pixels: uint8 [height, width, 3].
        different: uint8 [height, width]: how far each pixel is from the ground, in levels of the
            channel where it is furthest.
        surface: float32 [rows, columns, 3] of at most 64 x 64: the ground's colours.
    """

    pixels: Pixels
    different: Mask
    surface: Floats

    def differs(
        self,
        part: Pixels,
        at: tuple[int, int],
        shape: tuple[int, int],
        levels: int = _DIFFERENT,
    ) -> npt.NDArray[np.bool_]:
        """Say where a part of the photo is something else than the ground.

        Args:
            part: uint8 [height, width, 3]: pixels of the photo in its own size.
            at: The row and the column of its first pixel.
            shape: Height and width of the photo.
            levels: From which distance in a channel a pixel is something else.

        Returns:
            bool [height, width].
        """
        down, over = self.surface.shape[0] / shape[0], self.surface.shape[1] / shape[1]
        # Pixels are squares whose middles are at a half.
        place = np.array(
            [[over, 0, (at[1] + 0.5) * over - 0.5], [0, down, (at[0] + 0.5) * down - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (part.shape[1], part.shape[0])
        border = cv2.BORDER_REPLICATE
        ground = cv2.warpAffine(self.surface, place, size, flags=flags, borderMode=border)
        return _distance(part, np.asarray(ground, np.float32)) >= levels


def certainty(coarse: Mask) -> float:
    """How sure a search is: the share of what may be the product that it is sure of, 0 to 1.

    Args:
        coarse: uint8 [height, width]: 255 where the search is sure of the product, 0 where it is
            sure of the rest.

    Returns:
        The area of 200 and more, divided by that of 50 and more; 0 where there is none.
    """
    return float((coarse >= _SURE).sum() / max(int((coarse >= _MAYBE).sum()), 1))


def ground_of(pixels: Pixels, product: Mask) -> Ground | None:
    """Describe the ground of a photo, where it is plain.

    Args:
        pixels: uint8 [height, width, 3], sRGB.
        product: uint8 [height, width]: 0 where the ground may be seen.

    Returns:
        The ground; None where a smooth surface does not describe it.
    """
    height, width = product.shape
    size = limited(width, height, _SIDE)
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    shown = np.asarray(cv2.resize(product, size, interpolation=cv2.INTER_AREA), np.uint8)
    seen = np.asarray(cv2.inRange(_grown(shown), 0, 0), np.uint8)
    # Once with whatever is left out, and again without it.
    for patience in (4.0, 1.0):
        surface = plain_surface(small, seen, patience)
        if surface is None:
            return None
        ground = Ground(small, _distance(small, surface), surface)
        seen[ground.different > _DIFFERENT] = 0
    return ground


def _distance(pixels: Pixels, surface: Floats) -> Mask:
    height, width = pixels.shape[:2]
    whole = np.asarray(cv2.resize(surface, (width, height)), np.float32).clip(0, 255)
    red, green, blue = cv2.split(cv2.absdiff(pixels, np.rint(whole).astype(np.uint8)))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _is_sharp(pixels: Pixels) -> npt.NDArray[np.bool_]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    contrast = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(contrast) >= _SHARP


def _grown(mask: Mask) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR + 1, 2 * _NEAR + 1))
    return np.asarray(cv2.dilate(mask, disc), np.uint8)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Things with edges that are not the ground, and not in a cut-out.

    Attributes:
        thin: Their share of the picture, of those that are thin.
        separate: That of the others.
        box: Left, top, width and height of all of them, in shares of the picture.
    """

    thin: float
    separate: float
    box: tuple[float, float, float, float]


def thin_parts(ground: Ground) -> npt.NDArray[np.bool_]:
    """Find thin things with sharp edges that are not the ground.

    Args:
        ground: Of the photo.

    Returns:
        bool [height, width] at the ground's size.
    """
    other = np.asarray(cv2.inRange(ground.different, _DIFFERENT, 255), np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_THIN + 1, _THIN + 1))
    thick = cv2.dilate(cv2.morphologyEx(other, cv2.MORPH_OPEN, disc), np.ones((3, 3), np.uint8))
    sharp = _is_sharp(ground.pixels).astype(np.uint8)
    edges = cv2.dilate(sharp, np.ones((_THIN // 2 + 1, _THIN // 2 + 1), np.uint8))
    return np.asarray((other > 0) & (thick == 0) & (edges > 0), np.bool_)


def left_out(ground: Ground, alpha: Mask) -> LeftOut:
    """Look for what was left out of a cut-out.

    Args:
        ground: Of the photo.
        alpha: uint8 [height, width], of the cut-out, at the photo's size.

    Returns:
        What has a size and sharp edges, and does not touch the picture's border, as the lines of a
        room do.
    """
    height, width = ground.different.shape
    kept = _grown(np.asarray(cv2.resize(alpha, (width, height)), np.uint8))
    other = np.asarray(cv2.inRange(ground.different, _DIFFERENT, 255), np.uint8)
    other[kept > 0] = 0
    count, parts, facts, _ = cv2.connectedComponentsWithStats(other)
    sharp = _is_sharp(ground.pixels)
    depth = np.asarray(cv2.distanceTransform(other, cv2.DIST_L2, 3), np.float32)
    edges = np.bincount(parts[sharp], minlength=count)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, np.asarray(parts, np.intp).ravel(), depth.ravel())
    left, top, wide, high, area = (facts[:, column] for column in range(5))
    inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    outline = 2 * area / np.maximum(deepest, 1)
    counted = inside & (area >= 12) & (edges >= 0.3 * np.minimum(outline, area))
    counted[0] = False
    thin = counted & (2 * deepest <= _THIN)
    every = np.isin(parts, np.flatnonzero(counted)).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(every)
    return LeftOut(
        float(area[thin].sum() / other.size),
        float(area[counted & ~thin].sum() / other.size),
        (x / width, y / height, w / width, h / height),
    )


def seen_through(ground: Ground, alpha: Mask) -> float:
    """How much of a cut-out looks like the ground, as glass and openings do.

    Args:
        ground: Of the photo.
        alpha: uint8 [height, width], of the cut-out, at the photo's size.

    Returns:
        Share of the inside of the cut-out whose colour is near the ground's there, 0 to 1.
    """
    height, width = ground.different.shape
    small = np.asarray(cv2.resize(alpha, (width, height)), np.uint8)
    inside = cv2.erode((small >= 250).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    alike = inside & (ground.different < _ALIKE)
    return float(np.count_nonzero(alike) / max(int(np.count_nonzero(inside)), 1))
