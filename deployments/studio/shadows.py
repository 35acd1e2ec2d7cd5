"""Draws the shadow that a product throws on the ground it stands on.

It is drawn everywhere but seen only beside the product, which is laid over it: so nothing is light
between the two, and a soft outline lies on shaded ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from deployments.composition import Shadow
from deployments.jobs import Mask, Pixels, Product
from deployments.studio.blurring import blurred
from deployments.studio.light import LightSide, light_side
from deployments.studio.marks import SEEN
from deployments.studio.standing import Footing, standing

Floats = npt.NDArray[np.float32]

STRENGTHS = MappingProxyType({"cast": 0.6, "floating": 0.4})
"""How dark shadows are by default, 0 to 1; for `contact` that is a setting."""

_SIDE = 384
"""The longer side, in pixels, of the product's box as its shadow is drawn."""
_CONTACT = ((0.012, 0.008, 0.42), (0.05, 0.03, 0.36), (0.18, 0.09, 0.3))
"""Of a contact shadow's three layers: how far each fades across and down, in sizes of what stands,
and its part of the whole: the dark joint, what is near, and the light that is missing around."""
_DEPTH = 0.2
"""How deep the ground is that a thing covers, as a share of its width, seen from a little above."""
_ACROSS, _BACK = 0.6, 0.24
"""Where the top of a thing throws its shadow, in its heights: to the side, and back."""
_SOFT = (0.006, 0.022, 0.07)
"""How soft a cast shadow is at its feet, in the middle and at its far end, in heights."""
_FADING = 0.55
"""What of a cast shadow is left at its far end."""
_FLOATING = (0.42, 0.13, 0.08)
"""Half the width and half the height of a floating shadow in widths of the product, and the gap
above it in its heights."""
_FADED_OUT = 1.26
"""Where nothing is left of it, in those halves."""
_GAMMA = 2.2
"""Of sRGB, near enough: a strength is a share of the linear light."""
_FAINT = 1 / 500
"""What takes less than this changes no level."""


class _Drawn(NamedTuple):
    """A part of the picture, and what of its levels the shadow takes, 0 to 1."""

    rows: slice
    columns: slice
    dark: Floats


class _Grid(NamedTuple):
    """Where a shadow is drawn: a part of the picture, made smaller.

    Attributes:
        alpha: uint8 [rows, columns]: the product there.
        rows: The part of the picture.
        columns: The same across.
    """

    alpha: Mask
    rows: slice
    columns: slice


def shade(
    scene: Pixels,
    product: Product,
    shadow: Shadow,
    strength: float,
    light: LightSide | None = None,
) -> Pixels:
    """Draw a product's shadow over a scene.

    Args:
        scene: uint8 [height, width, 3] at the product's size.
        product: At its place in the result.
        shadow: `contact` is dark where the product stands and fades around; `cast` is its outline
            laid on the ground, away from the light; `floating` is a soft ellipse below it. The
            first two draw nothing where nothing stands, see `standing`, the last nothing where the
            lower border cuts the product.
        strength: How much of the linear light it takes where it is darkest, 0 to 1.
        light: The side the light of a cast shadow comes from; where it is None the scene tells it,
            and else it comes from the left.

    Returns:
        uint8 [height, width, 3]; the very same array where nothing is drawn.
    """
    if shadow == "cast" and light is None:
        light = light_side(scene, product)
    drawn = _drawn(product.alpha, shadow, strength, light)
    if drawn is None:
        return scene
    result = scene.copy()
    part = result[drawn.rows, drawn.columns]
    kept = cv2.merge([1 - drawn.dark] * 3)
    result[drawn.rows, drawn.columns] = cv2.multiply(part, kept, dtype=cv2.CV_8U)
    return result


def shadow_mask(
    product: Product, shadow: Shadow, strength: float, light: LightSide | None = None
) -> Mask:
    """Draw a product's shadow on a clear background.

    Args:
        product: At its place in the result.
        shadow: As of `shade`.
        strength: As of `shade`.
        light: The side the light of a cast shadow comes from; None is the left.

    Returns:
        uint8 [height, width]: the alpha of a black layer under the product, which looks over any
        background as `shade` does.
    """
    mask = np.zeros(product.alpha.shape, np.uint8)
    drawn = _drawn(product.alpha, shadow, strength, light)
    if drawn is not None:
        mask[drawn.rows, drawn.columns] = np.rint(drawn.dark * 255).astype(np.uint8)
    return mask


