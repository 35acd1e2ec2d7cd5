"""Turns a rough mask into alpha that follows the real edge. Knows no models: NumPy and OpenCV."""

from __future__ import annotations

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
    guide = _unit(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    rough = _unit(cv2.resize(coarse, size, interpolation=cv2.INTER_AREA))
    slopes, offset, _ = _guided(guide, rough, max(2, radius))
    snapped = cv2.medianBlur(((slopes * guide).sum(axis=2) + offset > 0.5).astype(np.uint8), 3)
    slopes, offset, told = _guided(guide, np.asarray(snapped, np.float32), _SOFT_RADIUS)
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
    model = bilinear(np.dstack([slopes, offset, told, depth]), band, (height, width))
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


def _guided(guide: Floats, target: Floats, radius: int) -> tuple[Floats, Floats, Floats]:
    """A colour guided filter's model of a target of 0 to 1.

    The filtered target is the sum of slopes [height, width, 3] times guide, plus offset. The third
    is the share of the target's variance that the model explains, 0 to 1.
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT_101), np.float32)

    guide_mean, target_mean = mean(guide), mean(target)
    cross = mean(guide * target[..., None]) - guide_mean * target_mean[..., None]
    squares = mean(guide * guide) - guide_mean * guide_mean + np.float32(_RIDGE)
    red, green, blue = (np.ascontiguousarray(squares[..., c]) for c in range(3))
    rg = mean(guide[..., 0] * guide[..., 1]) - guide_mean[..., 0] * guide_mean[..., 1]
    rb = mean(guide[..., 0] * guide[..., 2]) - guide_mean[..., 0] * guide_mean[..., 2]
    gb = mean(guide[..., 1] * guide[..., 2]) - guide_mean[..., 1] * guide_mean[..., 2]
    # Cofactors of the symmetric 3 x 3 covariance.
    c00, c01, c02 = green * blue - gb * gb, rb * gb - rg * blue, rg * gb - rb * green
    c11, c12, c22 = red * blue - rb * rb, rg * rb - red * gb, red * green - rg * rg
    scale = 1 / (red * c00 + rg * c01 + rb * c02)
    x, y, z = cross[..., 0], cross[..., 1], cross[..., 2]
    slopes = np.dstack([
        (c00 * x + c01 * y + c02 * z) * scale,
        (c01 * x + c11 * y + c12 * z) * scale,
        (c02 * x + c12 * y + c22 * z) * scale,
    ])  # fmt: skip
    offset = target_mean - (slopes * guide_mean).sum(axis=2)
    variance = mean(target * target) - target_mean * target_mean
    explained = (slopes * cross).sum(axis=2) / np.maximum(variance, np.float32(1e-3))
    return mean(slopes), mean(offset), mean(explained)
