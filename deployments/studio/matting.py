"""Turns a rough mask into alpha that follows the real edge."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Pixels
from deployments.studio.foreground import bilinear

Floats = npt.NDArray[np.float32]

_GUIDE_SIDE = 640
_SOFT_RADIUS = 4
_FAINT = 64
"""Below this a rough mask is sure that it is not the product."""
_RIDGE = 2e-4
"""Variance that counts as little contrast, of 3.6 in 255: as much as JPEG makes of nothing."""


def refine(pixels: Pixels, coarse: Mask, reach: int) -> Mask:
    """Fit a rough mask to the picture's edges, with two guided filters.

    The first snaps the outline to edges within reach; the second makes it soft where the picture
    is, at full resolution. He et al., "Guided Image Filtering", 2013; He and Sun, "Fast Guided
    Filter", 2015.

    Args:
        pixels: uint8 [height, width, 3], sRGB.
        coarse: uint8 [height, width]: 128 and over is the product, roughly.
        reach: How many pixels off the outline may be, at least 1.

    Returns:
        Alpha, uint8 [height, width]: 255 inside, 0 outside; between only within 4 pixels of the
        outline, more in pictures over 640. Where both sides look alike the outline is smooth.
    """
    scale = min(1.0, _GUIDE_SIDE / max(coarse.shape))
    radius = max(1, round(reach * scale))
    left, top, width, height = cv2.boundingRect(np.asarray(cv2.inRange(coarse, _FAINT, 255)))
    # Each filter looks twice as far as its radius, and the outline moves by no more than reach.
    margin = reach + round((2 * max(2, radius) + 4 * _SOFT_RADIUS) / scale)
    box = (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
    alpha = np.zeros(coarse.shape, np.uint8)
    if width > 0:
        alpha[box] = _refined(pixels[box], coarse[box], scale, radius)
    return alpha


def _refined(pixels: Pixels, coarse: Mask, scale: float, radius: int) -> Mask:
    """`refine` of a part of a picture; the radius is that of its guide, made smaller by scale."""
    height, width = coarse.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    guide = [_unit(plane) for plane in cv2.split(small.reshape(size[1], size[0], 3))]
    rough = _unit(cv2.resize(coarse, size, interpolation=cv2.INTER_AREA))
    wide = _guided(guide, rough, max(2, radius))
    snapped = cv2.medianBlur((_dot(wide, guide) + wide[3] > 0.5).astype(np.uint8), 3)
    planes = _guided(guide, np.asarray(snapped, np.float32), _SOFT_RADIUS)
    inwards = np.asarray(cv2.distanceTransform(snapped, cv2.DIST_L2, 5), np.float32)
    outwards = np.asarray(cv2.distanceTransform(1 - snapped, cv2.DIST_L2, 5), np.float32)
    depth = np.asarray(cv2.GaussianBlur(inwards - outwards, (0, 0), 1), np.float32)
    soft = (np.abs(depth) < _SOFT_RADIUS).astype(np.uint8)
    alpha = (coarse >= 128).astype(np.uint8) * np.uint8(255)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near = cv2.morphologyEx((rough > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, disc)
    settled = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    placed = cv2.resize(snapped * np.uint8(255), (width, height), interpolation=cv2.INTER_LINEAR)
    alpha[settled] = (placed[settled] >= 128).astype(np.uint8) * np.uint8(255)
    band = np.nonzero(cv2.resize(soft, (width, height), interpolation=cv2.INTER_NEAREST))
    model = bilinear(np.dstack([*planes, depth]), band, (height, width))
    values = (model[:, :3] * pixels[band]).sum(axis=1) / 255 + model[:, 3]
    # The filter's mean leaves a trace of everything nearby: cut both ends off.
    values = ((values - 0.1) / 0.8).clip(0, 1)
    # Where both sides look alike, what colours say is noise: take a smooth outline instead.
    trust = ((model[:, 4] - 0.3) / 0.4).clip(0, 1)
    outline = (0.5 + model[:, 5]).clip(0, 1)
    values = outline + trust * (values - outline)
    alpha[band] = np.rint(values * 255).astype(np.uint8)
    return alpha


def _unit(values: npt.NDArray[np.generic]) -> Floats:
    """0 to 255 as 0 to 1."""
    return np.asarray(values, np.float32) / np.float32(255)


def _guided(guide: Sequence[Floats], target: Floats, radius: int) -> list[Floats]:
    """A colour guided filter's model of a target of 0 to 1, each plane of it [height, width].

    The filtered target is the sum of the first three, the slopes, times the guide's planes, plus
    the fourth. The fifth is the share of the target's variance that the model explains, 0 to 1.
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT_101), np.float32)

    # Plane by plane: sums over the last axis of a picture cost more than all filters together.
    red, green, blue = guide
    red_mean, green_mean, blue_mean = mean(red), mean(green), mean(blue)
    target_mean = mean(target)
    x = mean(red * target) - red_mean * target_mean
    y = mean(green * target) - green_mean * target_mean
    z = mean(blue * target) - blue_mean * target_mean
    rr = mean(red * red) - red_mean * red_mean + np.float32(_RIDGE)
    gg = mean(green * green) - green_mean * green_mean + np.float32(_RIDGE)
    bb = mean(blue * blue) - blue_mean * blue_mean + np.float32(_RIDGE)
    rg = mean(red * green) - red_mean * green_mean
    rb = mean(red * blue) - red_mean * blue_mean
    gb = mean(green * blue) - green_mean * blue_mean
    # Cofactors of the symmetric 3 x 3 covariance.
    c00, c01, c02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c11, c12, c22 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * c00 + rg * c01 + rb * c02)
    slopes = [
        (c00 * x + c01 * y + c02 * z) * scale,
        (c01 * x + c11 * y + c12 * z) * scale,
        (c02 * x + c12 * y + c22 * z) * scale,
    ]
    offset = target_mean - _dot(slopes, (red_mean, green_mean, blue_mean))
    variance = mean(target * target) - target_mean * target_mean
    explained = _dot(slopes, (x, y, z)) / np.maximum(variance, np.float32(1e-3))
    return [mean(plane) for plane in (*slopes, offset, explained)]


def _dot(left: Sequence[Floats], right: Sequence[Floats]) -> Floats:
    return np.asarray(left[0] * right[0] + left[1] * right[1] + left[2] * right[2], np.float32)
