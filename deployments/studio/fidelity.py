"""Measures how true a result is to its product. Knows no models and no HTTP."""

from __future__ import annotations

import numpy as np

from deployments.jobs import Fidelity, Pixels, Product
from deployments.studio.compositing import limit
from deployments.studio.segmentation import ProductFinder


def measure(result: Pixels, product: Product, finder: ProductFinder) -> Fidelity:
    """Compare a result with the product it shall show.

    Args:
        result: uint8 [height, width, 3], as `compose` gives it, or as read back from its file.
        product: At its photo's size; resized as `compose` does where the result is smaller.
        finder: Looks for the product in the result.

    Returns:
        The share of the product's opaque pixels that the result has within 1/255 in each channel,
        and the intersection over union of what the finder marks and the product's mask. Both are 1
        where there is nothing to compare. A product the finder would not have found, because a
        caller marked it, has a low shape in a good result too.
    """
    height, width = result.shape[:2]
    product = limit(product, max(height, width))
    core = product.alpha == 255
    difference = np.abs(result[core].astype(np.int16) - product.pixels[core])
    far = int((difference.max(axis=1, initial=0) > 1).sum())
    found = finder.coarse(result) >= 128
    kept = product.alpha >= 128
    apart, union = int((found ^ kept).sum()), int((found | kept).sum())
    return Fidelity(pixels=1 - far / max(len(difference), 1), shape=1 - apart / max(union, 1))
