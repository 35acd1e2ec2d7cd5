"""Puts a product's own pixels over a generated background. Knows no models and no files."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deployments.jobs import Pixels, Product


def limit(product: Product, max_side: int) -> Product:
    """Make a product smaller where its photo's longer side is over a limit.

    Args:
        product: At its photo's size.
        max_side: Pixels, at least 1.

    Returns:
        The product itself where it is small enough; else resampled, aspect kept up to rounding.
    """
    height, width = product.alpha.shape
    scale = max_side / max(height, width)
    if scale >= 1:
        return product
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = Image.fromarray(product.pixels).resize(size, Image.Resampling.LANCZOS)
    # A filter without negative lobes: ringing would make the core of the product transparent.
    alpha = Image.fromarray(product.alpha).resize(size, Image.Resampling.HAMMING)
    return replace(product, pixels=np.asarray(pixels), alpha=np.asarray(alpha))


def compose(
    background: Pixels, product: Product, *, max_output_side: int, contact_shadow: float
) -> Pixels:
    """Put a product over a background, at the photo's resolution.

    Args:
        background: uint8 [height, width, 3] at the model's working size; made larger with a
            Lanczos filter.
        product: At its photo's size.
        max_output_side: The longer side of the result in pixels, at most.
        contact_shadow: How dark the soft shadow under the product is, 0 to 1; 0 draws none.

    Returns:
        uint8 [height, width, 3] at the size of `limit(product, max_output_side)`; where that is
        opaque, its pixels bit for bit.
    """
    product = limit(product, max_output_side)
    height, width = product.alpha.shape
    scene = np.asarray(
        Image.fromarray(background).resize((width, height), Image.Resampling.LANCZOS)
    )
    if contact_shadow > 0:
        light = 1 - contact_shadow * _shadow(product.alpha)
        scene = np.rint(scene * light[..., None]).astype(np.uint8)
    return _blend(scene, product)


def _blend(scene: Pixels, product: Product) -> Pixels:
    """The product over the scene; rounded so that alpha 0 and 255 give their pixels exactly."""
    result = scene.copy()
    opaque = product.alpha == 255
    result[opaque] = product.pixels[opaque]
    band = (product.alpha > 0) & ~opaque
    weight = product.alpha[band].astype(np.uint32)[:, None]
    mixed = product.pixels[band] * weight + scene[band] * (255 - weight)
    result[band] = ((mixed + 127) // 255).astype(np.uint8)
    return result


def _shadow(alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Where a product shades the ground: float32 [height, width], 0 to 1.

    Columns whose lowest opaque pixel is near the product's bottom touch the ground there; what
    hangs higher shades less, and a Gaussian wider than high makes it soft.
    """
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
