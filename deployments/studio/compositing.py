"""Puts a product's own pixels over a generated background."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from deployments.composition import Shadow
from deployments.jobs import Pixels, Product
from deployments.studio.fitting import limited
from deployments.studio.light import harmonized
from deployments.studio.shadows import shade


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


def compose(
    background: Pixels,
    product: Product,
    shadow: Shadow = "none",
    strength: float = 0.0,
    *,
    harmonize: float = 0.0,
) -> Pixels:
    """Put a product over a background, at the product's size.

    Args:
        background: uint8 [height, width, 3] at the model's working size; made larger with a cubic
            filter, and smaller by the mean of what a pixel covers.
        product: At the size of the result, where it lies in it.
        shadow: What the product throws on the ground, as of `shadows.shade`.
        strength: How dark it is, 0 to 1; 0 draws none.
        harmonize: How far the product takes the background's light, as of `light.harmonized`.

    Returns:
        uint8 [height, width, 3] at the product's size; where that is opaque, its pixels bit for
        bit, unless it is harmonized.
    """
    height, width = product.alpha.shape
    larger = width >= background.shape[1] and height >= background.shape[0]
    filtered = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
    scene = np.asarray(cv2.resize(background, (width, height), interpolation=filtered), np.uint8)
    lit = harmonized(product, background, harmonize)
    shaded = shade(scene, product, shadow, strength)
    blend(shaded, lit)
    return shaded


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
