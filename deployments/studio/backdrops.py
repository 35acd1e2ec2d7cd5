"""What is behind a product where no model paints."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deployments.composition import Placement
from deployments.jobs import Mask, Pixels, Product
from deployments.studio.foreground import continued
from deployments.studio.resampling import covered

_SIDE = 384
"""The longer side, in pixels, at which a background is blurred."""
_BLUR = 0.025
_FAR_BLUR = 0.15
"""Standard deviation of the blur in the photo, and far outside of it, as shares of its longer side:
what goes on mirrored shall not be seen twice."""
_FAR = 0.25
"""How far outside that is, as the same share."""
_OUTLINE = 0.012
"""How far around the product its light and shadow reach, as a share of the same."""


def backdrop(
    background: str,
    picture: Pixels | None,
    photo: Pixels,
    product: Product,
    placement: Placement | None,
) -> Pixels | None:
    """Make what is behind a product where that is a picture and no model paints it.

    Args:
        background: As of a `Look`.
        picture: uint8 [height, width, 3] of any size: what `image` shows; else None.
        photo: uint8 [height, width, 3] of any size: what the product was cut out of, or a result
            with it in the same frame.
        product: In its photo's frame.
        placement: Where that frame lies on the canvas; None where the canvas is that frame.

    Returns:
        uint8 [height, width, 3] at the canvas's size; None for the other backgrounds.

    Raises:
        ValueError: `image` has no picture.
    """
    high, wide = product.alpha.shape
    placement = placement or Placement(wide, high, 1.0, 0.0, 0.0)
    if background == "blur":
        return blurred(photo, product.alpha, placement)
    if background == "image":
        if picture is None:
            raise ValueError("background image needs a picture")
        return covered(picture, placement.width, placement.height)
    return None


def blurred(photo: Pixels, alpha: Mask, placement: Placement) -> Pixels:
    """Blur a photo's background over a canvas, as if the product had never stood there.

    Args:
        photo: uint8 [height, width, 3] of any size, in the product's frame.
        alpha: uint8 [height, width] of the product; its size is what the placement counts in.
        placement: Where the frame lies. Outside of the photo its background goes on mirrored,
            and more blurred the further out.

    Returns:
        uint8 [height, width, 3] at the canvas's size.
    """
    high, wide = alpha.shape
    share = min(1.0, _SIDE / max(wide, high))
    size = (max(1, round(wide * share)), max(1, round(high * share)))
    ground = without_product(photo, alpha, size)
    # From the canvas's pixels to the small picture's, whose middles lie half a pixel in.
    across, down = size[0] / wide / placement.scale, size[1] / high / placement.scale
    matrix = np.array([
        [across, 0, (0.5 - placement.left) * across - 0.5],
        [0, down, (0.5 - placement.top) * down - 0.5],
    ])  # fmt: skip

    def spread(blur: float) -> npt.NDArray[np.float32]:
        deviation = blur * max(size)
        soft = cv2.GaussianBlur(ground, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
        over = cv2.warpAffine(
            soft,
            matrix,
            (placement.width, placement.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        return np.asarray(over, np.float32)

    result = spread(_BLUR)
    outside = _outside((high, wide), placement) / (_FAR * max(high, wide) * placement.scale)
    if outside.any():
        share = np.minimum(outside, 1)[..., None]
        result += share * share * (3 - 2 * share) * (spread(_FAR_BLUR) - result)
    dithered = result + _dither(placement.height, placement.width)
    return np.asarray(np.rint(dithered).clip(0, 255), np.uint8)


def _outside(frame: tuple[int, int], placement: Placement) -> npt.NDArray[np.float32]:
    """How far each pixel of a canvas, [height, width], lies outside of the photo; 0 in it."""
    beyond = []
    for side, length, begin in (
        (placement.height, frame[0], placement.top),
        (placement.width, frame[1], placement.left),
    ):
        at = np.arange(side, dtype=np.float32) + np.float32(0.5 - begin)
        beyond.append(np.maximum(np.maximum(-at, at - length * placement.scale), 0))
    return np.asarray(np.hypot(beyond[0][:, None], beyond[1][None]), np.float32)


def without_product(photo: Pixels, alpha: Mask, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Take the product out of a photo, and continue the background from around it.

    Args:
        photo: uint8 [height, width, 3] of any size, in the product's frame.
        alpha: uint8 [height, width] of the product.
        size: Width and height of what is returned.

    Returns:
        float32 [rows, columns, 3], 0 to 255. Behind the product, and a little around it, where it
        throws light and shadow, what is next to that goes on.
    """
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    shown = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    around = 2 * max(1, round(_OUTLINE * max(size))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around))
    near = cv2.dilate(shown.reshape(size[1], size[0]), disc)
    known = np.asarray(cv2.inRange(near, 0, 2), np.uint8)
    if not known.any():
        known = np.full_like(known, 255)
    filled = continued(small, known, size)
    return np.where(known[..., None] > 0, small, filled).astype(np.float32)