def draws_nothing(product: Product, shadow: Shadow) -> str | None:
    """Say why a shadow that a caller asks for is not drawn.

    Returns:
        A sentence for the caller; None where it is drawn, or where it is `none`.
    """
    if shadow == "none" or _drawn(product.alpha, shadow, 1.0, None) is not None:
        return None
    if shadow == "floating":
        return "no shadow is drawn: the product reaches the lower border of the picture"
    return (
        "no shadow is drawn: nothing of the product seems to stand on the ground; shadow=floating"
        " draws one in any case"
    )


def _drawn(alpha: Mask, shadow: Shadow, strength: float, light: LightSide | None) -> _Drawn | None:
    if shadow == "none" or strength <= 0:
        return None
    x, y, width, height = cv2.boundingRect((alpha >= SEEN).astype(np.uint8))
    if width == 0:
        return None
    draw = _DRAWN[shadow]
    grid = _grid(alpha, (x, y, width, height), shadow, light)
    taken = draw(grid.alpha, light)
    if taken is None:
        return None
    dark = 1 - np.power(1 - np.minimum(taken * np.float32(strength), 1), 1 / _GAMMA)
    rows, columns = grid.rows, grid.columns
    size = (columns.stop - columns.start, rows.stop - rows.start)
    larger = np.asarray(cv2.resize(dark, size, interpolation=cv2.INTER_LINEAR), np.float32)
    larger[larger < _FAINT] = 0
    return _Drawn(rows, columns, larger.reshape(size[1], size[0]))


def _grid(
    alpha: Mask, box: tuple[int, int, int, int], shadow: Shadow, light: LightSide | None
) -> _Grid:
    """The product and what its shadow can reach."""
    x, y, width, height = box
    around = round(0.6 * width) if shadow == "contact" else round(0.25 * (width + height))
    left = right = around
    if shadow == "cast":
        far = round(_ACROSS * height)
        left, right = (around + far, around) if light == "right" else (around, around + far)
    below = round(0.5 * max(width, height)) if shadow == "floating" else round(0.3 * width)
    scale = min(1.0, _SIDE / max(width, height))
    clear = math.ceil(4 / scale)
    rows = slice(max(0, y - clear), min(alpha.shape[0], y + height + max(below, clear)))
    columns = slice(max(0, x - left - clear), min(alpha.shape[1], x + width + right + clear))
    part = alpha[rows, columns]
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _Grid(small.reshape(size[1], size[0]), rows, columns)


def _contact(alpha: Mask, light: LightSide | None) -> Floats | None:
    footings = standing(alpha)
    if not footings:
        return None
    left = np.ones(alpha.shape, np.float32)
    for footing in footings:
        left *= 1 - _under(footing, alpha.shape)
    return np.asarray(1 - left, np.float32)


def _under(footing: Footing, shape: tuple[int, int]) -> Floats:
    """What of the light is missing around one part that stands, 0 to 1."""
    first, last = footing.span
    span = last - first + 1
    size = float(np.sqrt(span * min(footing.tall, 2 * span)))
    runs = _runs(footing.firm)
    # The joint under a thin leg is thin, whatever stands on it.
    joint = min(size, 7.0 * max(end - begin for begin, end in runs))
    result = np.zeros(shape, np.float32)
    for across, down, part in _CONTACT[:-1]:
        soft = max(0.6, across * joint), max(0.6, down * joint)
        result += part * _soft_cover(footing, footing.underside, footing.firm, runs, soft, shape)
    across, down, part = _CONTACT[-1]
    soft = max(0.6, across * size), max(0.6, down * size)
    whole = [(first, last + 1)]
    return result + part * _soft_cover(footing, *_bridged(footing), whole, soft, shape)


def _soft_cover(
    footing: Footing,
    ground: Floats,
    weight: Floats,
    runs: list[tuple[int, int]],
    soft: tuple[float, float],
    shape: tuple[int, int],
) -> Floats:
    """The ground that feet cover, blurred: 1 on its border, and less around."""
    covered = np.zeros(shape, np.float32)
    for run in runs:
        _cover(covered, footing.left, ground, weight, run, 2 * soft[1])
    # Along a straight border a blurred half plane has a half.
    return np.minimum(2 * blurred(covered, *soft), 1)


def _bridged(footing: Footing) -> tuple[Floats, Floats]:
    """The ground line under a whole part, also between its feet, and how much it is covered."""
    stands = np.flatnonzero(footing.firm > 0.5)
    columns = np.arange(footing.underside.size)
    ground = np.interp(columns, stands, footing.underside[stands]).astype(np.float32)
    gap = np.maximum(ground - footing.underside, 0)
    span = stands[-1] - stands[0] + 1
    return ground, np.exp(-gap / np.float32(0.4 * span)).astype(np.float32)


