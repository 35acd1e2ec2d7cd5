"""Finds the product of a photo: the mask, the transparency, or what a finder marks."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.doubts import (
    LEAST_LEFT_OUT,
    MOST_SEEN_THROUGH,
    UNSURE_BELOW,
    Ground,
    certainty,
    ground_of,
    left_out,
    seen_through,
)
from deployments.studio.finders import Finder
from deployments.studio.foreground import cut_out
from deployments.studio.marks import (
    SEEN,
    alpha_of_mask,
    alpha_of_transparency,
    is_opposite,
    may_be_inverted,
)
from deployments.studio.matting import refine

_LEAST_SHARE = 0.002
_LEAST_SHARE_NEARER = 0.0002
MOST_SHARE = 0.95
"""Share of a photo over which a product leaves nothing to change."""
_REACH_CELLS = 3
"""How far off a finder's outline may be, in cells of its grid."""

INVERTED = (
    "product_mask seems to be inverted: it leaves out what stands out in the photo, and keeps the"
    " rest; white marks the product that is kept"
)
ALL_OPAQUE = (
    "{:.0%} of the upload is opaque, and all of that is kept as it is; if it is not all product,"
    " upload a photo without transparency, or mark the product with product_mask"
)
UNSURE = (
    "it is not certain what the product is: check the images, and where they keep the wrong thing"
    " correct it with strokes in POST /api/cutout, or mark it with product_mask"
)
SMALL = (
    "the product is only {:.1%} of the photo, so little of it can be seen; a photo from nearer"
    " gives better images"
)
THIN_LEFT_OUT = (
    "a thin part in the photo, such as a chain, strap, cable or stem, was left out of the product;"
    " to keep it draw a stroke along it in POST /api/cutout, or mark all with product_mask"
)
PARTS_LEFT_OUT = (
    "something beside the product was left out; to keep it draw a stroke over it in"
    " POST /api/cutout, or mark all that belongs to the product with product_mask"
)
SEEN_THROUGH = (
    "much of the product looks like what is behind it: glass and openings keep the old background;"
    " mark glass in grey and openings in black with product_mask"
)


class ProductNotFound(Exception):
    """A photo shows nothing that could be its product."""


def find_product(photo: Photo, given: Mask | None, finder: Finder) -> Product:
    """Cut the product out of a photo.

    The caller's mask counts before the upload's transparency, and that before the finder.

    Args:
        photo: A clean picture.
        given: uint8 [height, width] at the photo's size, which `marks.check_given` accepts: 255
            marks the product, values between are its alpha; None when the caller sent none.
        finder: Asked when neither mask nor transparency says what the product is, and when the
            mask may be inverted.

    Returns:
        The product at the photo's size, with warnings about what there is to doubt.

    Raises:
        ProductNotFound: There is no mask, and the upload is transparent everywhere, or the finder
            marks almost nothing, or almost everything.
    """
    if given is not None:
        product = cut_out(photo, alpha_of_mask(photo.pixels, given))
        if may_be_inverted(given) and is_opposite(given, finder.coarse(photo.pixels)):
            return replace(product, warnings=(INVERTED,))
        return product
    if photo.alpha is not None and photo.alpha.max() < SEEN:
        raise ProductNotFound("the upload is transparent everywhere")
    alpha = alpha_of_transparency(photo)
    if alpha is not None:
        product = cut_out(photo, alpha)
        opaque = np.count_nonzero(alpha >= 250) / alpha.size
        if opaque > MOST_SHARE:
            return replace(product, warnings=(ALL_OPAQUE.format(opaque),))
        return product
    return _searched(photo, finder)


def _searched(photo: Photo, finder: Finder) -> Product:
    """What stands out in a photo, with what there is to doubt about it."""
    seen = finder.coarse(photo.pixels)
    coarse = _without_specks(seen)
    alpha = _fitted(photo.pixels, coarse, finder)
    ground = ground_of(photo.pixels, coarse)
    nearer = False
    if np.count_nonzero(alpha >= 128) < _LEAST_SHARE * alpha.size and ground is not None:
        nearer = True
        alpha, seen = _looked_at_nearer(photo.pixels, ground, finder)
    share = np.count_nonzero(alpha >= 128) / alpha.size
    if share < (_LEAST_SHARE_NEARER if nearer else _LEAST_SHARE):
        raise ProductNotFound("nothing in the photo stands out")
    if share > MOST_SHARE:
        raise ProductNotFound(f"what stands out is {share:.0%} of the photo, all but its edges")
    warnings, sure = [], certainty(seen)
    if nearer:
        warnings.append(SMALL.format(share))
    elif sure < UNSURE_BELOW:
        warnings.append(UNSURE)
    if ground is not None:
        warnings.extend(doubts_about(ground, alpha))
    return replace(cut_out(photo, alpha), found=True, warnings=tuple(warnings), certainty=sure)


def doubts_about(
    ground: Ground, alpha: Mask, removed: npt.NDArray[np.bool_] | None = None
) -> list[str]:
    """Say what a cut-out before a plain ground may have wrong.

    Args:
        ground: Of the photo.
        alpha: uint8 [height, width], of the cut-out, at the photo's size.
        removed: bool [height, width]: True where a caller says that it is not the product.

    Returns:
        Sentences for the caller.
    """
    rest = left_out(ground, alpha if removed is None else np.where(removed, np.uint8(255), alpha))
    told = {
        THIN_LEFT_OUT: rest.thin >= LEAST_LEFT_OUT,
        PARTS_LEFT_OUT: rest.separate >= LEAST_LEFT_OUT,
        SEEN_THROUGH: seen_through(ground, alpha) >= MOST_SEEN_THROUGH,
    }
    return [warning for warning, true in told.items() if true]


def _looked_at_nearer(pixels: Pixels, ground: Ground, finder: Finder) -> tuple[Mask, Mask]:
    """What differs from a plain ground, and is too small to be seen in the whole.

    Its alpha, and what the finder marks in the part that is looked at.
    """
    height, width = pixels.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    left, top, wide, high = left_out(ground, alpha).box
    if wide == 0:
        return alpha, alpha
    margin = 0.5 * max(wide * width, high * height)
    box = (
        slice(round(max(0, top * height - margin)), round((top + high) * height + margin)),
        slice(round(max(0, left * width - margin)), round((left + wide) * width + margin)),
    )
    seen = finder.coarse(pixels[box])
    coarse = _without_specks(seen)
    alpha[box] = _fitted(pixels[box], coarse, finder)
    return alpha, seen


def _fitted(pixels: Pixels, coarse: Mask, finder: Finder) -> Mask:
    """Alpha of what a finder marks: a matte as it is, else its outline at the picture's edges."""
    if finder.matte:
        return coarse
    reach = max(2, round(_REACH_CELLS * max(coarse.shape) / finder.grid))
    return refine(pixels, coarse, reach)


def _without_specks(marked: Mask) -> Mask:
    """Drop what is not 0.5 % of the largest connected part."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats((marked >= 128).astype(np.uint8))
    areas = facts[:, cv2.CC_STAT_AREA]
    kept = areas >= 0.005 * areas[1:].max(initial=0)
    kept[0] = True
    return np.where(kept[parts], marked, np.uint8(0))
