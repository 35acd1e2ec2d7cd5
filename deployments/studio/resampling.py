"""Products and pictures at the place and the scale that a canvas gives them.

Everything is resampled once from the pixels that there are, and at scale 1 not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deployments.composition import Placement
from deployments.jobs import Pixels, Product


@dataclass(frozen=True, slots=True)
class _Span:
    """Pixels of the canvas in one direction, and what of the photo they show.

    Attributes:
        begin: First pixel of the canvas.
        end: Behind the last pixel.
        low: Place in the photo where the first begins.
        high: Place in the photo where the last ends.
    """

    begin: int
    end: int
    low: float
    high: float


def placed(product: Product, placement: Placement) -> Product:
    """Put a product where it lies on a canvas.

    Args:
        product: In its photo's frame.
        placement: Where that frame lies on the canvas.

    Returns:
        The product at the canvas's size, clear outside of its photo. At scale 1 its pixels and
        alpha are the photo's bit for bit. Smaller it comes through a filter without negative lobes,
        which would ring and make its core transparent; larger through a cubic one. Both weigh
        colours by their alpha, so that what is clear has none.
    """
    pixels = np.zeros((placement.height, placement.width, 3), np.uint8)
    alpha = np.zeros((placement.height, placement.width), np.uint8)
    x, y, wide, high = cv2.boundingRect(product.alpha)
    across = _span(x, wide, placement.scale, placement.left, placement.width)
    down = _span(y, high, placement.scale, placement.top, placement.height)
    if wide and across.begin < across.end and down.begin < down.end:
        at = (slice(down.begin, down.end), slice(across.begin, across.end))
        if placement.scale == 1:
            source = (
                slice(int(down.low), int(down.high)),
                slice(int(across.low), int(across.high)),
            )
            pixels[at], alpha[at] = product.pixels[source], product.alpha[source]
        else:
            layers = _resampled(product, placement.scale, across, down)
            pixels[at], alpha[at] = layers[..., :3], layers[..., 3]
    return replace(product, pixels=pixels, alpha=alpha)


def _span(begin: int, length: int, scale: float, offset: float, canvas: int) -> _Span:
    """What of the canvas a part of the photo touches."""
    first = max(0, math.floor(offset + begin * scale))
    last = min(canvas, math.ceil(offset + (begin + length) * scale))
    return _Span(first, last, (first - offset) / scale, (last - offset) / scale)


def _resampled(product: Product, scale: float, across: _Span, down: _Span) -> Pixels:
    """A part of the product, uint8 [height, width, 4] with straight alpha."""
    reach = math.ceil(2 / min(scale, 1)) + 1
    height, width = product.alpha.shape
    left, right = math.floor(across.low) - reach, math.ceil(across.high) + reach
    top, bottom = math.floor(down.low) - reach, math.ceil(down.high) + reach
    near = (slice(max(0, top), bottom), slice(max(0, left), right))
    # At the photo's border the product goes on: else that edge of it would be soft.
    bordered = cv2.copyMakeBorder(
        np.dstack([product.pixels[near], product.alpha[near]]),
        max(0, -top),
        max(0, bottom - height),
        max(0, -left),
        max(0, right - width),
        cv2.BORDER_REPLICATE,
    )
    layers = np.asarray(bordered, np.uint8)
    size = (across.end - across.begin, down.end - down.begin)
    box = (across.low - left, down.low - top, across.high - left, down.high - top)
    if scale < 1:
        smaller = Image.fromarray(layers).resize(size, Image.Resampling.HAMMING, box=box)
        result = np.array(smaller)
    else:
        result = _enlarged(layers, size, box)
    share = _covered_share(down, height, scale)[:, None] * _covered_share(across, width, scale)
    if share.min() < 1:
        result[..., 3] = np.rint(result[..., 3] * share)
    return result


def _enlarged(
    layers: Pixels, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Pixels:
    """A part of uint8 [height, width, 4] at a larger size, through a cubic filter.

    The filter overshoots at edges. So colours are divided by the alpha that overshoots as they do,
    which 8 bits could not hold.
    """

    def larger(channel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        image = Image.fromarray(channel).resize(size, Image.Resampling.BICUBIC, box=box)
        return np.asarray(image, np.float32)

    weight = layers[..., 3].astype(np.float32)
    alpha = larger(weight)
    share = np.where(alpha >= 1, 1 / np.maximum(alpha, 1), 0).astype(np.float32)
    result = np.empty((size[1], size[0], 4), np.uint8)
    for channel in range(3):
        colour = larger(layers[..., channel] * weight) * share
        result[..., channel] = np.rint(colour).clip(0, 255)
    result[..., 3] = np.rint(alpha).clip(0, 255)
    return result


def _covered_share(span: _Span, photo: int, scale: float) -> npt.NDArray[np.float32]:
    """How much of each pixel of a span the photo covers, 0 to 1: it ends where it ends."""
    edges = np.linspace(span.low, span.high, span.end - span.begin + 1).clip(0, photo)
    share = np.diff(edges) * scale
    return np.where(share > 0.999, 1.0, share).astype(np.float32)


def covered(pixels: Pixels, width: int, height: int) -> Pixels:
    """Cover a canvas with a picture, centred; what is over its shape is cut off.

    Args:
        pixels: uint8 [height, width, 3] of any size from 1 x 1.
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.

    Returns:
        uint8 [height, width, 3] of the canvas, through a Lanczos filter; the picture itself where
        it has that size.
    """
    high, wide = pixels.shape[:2]
    if (wide, high) == (width, height):
        return pixels
    scale = max(width / wide, height / high)
    beside = max(0.0, (wide - width / scale) / 2)
    above = max(0.0, (high - height / scale) / 2)
    box = (beside, above, wide - beside, high - above)
    image = Image.fromarray(pixels)
    resized = image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return np.asarray(resized)
