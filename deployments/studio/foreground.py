"""Takes the old background out of a product's colours."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Photo, Pixels, Product

Floats = npt.NDArray[np.float32]

_SIDE = 512
"""The longer side, in pixels, at which colours are continued."""
_DOUBT = 0.008
"""How far from exact a pixel is unmixed: what 8 bits and an alpha that is a guess are worth."""
_FADED = 16
"""Below this alpha, 8 bits hold too little of a colour to take the white out of it."""
_PLAIN = 5.0
"""Root mean square, in levels, up to which a smooth surface describes a background."""
_ORDER = 4
_SURFACE_SIDE = 64


def cut_out(photo: Photo, alpha: Mask) -> Product:
    """Cut a product out with a mask that is already fine.

    Args:
        photo: A clean picture; where it was transparent, the white it lies on is taken out too.
        alpha: uint8 [height, width] at the photo's size: 255 inside the product, 0 outside.

    Returns:
        The product: where the photo is opaque and alpha 255, the photo's pixels bit for bit.
        Its alpha is nowhere over the photo's.
    """
    if photo.alpha is None:
        return Product(estimate_foreground(photo.pixels, alpha), alpha)
    alpha = np.minimum(alpha, photo.alpha)
    pixels, rest = photo.pixels.copy(), alpha.copy()
    clear = np.nonzero(photo.alpha < 255)
    share = np.maximum(photo.alpha[clear], 1).astype(np.float32)[:, None] / 255
    unmixed = (pixels[clear] - (1 - share) * 255) / share
    pixels[clear] = np.rint(unmixed).clip(0, 255).astype(np.uint8)
    # What transparency accounts for is unmixed by now: only the rest of alpha is still mixed.
    mixed = np.rint(alpha[clear] / share[:, 0]).clip(0, 255).astype(np.uint8)
    rest[clear] = np.where(photo.alpha[clear] < _FADED, np.uint8(0), mixed)
    return Product(estimate_foreground(pixels, rest), alpha)


def estimate_foreground(pixels: Pixels, alpha: Mask) -> Pixels:
    """Estimate the colours of a product without what is behind it.

    Each pixel is a mixture of the product's colour and the background's. The background's is
    continued from where it is seen: as a smooth surface where it is plain, so that it is right
    behind wide glass too, and from the nearest pixels otherwise. What then remains is the
    product's, the surer the more of it shows.

    Args:
        pixels: uint8 [height, width, 3], sRGB: the product mixed with its background.
        alpha: uint8 [height, width]: how much of each pixel is the product.

    Returns:
        uint8 [height, width, 3]: the product's colours where alpha is 1 to 254, and the pixels bit
        for bit elsewhere; the very same array where alpha is nowhere between.
    """
    band = cv2.inRange(alpha, 1, 254)
    x, y, width, height = cv2.boundingRect(band)
    if width == 0:
        return pixels
    margin = 8 + max(width, height) // 8
    box = (
        slice(max(0, y - margin), y + height + margin),
        slice(max(0, x - margin), x + width + margin),
    )
    near, mask = pixels[box], alpha[box]
    scale = min(1.0, _SIDE / max(mask.shape))
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    at = np.nonzero(band[box])
    front = bilinear(continued(near, _where(mask, 255), size), at, mask.shape)
    back = bilinear(_background(near, _where(mask, 0), size), at, mask.shape)
    share = mask[at].astype(np.float32)[:, None] / 255
    rest = near[at] - share * front - (1 - share) * back
    colours = front + share / (share * share + _DOUBT * (1 - share)) * rest
    result = pixels.copy()
    result[box][at] = np.rint(colours).clip(0, 255).astype(np.uint8)
    return result


def _where(mask: Mask, level: int) -> Mask:
    return np.asarray(cv2.inRange(mask, level, level), np.uint8)


def _background(pixels: Pixels, seen: Mask, size: tuple[int, int]) -> Floats:
    """A background continued over the whole picture: float32 [*size, 3] of 0 to 255."""
    surface = plain_surface(pixels, seen)
    if surface is None:
        return continued(pixels, seen, size)
    smooth = np.asarray(cv2.resize(surface, size), np.float32).reshape(size[1], size[0], 3)
    return smooth + continued(pixels, seen, size, smooth)


def plain_surface(pixels: Pixels, seen: Mask, patience: float = 1.0) -> Floats | None:
    """Describe a background by a smooth surface, by least squares.

    Args:
        pixels: uint8 [height, width, 3], sRGB.
        seen: uint8 [height, width]: 255 where it is the background, 0 where it is not.
        patience: How many times further than usual from a surface a background may be.

    Returns:
        float32 [rows, columns, 3] of at most 64 x 64: a polynomial of the fourth order in each
        channel. None where the background is not that plain, or too little of it is seen.
    """
    size = (min(pixels.shape[1], _SURFACE_SIDE), min(pixels.shape[0], _SURFACE_SIDE))
    colours, weight = _reduced(pixels, seen, size)
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j].astype(np.float32)
    terms = np.stack(
        [x**i * y**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)], axis=-1
    )
    known = weight > 0.99
    if np.count_nonzero(known) < 4 * terms.shape[-1]:
        return None
    design, values = terms[known], colours[known]
    ridge = np.eye(terms.shape[-1], dtype=np.float32) * np.float32(1e-6 * len(design))
    factors = np.linalg.solve(design.T @ design + ridge, design.T @ values)
    error = values - design @ factors
    if float(np.sqrt((error * error).mean())) > patience * _PLAIN:
        return None
    return np.asarray(terms @ factors, np.float32)


def _reduced(pixels: Pixels, known: Mask, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """The known colours times how much of each smaller pixel is known, and that share."""
    held = cv2.bitwise_and(pixels, pixels, mask=known)
    colours = np.asarray(cv2.resize(held, size, interpolation=cv2.INTER_AREA), np.float32)
    weight = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)
    shape = (size[1], size[0])
    return colours.reshape(*shape, 3), weight.reshape(shape) / np.float32(255)


def continued(
    pixels: Pixels, known: Mask, size: tuple[int, int], less: Floats | None = None
) -> Floats:
    """Continue the known colours over the whole picture, at a smaller size, by pull and push.

    Gortler et al., "The Lumigraph", 1996.

    Args:
        pixels: uint8 [height, width, 3].
        known: uint8 [height, width]: 255 where the colours are known, 0 where not.
        size: Width and height of what is returned, at most the picture's.
        less: float32 [rows, columns, 3] of that size: taken off the known colours first.

    Returns:
        float32 [rows, columns, 3]: 0 to 255, or what `less` leaves of it.
    """
    colours, weight = _reduced(pixels, known, size)
    if less is not None:
        colours = colours - weight[..., None] * less
    levels = [(colours, weight)]
    while max(levels[-1][1].shape) > 1:
        colours, weight = levels[-1]
        half = (max(1, (weight.shape[1] + 1) // 2), max(1, (weight.shape[0] + 1) // 2))
        colours = np.asarray(cv2.resize(colours, half, interpolation=cv2.INTER_AREA), np.float32)
        weight = np.asarray(cv2.resize(weight, half, interpolation=cv2.INTER_AREA), np.float32)
        levels.append((colours.reshape(half[1], half[0], 3), weight.reshape(half[1], half[0])))
    colours, weight = levels.pop()
    filled = colours / np.maximum(weight, np.float32(1e-6))[..., None]
    for colours, weight in reversed(levels):
        coarser = cv2.resize(filled, (weight.shape[1], weight.shape[0]))
        filled = colours + (1 - weight)[..., None] * np.asarray(coarser).reshape(colours.shape)
    return np.asarray(filled, np.float32)


def bilinear(
    values: Floats, at: tuple[npt.NDArray[np.intp], ...], shape: tuple[int, int]
) -> Floats:
    """Sample a smaller picture at pixels of a larger one.

    Args:
        values: float32 [rows, columns, channels], which covers the larger picture.
        at: Rows and columns in the larger picture, n each.
        shape: Height and width of the larger picture.

    Returns:
        float32 [n, channels].
    """
    rows, columns = at
    top, bottom, down = _neighbours(rows, values.shape[0], shape[0])
    left, right, over = _neighbours(columns, values.shape[1], shape[1])
    upper = values[top, left] * (1 - over) + values[top, right] * over
    lower = values[bottom, left] * (1 - over) + values[bottom, right] * over
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _neighbours(
    at: npt.NDArray[np.intp], few: int, many: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """The two cells of few that a place among many lies between, and how near to the second."""
    place = (at.astype(np.float32) + np.float32(0.5)) * np.float32(few / many) - np.float32(0.5)
    place = place.clip(0, few - 1)
    first = place.astype(np.intp)
    return first, np.minimum(first + 1, few - 1), (place - first.astype(np.float32))[:, None]
