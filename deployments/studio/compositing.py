"""Puts a product's own pixels over a generated background."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deployments.jobs import Mask, Pixels, Product
from deployments.studio.fitting import limited

_SHADOW_SIDE = 256
"""The longer side, in pixels, at which a shadow is drawn."""


def limit(product: Product, max_side: int) -> Product:
    """Make a product smaller where its longer side is over a limit.

    Args:
        product: At its photo's size.
        max_side: Pixels, at least 1.

    Returns:
        The product itself where it is small enough; else resampled, aspect kept up to rounding.
    """
    height, width = product.alpha.shape
    size = limited(width, height, max_side)
    if size == (width, height):
        return product
    layers = Image.fromarray(np.dstack([product.pixels, product.alpha]))
    # A filter without negative lobes: ringing would make the core of the product transparent. It
    # weighs colours by their alpha, so that what is clear has none.
    smaller = np.asarray(layers.resize(size, Image.Resampling.HAMMING))
    pixels, alpha = np.ascontiguousarray(smaller[..., :3]), smaller[..., 3].copy()
    return replace(product, pixels=pixels, alpha=alpha)


def compose(background: Pixels, product: Product, *, contact_shadow: float) -> Pixels:
    """Put a product over a background, at the product's size.

    Args:
        background: uint8 [height, width, 3] at the model's working size; made larger with a cubic
            filter, and smaller by the mean of what a pixel covers.
        product: At the size of the result.
        contact_shadow: How dark the soft shadow under the product is, 0 to 1; 0 draws none.

    Returns:
        uint8 [height, width, 3] at the product's size; where that is opaque, its pixels bit for
        bit.
    """
    height, width = product.alpha.shape
    larger = width >= background.shape[1] and height >= background.shape[0]
    filtered = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
    scene = np.asarray(cv2.resize(background, (width, height), interpolation=filtered), np.uint8)
    if contact_shadow > 0:
        shade = np.rint(_shadow(product.alpha) * (255 * contact_shadow)).astype(np.uint8)
        light = cv2.merge([cv2.bitwise_not(shade)] * 3)
        scene = np.asarray(cv2.multiply(scene, light, scale=1 / 255), np.uint8)
    blend(scene, product)
    return scene


def blend(scene: Pixels, product: Product) -> None:
    """Lay the product over the scene, so that alpha 0 and 255 give their pixels exactly."""
    opaque = np.asarray(cv2.inRange(product.alpha, 255, 255), np.uint8)
    cv2.copyTo(product.pixels, opaque, scene)
    between = np.asarray(cv2.inRange(product.alpha, 1, 254), np.uint8)
    band = np.flatnonzero(between)
    weight = product.alpha.reshape(-1)[band].astype(np.uint32)[:, None]
    flat = scene.reshape(-1, 3)
    mixed = product.pixels.reshape(-1, 3)[band] * weight + flat[band] * (255 - weight)
    flat[band] = ((mixed + 127) // 255).astype(np.uint8)


def _shadow(alpha: Mask) -> npt.NDArray[np.float32]:
    """Where a product shades the ground: float32 [height, width], 0 to 1.

    Columns whose lowest opaque pixel is near the product's bottom touch the ground there; what
    hangs higher shades less, and a Gaussian wider than high makes it soft. It has nothing sharp,
    so it is drawn small.
    """
    height, width = alpha.shape
    size = limited(width, height, _SHADOW_SIDE)
    small = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    shade = _small_shadow(small.reshape(size[1], size[0]))
    return np.asarray(cv2.resize(shade, (width, height)), np.float32).reshape(height, width)


def _small_shadow(alpha: Mask) -> npt.NDArray[np.float32]:
    shade = np.zeros(alpha.shape, np.float32)
    columns = np.flatnonzero((alpha >= 128).any(axis=0))
    if columns.size == 0:
        return shade
    opaque = alpha[:, columns] >= 128
    lowest = alpha.shape[0] - 1 - opaque[::-1].argmax(axis=0)
    tall = int(lowest.max() - opaque.any(axis=1).argmax() + 1)
    near = np.exp(-(lowest.max() - lowest) / (0.06 * tall))
    thick = max(1, round(0.02 * tall))
    for column, row, strength in zip(columns, lowest, near, strict=True):
        shade[max(0, row - thick) : row + thick + 1, column] = strength
    soft = cv2.GaussianBlur(
        shade, (0, 0), sigmaX=max(1.0, 0.03 * tall), sigmaY=max(1.0, 0.012 * tall)
    )
    return np.asarray(soft / max(float(soft.max()), 1e-6), np.float32)