def cleared(picture: Pixels, alpha: Mask) -> Pixels:
    """Take the product out of a picture, which else stays as it is.

    Args:
        picture: uint8 [height, width, 3] of any size, in the product's frame.
        alpha: uint8 [height, width] of the product.

    Returns:
        uint8 [height, width, 3] at the picture's size: where the product was, and softly around it,
        what is next to that goes on.
    """
    high, wide = picture.shape[:2]
    share = min(1.0, _SIDE / max(wide, high))
    size = (max(1, round(wide * share)), max(1, round(high * share)))
    filled = cv2.resize(without_product(picture, alpha, size), (wide, high))
    shown = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    around = 2 * max(1, round(_OUTLINE * max(size)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    taken = cv2.dilate((shown > 2).astype(np.float32).reshape(size[1], size[0]), disc)
    soft = cv2.resize(cv2.blur(taken, (around + 1, around + 1)), (wide, high))
    weight = np.asarray(soft, np.float32).reshape(high, wide, 1)
    mixed = picture + weight * (np.asarray(filled).reshape(picture.shape) - picture)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _dither(height: int, width: int) -> npt.NDArray[np.float32]:
    """Noise of half a level that keeps a smooth picture from falling into bands."""
    noise = np.random.default_rng(0).random((64, 64, 1), np.float32) - np.float32(0.5)
    return np.tile(noise, (height // 64 + 1, width // 64 + 1, 1))[:height, :width]


def plain(color: str, width: int, height: int) -> Pixels:
    """Fill a canvas with one colour.

    Args:
        color: `#RRGGBB`.
        width: In pixels.
        height: In pixels.

    Returns:
        uint8 [height, width, 3].
    """
    channels = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
    return np.broadcast_to(np.array(channels, np.uint8), (height, width, 3)).copy()


def transparent(product: Product, shade: Mask | None) -> npt.NDArray[np.uint8]:
    """Show a product on nothing.

    Args:
        product: At the result's size.
        shade: uint8 [height, width]: how dark its shadow is, 255 for black; None without one.

    Returns:
        uint8 [height, width, 4] with straight alpha: the product's own pixels and alpha where it
        throws no shadow, and black of the shadow's alpha under it.
    """
    # What is clear has no colour worth keeping, and black compresses best.
    pixels = cv2.bitwise_and(product.pixels, product.pixels, mask=product.alpha)
    if shade is None or not shade.any():
        return np.dstack([pixels, product.alpha])
    result = np.dstack([pixels, product.alpha])
    under = np.nonzero((shade > 0) & (product.alpha < 255))
    front = product.alpha[under].astype(np.float32)
    total = front + shade[under] * (1 - front / 255)
    colours = pixels[under] * (front / np.maximum(total, 1))[:, None]
    result[under] = np.rint(np.dstack([colours[None], total[None, :, None]])[0]).astype(np.uint8)
    return result