def _runs(firm: Floats) -> list[tuple[int, int]]:
    """Begin and end of each run of columns that touch the ground."""
    touching = np.concatenate([[False], firm > 0.02, [False]])
    edges = np.flatnonzero(np.diff(touching.astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _cover(
    covered: Floats,
    left: int,
    ground: Floats,
    weight: Floats,
    run: tuple[int, int],
    least: float,
) -> None:
    """Fill the ground that a foot covers: the far half of an ellipse above its ground line."""
    begin, end = run
    # What the picture's side cuts goes on beyond it.
    first = begin if left + begin > 0 else begin - (end - begin)
    beyond = end if left + end < covered.shape[1] else end + (end - begin)
    middle, half = (first + beyond - 1) / 2, (beyond - first) / 2
    columns = np.arange(begin, end)
    round_off = np.sqrt(np.maximum(1 - ((columns - middle) / half) ** 2, 0))
    depth = np.maximum(_DEPTH * (end - begin) * round_off, least)
    lower = ground[begin:end]
    top = max(0, int((lower - depth).min()))
    bottom = min(covered.shape[0], int(np.ceil(lower.max())) + 1)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    filled = np.clip(lower - rows, 0, 1) * np.clip(rows + 1 - (lower - depth), 0, 1)
    filled *= weight[begin:end]
    part = covered[top:bottom, left + begin : left + end]
    np.maximum(part, filled, out=part, casting="same_kind")


def _cast(alpha: Mask, light: LightSide | None) -> Floats | None:
    footings = standing(alpha)
    if not footings:
        return None
    left = np.ones(alpha.shape, np.float32)
    for footing in footings:
        left *= 1 - np.float32(0.6) * _under(footing, alpha.shape)
        left *= 1 - np.float32(0.85) * _laid(footing, 1.0 if light != "right" else -1.0)
    return np.asarray(1 - left, np.float32)


def _laid(footing: Footing, away: float) -> Floats:
    """A part's outline laid on the ground, soft far from its feet: 0 to 1.

    A point at a height h over the ground below it falls `_ACROSS` h to the side and `_BACK` h back,
    which in the picture is up.
    """
    ground, _ = _bridged(footing)
    y, x = np.nonzero(footing.shape)
    rows, columns = footing.shape.shape
    base = ground[x - footing.left]
    high = base - y - np.float32(0.5)
    there = np.rint(x + away * _ACROSS * high).astype(np.intp)
    down = np.floor(base - _BACK * high).astype(np.intp)
    falls = (high >= 0) & (there >= 0) & (there < columns) & (down >= 0) & (down < rows)
    at = down[falls] * columns + there[falls]
    far = (high[falls] / footing.tall).clip(0, 1)
    dark = footing.shape[y[falls], x[falls]] / np.float32(255) * (1 - (1 - _FADING) * far)
    result = np.zeros((rows, columns), np.float32)
    steps = np.linspace(0, 1, len(_SOFT), dtype=np.float32)
    for step, soft in zip(steps, _SOFT, strict=True):
        layer = np.zeros(rows * columns, np.float32)
        share = 1 - np.abs(far - step) / steps[1]
        here = share > 0
        np.maximum.at(layer, at[here], (dark * share)[here])
        wide = max(0.8, soft * footing.tall)
        result += blurred(layer.reshape(rows, columns), wide, wide)
    return np.minimum(result, 1)


def _floating(alpha: Mask, light: LightSide | None) -> Floats | None:
    x, y, width, height = cv2.boundingRect((alpha >= SEEN).astype(np.uint8))
    rows, columns = alpha.shape
    room = rows - (y + height)
    if room < 0.02 * height:
        return None
    half, low, gap = (
        part * size for part, size in zip(_FLOATING, (width, width, height), strict=True)
    )
    low = min(low, 0.5 * room / _FADED_OUT)
    middle = y + height + min(gap, room - 2 * _FADED_OUT * low) + _FADED_OUT * low
    shown = alpha[y : y + height, x : x + width].astype(np.float32).sum(axis=0)
    centre = x + float((shown * np.arange(width)).sum() / shown.sum())
    down, across = np.mgrid[0:rows, 0:columns].astype(np.float32)
    away = ((across - centre) / half) ** 2 + ((down - middle) / low) ** 2
    return np.asarray(np.square(np.maximum(1 - away / _FADED_OUT**2, 0)), np.float32)


_DRAWN: MappingProxyType[str, Callable[[Mask, LightSide | None], Floats | None]] = MappingProxyType(
    {"contact": _contact, "cast": _cast, "floating": _floating}
)
