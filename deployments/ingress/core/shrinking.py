"""Decoded pictures in a few plain modes, made smaller by whole factors, in little memory.

A large picture is converted strip by strip, so that beside the decoder's own pixels only the small
result is held. Averages weigh colours by their alpha, so that what is clear lends no colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from deployments.jobs import Mask

FACTORS = (8, 4, 2)
"""By which pictures are made smaller: what JPEG decoders can do by themselves."""

_STRIP_PIXELS = 2**17

_GREY, _GREY_ALPHA, _RGBA = 0, 4, 6
"""PNG colour types."""

Samples = npt.NDArray[np.uint16]
Averages = npt.NDArray[np.float32]
Raw = npt.NDArray[Any]


def factor_to(side: int, width: int, height: int) -> int:
    """The largest factor that leaves a picture's longer side at least so long: 1, 2, 4 or 8."""
    longer = max(width, height)
    return next((factor for factor in FACTORS if longer >= factor * side), 1)


def shrink(image: Image.Image, factor: int) -> Image.Image:
    """Make a picture smaller by averaging squares, and its mode plain.

    Args:
        image: Decoded, of any mode that PNG, JPEG and WebP decoders give.
        factor: Pixels of a square's side; 1 only changes the mode.

    Returns:
        Mode L, LA, RGB, RGBA (straight alpha) or CMYK; sides are divided and rounded up.
    """
    mode = _plain_mode(image)
    if factor == 1:
        return _in_mode(image, mode)
    size = (-(-image.width // factor), -(-image.height // factor))
    small = Image.new(mode, size)
    for top, bottom in _strips(image.width, image.height, factor):
        strip = _in_mode(image.crop((0, top, image.width, bottom)), mode)
        small.paste(strip.reduce(factor), (0, top // factor))
    return small


def shrink_deep_png(file: bytes, factor: int) -> tuple[Samples, Mask | None]:
    """Decode a PNG of 16 bits a sample in all its bits, and make it smaller by averaging.

    Pillow keeps the upper byte of such a sample alone. So the picture is decoded twice: once as it
    is, once as if it were little-endian, which gives the lower bytes.

    Args:
        file: A PNG of 16 bits a sample.
        factor: See `shrink`.

    Returns:
        uint16 [height, width] of a grey picture, else [height, width, 3]; and its alpha, uint8
        [height, width], where it has any.
    """
    colour = file[25]
    image = _opened(file, "RGBA" if colour == _GREY_ALPHA else None)
    if colour == _GREY_ALPHA:
        # Four bytes a pixel, read as four samples: the upper and lower of grey, then of alpha.
        alpha: Image.Image | None = image.getchannel("B")
        values = _averaged(
            image, alpha, factor, lambda four: 256.0 * four[..., :1] + four[..., 1:2]
        )
    elif colour == _GREY:
        alpha = _but_for(image, image.info.get("transparency"))
        values = _averaged(image, alpha, factor, lambda deep: deep[..., None])
    else:
        key = image.info.get("transparency")
        upper_key = None if key is None else [value >> 8 for value in key]
        alpha = image.getchannel("A") if colour == _RGBA else _but_for(image, upper_key)
        values = 256 * _averaged(image, alpha, factor, lambda rgb: rgb[..., :3])
        lower = f"{image.mode};16L"
        del image  # before the next takes as much
        values += _averaged(_opened(file, lower), alpha, factor, lambda rgb: rgb[..., :3])
    samples = np.rint(values).astype(np.uint16)
    if samples.shape[2] == 1:
        samples = samples[..., 0]
    return samples, None if alpha is None else np.asarray(shrink(alpha, factor))


def _opened(file: bytes, raw_mode: str | None = None) -> Image.Image:
    """A decoded PNG, its bytes taken for those of another mode."""
    image = PngImageFile(BytesIO(file))
    if raw_mode is not None:
        image._mode = raw_mode.partition(";")[0]
        image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
    image.load()
    return image


def _averaged(
    image: Image.Image, alpha: Image.Image | None, factor: int, read: Callable[[Raw], Raw]
) -> Averages:
    """Averages over squares, weighed by alpha: float32 [height, width, channels]."""
    strips = []
    for top, bottom in _strips(image.width, image.height, factor):
        box = (0, top, image.width, bottom)
        values = read(np.asarray(image.crop(box))).astype(np.float32)
        if alpha is None:
            weights = np.ones((*values.shape[:2], 1), np.float32)
        else:
            weights = np.asarray(alpha.crop(box)).astype(np.float32)[..., None]
        totals = _summed(weights, factor)
        strips.append(_summed(values * weights, factor) / np.maximum(totals, 1))
    return np.concatenate(strips)


def _summed(values: Averages, factor: int) -> Averages:
    """Sums over squares; those at the right and lower edge may be cut."""
    height, width, channels = values.shape
    totals = np.zeros((-(-height // factor), -(-width // factor), channels), values.dtype)
    for top in range(factor):
        for left in range(factor):
            part = values[top::factor, left::factor]
            totals[: part.shape[0], : part.shape[1]] += part
    return totals


def _but_for(image: Image.Image, key: int | list[int] | None) -> Image.Image | None:
    """The alpha of a picture whose pixels of one colour are clear; None without a colour."""
    if key is None:
        return None
    alpha = np.empty((image.height, image.width), np.uint8)
    for top, bottom in _strips(image.width, image.height, 1):
        differs = np.asarray(image.crop((0, top, image.width, bottom))) != key
        alpha[top:bottom] = 255 * (differs.any(axis=2) if differs.ndim == 3 else differs)
    return Image.fromarray(alpha)


def _strips(width: int, height: int, factor: int) -> Iterator[tuple[int, int]]:
    """Tops and bottoms of strips, each of whole squares but for the last."""
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    return ((top, min(top + rows, height)) for top in range(0, height, rows))


def _plain_mode(image: Image.Image) -> str:
    if image.mode == "CMYK":
        return "CMYK"
    grey = image.mode in ("1", "L", "LA", "I;16")
    if image.has_transparency_data:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image converted, and not copied where it is in the mode already."""
    if image.mode == "I;16":
        # Pillow's own conversion clips to 255 instead of scaling.
        key = image.info.get("transparency")
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if key is not None:
            image.info["transparency"] = key
    return image if image.mode == mode else image.convert(mode)
