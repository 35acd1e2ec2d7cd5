"""What a model sees of a photo whose product is kept."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from deployments.jobs import SIDE_STEP, Mask, Photo, PreparedPhoto, Product
from deployments.studio.fitting import fit

_SEAM = SIDE_STEP // 2
"""Pixels inside the product's outline that the model paints: a cell of the usual autoencoder."""


def frame(photo: Photo, product: Product, size: int) -> PreparedPhoto:
    """Fit a photo to the size a model works at, and mark what it may paint.

    The model sees the photo as it is, with its old background: how much of that stays is for the
    strength to say.

    Args:
        photo: What the model starts from: the upload, or an earlier result with this product. It
            may be smaller or larger than the product's photo, not of another aspect.
        product: What is kept.
        size: The model's nominal side in pixels.

    Returns:
        The photo as `fit` gives it, with `repaint_mask` at the same size.
    """
    fitted = fit(photo, size).pixels
    height, width = fitted.shape[:2]
    return PreparedPhoto(fitted, repaint_mask(product, width, height))


def repaint_mask(product: Product, width: int, height: int) -> Mask:
    """Mark where a model paints around a product.

    The outline belongs to the model, 8 pixels deep: no trace of the old background is held, and
    the product's own pixels are put over it afterwards. Parts thinner than 16 pixels are the
    model's altogether.

    Args:
        product: At its photo's size.
        width: Working width in pixels.
        height: Working height in pixels.

    Returns:
        uint8 [height, width]: 255 where the model paints, 0 where the photo is held.
    """
    alpha = Image.fromarray(product.alpha).resize((width, height), Image.Resampling.BOX)
    opaque = np.where(np.asarray(alpha) == 255, 255, 0).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _SEAM + 1, 2 * _SEAM + 1))
    # OpenCV lets nothing wear off at the picture's border, where the product goes on outside.
    return np.asarray(cv2.bitwise_not(cv2.erode(opaque, disc)), np.uint8)
