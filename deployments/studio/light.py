"""Where a scene's light comes from, and a product that takes some of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Pixels, Product
from deployments.studio.fitting import limited
from deployments.studio.foreground import continued

Floats = npt.NDArray[np.float32]

LightSide = Literal["left", "right"]
"""The side of a picture that its light comes from."""

_SIDE = 64
"""The longer side, in pixels, at which light is looked at: it changes slowly."""
_CLEARLY = 0.3
"""How much brighter one border must be than the other, as a share of the mean light."""
_EXPLAINED = 0.2
"""Share of the light's variance that a slope must explain, or it is no more than bright things."""
_FEWEST = 64
"""Places of the scene that must be seen, or nothing is said of its light."""
_BRIGHTNESS, _COLOUR, _SLOPE = 0.35, 0.5, 0.5
"""Of what the scene's light differs in, the part that a product takes, as exponents of the ratio.
A scene's mean is as much its things' colour as its light's: so it is never the whole."""
_DARKEST, _BRIGHTEST = 0.5, 1.6
"""Bounds of the gain."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear sRGB, ITU-R BT.709."""


def _to_linear() -> Floats:
    levels = np.arange(256, dtype=np.float64) / 255
    bent = ((levels + 0.055) / 1.055) ** 2.4
    return np.where(levels <= 0.04045, levels / 12.92, bent).astype(np.float32)


def _to_srgb() -> npt.NDArray[np.uint8]:
    light = np.arange(65536, dtype=np.float64) / 65535
    bent = 1.055 * light ** (1 / 2.4) - 0.055
    return np.asarray(np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, bent)), np.uint8)


_LINEAR = _to_linear()
"""Linear light, 0 to 1, of an sRGB level: IEC 61966-2-1."""
_SRGB = _to_srgb()
"""The sRGB level of linear light in 65,535 parts."""


def light_side(scene: Pixels, product: Product) -> LightSide | None:
    """Tell from which side a scene is lit, by a slope of its brightness.

    A plane is fitted to the linear light of what surrounds the product. The brighter side is the
    light's: so it is with a window, a lamp or the sun beside the picture, and not with a bright
    thing in the dark half.

    Args:
        scene: uint8 [height, width, 3] of any size, with the product's aspect ratio.
        product: What is not looked at.

    Returns:
        The side; None where the light falls evenly, or where it cannot be told.
    """
    small, alpha = _reduced(scene, product.alpha)
    seen = alpha == 0
    if np.count_nonzero(seen) < _FEWEST:
        return None
    light = (_LINEAR[small] @ _LUMINANCE)[seen]
    y, x = np.mgrid[-1 : 1 : small.shape[0] * 1j, -1 : 1 : small.shape[1] * 1j]
    across, down = x[seen], y[seen]
    design = np.stack([np.ones_like(across), across, down], axis=1)
    (_, slope, fall), *_ = np.linalg.lstsq(design, light, rcond=None)
    rest = light - fall * down
    spread = float(rest.var())
    explained = float((slope * across).var()) / spread if spread > 0 else 0.0
    clear = abs(2 * slope) > _CLEARLY * float(light.mean())
    if not clear or explained < _EXPLAINED:
        return None
    return "left" if slope < 0 else "right"


def harmonized(product: Product, scene: Pixels, amount: float) -> Product:
    """Give a product some of the light and colour of the scene around it.

    Its linear light is multiplied by a gain that changes slowly over the picture: all detail stays.
    The gain is made of three ratios: how bright the surroundings are against the product, what
    colour they have, and how they brighten across it. It lies within 0.5 to 1.6. What it makes
    brighter bends towards white and is never cut off there.

    Args:
        product: At its place in the result.
        scene: uint8 [height, width, 3] of any size, with the product's aspect ratio.
        amount: How far, 0 to 1.

    Returns:
        A product with the same alpha; the very same where `amount` is 0, or where it hides the
        whole scene.
    """
    x, y, width, height = cv2.boundingRect(product.alpha)
    if amount <= 0 or width == 0:
        return product
    gain = _gain(product, scene)
    if gain is None:
        return product
    box = (slice(y, y + height), slice(x, x + width))
    shape = product.alpha.shape
    larger = cv2.resize(gain**amount, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    factor = np.asarray(larger, np.float32)[box]
    light = _LINEAR[product.pixels[box]]
    # 0 and 1 stay, and the slope at 0 is the gain.
    light *= factor / (1 + np.maximum(factor - 1, 0) * light)
    lit = _SRGB[(light * 65535 + np.float32(0.5)).astype(np.uint16)]
    pixels = product.pixels.copy()
    shown = np.asarray(cv2.inRange(product.alpha[box], 1, 255), np.uint8)
    cv2.copyTo(lit, shown, pixels[box])
    return replace(product, pixels=pixels)


def _gain(product: Product, scene: Pixels) -> Floats | None:
    """The full gain in each channel: float32 [rows, columns, 3]; None where no scene is seen."""
    around, alpha = _reduced(scene, product.alpha)
    rows, columns = alpha.shape
    known = np.asarray(cv2.inRange(alpha, 0, 0), np.uint8)
    if cv2.countNonZero(known) < _FEWEST:
        return None
    inside = alpha.astype(np.float32) / 255
    weight = inside / max(float(inside.sum()), 1e-6)
    wide = 0.25 * float(np.sqrt(np.count_nonzero(alpha)))
    smooth = cv2.GaussianBlur(
        continued(around, known, (columns, rows)), (0, 0), wide, borderType=cv2.BORDER_REPLICATE
    )
    scene_light = _linear(np.asarray(smooth, np.float32))
    held, _ = _reduced(product.pixels, product.alpha)
    own = float((_LINEAR[held] @ _LUMINANCE * weight).sum())
    colour = (scene_light * weight[..., None]).sum(axis=(0, 1))
    mean = max(float(colour @ _LUMINANCE), 1e-3)
    brightness = (mean / max(own, 1e-3)) ** _BRIGHTNESS
    tint = (np.maximum(colour, 1e-3) / mean) ** _COLOUR
    tint /= float(tint @ _LUMINANCE)
    slope = (np.maximum(scene_light @ _LUMINANCE, 1e-3) / mean) ** _SLOPE
    gain = brightness * slope[..., None] * tint
    return np.asarray(np.clip(gain, _DARKEST, _BRIGHTEST), np.float32)


def _linear(levels: Floats) -> Floats:
    return _LINEAR[np.rint(levels).clip(0, 255).astype(np.uint8)]


def _reduced(pixels: Pixels, alpha: Mask) -> tuple[Pixels, Mask]:
    """A picture and an alpha at the same small size."""
    height, width = alpha.shape
    size = limited(width, height, _SIDE)
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    share = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small.reshape(size[1], size[0], 3), share.reshape(size[1], size[0])
