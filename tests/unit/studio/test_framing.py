"""What a model sees of a photo, and where it paints."""

from __future__ import annotations

import cv2
import numpy as np
from product_scenes import scene

from deployments.jobs import Mask, Photo, Product
from deployments.studio.fitting import fit
from deployments.studio.foreground import cut_out
from deployments.studio.framing import frame, repaint_mask


def product(alpha: Mask) -> Product:
    return Product(np.zeros((*alpha.shape, 3), np.uint8), alpha)


def test_the_model_sees_the_photo_as_it_is() -> None:
    pixels, alpha, _ = scene()
    prepared = frame(Photo(pixels), cut_out(Photo(pixels), alpha), 256)
    assert np.array_equal(prepared.pixels, fit(Photo(pixels), 256).pixels)
    assert prepared.mask is not None
    assert prepared.mask.shape == prepared.pixels.shape[:2]
    assert prepared.mask.dtype == np.uint8
    assert set(np.unique(prepared.mask)) == {0, 255}


def test_the_seam_is_the_models() -> None:
    """What is held lies 8 pixels inside the product: no trace of the old background."""
    pixels, alpha, _ = scene()
    mask = frame(Photo(pixels), cut_out(Photo(pixels), alpha), 256).mask
    assert mask is not None
    small = cv2.resize(alpha, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    depth = cv2.distanceTransform((small == 255).astype(np.uint8), cv2.DIST_L2, 5)
    assert depth[mask == 0].min() >= 7
    assert (mask[depth > 10] == 0).all()
    assert (mask == 0).sum() > 4000


def test_what_leaves_the_picture_is_held_to_its_border() -> None:
    alpha = np.zeros((128, 128), np.uint8)
    alpha[64:, 32:96] = 255
    mask = repaint_mask(product(alpha), 128, 128)
    assert (mask[-1, 48:80] == 0).all()
    assert (mask[66:70] == 255).all()


def test_thin_parts_are_the_models() -> None:
    alpha = np.zeros((128, 128), np.uint8)
    alpha[20:100, 60:70] = 255
    assert (repaint_mask(product(alpha), 128, 128) == 255).all()


def test_the_mask_fits_any_size_of_the_photo() -> None:
    """A result smaller than the photo is framed with the photo's product."""
    pixels, alpha, _ = scene()
    small = Photo(cv2.resize(pixels, (240, 200), interpolation=cv2.INTER_AREA))
    mask = frame(small, cut_out(Photo(pixels), alpha), 256).mask
    whole = frame(Photo(pixels), cut_out(Photo(pixels), alpha), 256).mask
    assert mask is not None
    assert np.array_equal(mask, whole)
