"""Where a product lies on the canvas that a request asks for.

Lengths and places are pixels from the left and from the top. The product's box is where its alpha
is 16 or more, in the frame of its photo, which is at most as large as results may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from deployments.composition import Canvas, Placement
from deployments.errors import InvalidRequest
from deployments.jobs import Product
from deployments.studio.fitting import limited
from deployments.studio.marks import SEEN

Wish = Literal["low", "middle", "high"]
"""Where the box shall lie in one direction: left or top, in the middle, right or bottom."""

_MARGIN = 0.05
"""Share of the shorter side that stays free around a product that is made smaller to fit; and, as
far as the photo has it, where the photo is extended to another shape."""
_LEAST_ROOM = 8
"""Pixels of width and height that a product must have."""
_CUT_SHARE = 0.02
_CUT_PIXELS = 3
"""How long a run at the photo's border tells a cut: as a share of the box's side, and in pixels."""
_NEAR = 0.5
"""Pixels: what is no further off is at its place."""

ENLARGED = (
    "the product is enlarged to {scale:.0%} of the pixels that there are of it, so it looks soft;"
    " send a photo that is cropped nearer to it, since at most {side} pixels a side are used, or"
    " ask for a smaller picture or more padding"
)
CUT = (
    "the photo's border cuts the product {}, and in this picture that edge does not lie at the"
    " border; send a photo that shows all of the product, or another size, padding or"
    " product_position"
)
_SIDES = (("on the left", "on the right"), ("at the top", "at the bottom"))


@dataclass(frozen=True, slots=True)
class _Axis:
    """One direction, of the photo and of the canvas.

    Attributes:
        photo: Length of the photo.
        start: Where the box begins in it.
        length: Of the box.
        cut: Whether the photo's border cuts the product at the low and at the high side.
        wish: Where the request wants the box; None where it does not say.
    """

    photo: int
    start: int
    length: int
    cut: tuple[bool, bool]
    wish: Wish | None

    @property
    def stays(self) -> tuple[bool, bool]:
        """Whether each side is cut and may lie at the canvas's border."""
        return (
            self.cut[0] and self.wish in (None, "low"),
            self.cut[1] and self.wish in (None, "high"),
        )

    def room(self, canvas: float, free: float) -> tuple[float, float]:
        """Where the box may lie, with so much free on the sides that do not stay at the border."""
        low, high = self.stays
        return 0.0 if low else free, canvas if high else canvas - free

    def with_room(self, most: float) -> float:
        """Length of the box with what is free on both sides of it in the photo, up to so much."""
        after = self.photo - self.start - self.length
        return self.length + min(self.start, most) + min(after, most)

    def begin(self, length: float, canvas: float, padding: float | None, *, worded: bool) -> float:
        """Where the box of a length begins on the canvas."""
        if self.wish is None and padding is None and not worded:
            beside = self.photo - self.length
            return (canvas - length) * (self.start / beside if beside else 0.5)
        low, high = self.room(canvas, padding or 0.0)
        side = self.wish
        if side is None and self.stays[0] != self.stays[1]:
            side = "low" if self.stays[0] else "high"
        if side == "low":
            return low
        if side == "high":
            return high - length
        return (low + high - length) / 2


def place(
    product: Product, canvas: Canvas, *, max_side: int, opaque_photo: bool | None = None
) -> tuple[Placement | None, tuple[str, ...]]:
    """Find where a photo lies on a canvas, so that its product lies where it is asked for.

    Without padding the product keeps its scale where its box fits the canvas, and is made smaller
    to fit with a margin of 5 % of the shorter side elsewhere. With padding its box is as large as
    fits. A side that the photo's border cuts has no margin and no padding, and stays at the
    canvas's border unless the position says otherwise. `docs/api.md` has all rules.

    Args:
        product: In its photo's frame.
        canvas: What is asked for.
        max_side: The longer side of a result in pixels, at most.
        opaque_photo: Whether the photo has no transparency; None where that is not known. A product
            that touches all borders is taken for one that was trimmed to its box; and in a
            transparent photo one that touches two borders that face each other.

    Returns:
        The placement, None where nothing is asked for; and warnings for the caller.

    Raises:
        InvalidRequest: The padding or the position leaves the product no room.
    """
    if not canvas.given:
        return None, ()
    axes = _axes(product, canvas, opaque_photo)
    width, height, scale = _sized(axes, canvas, max_side)
    sides, shorter = (width, height), min(width, height)
    padding = None if canvas.padding is None else canvas.padding * shorter
    middle = None
    if isinstance(canvas.position, tuple):
        middle = (canvas.position[0] * width, canvas.position[1] * height)
        reach = [
            2 * min(at - (padding or 0), side - (padding or 0) - at)
            for at, side in zip(middle, sides, strict=True)
        ]
        _check_room(reach, canvas, sides)
    elif padding is not None:
        rooms = [axis.room(side, padding) for axis, side in zip(axes, sides, strict=True)]
        reach = [high - low for low, high in rooms]
        _check_room(reach, canvas, sides)
    elif any(axis.length * scale > side for axis, side in zip(axes, sides, strict=True)):
        rooms = [axis.room(side, _MARGIN * shorter) for axis, side in zip(axes, sides, strict=True)]
        reach = [high - low for low, high in rooms]
    else:
        reach = [axis.length * scale for axis in axes]
    largest = min(room / axis.length for room, axis in zip(reach, axes, strict=True))
    scale = largest if padding is not None else min(scale, largest)
    if abs(scale - 1) * max(axis.length for axis in axes) < _NEAR:
        scale = 1.0
    begins = [
        axis.begin(axis.length * scale, side, padding, worded=canvas.position is not None)
        if middle is None
        else middle[index] - axis.length * scale / 2
        for index, (axis, side) in enumerate(zip(axes, sides, strict=True))
    ]
    corner = [begin - axis.start * scale for begin, axis in zip(begins, axes, strict=True)]
    if scale == 1:
        corner = [float(round(at)) for at in corner]
    warnings = [ENLARGED.format(scale=scale, side=max_side)] if scale > 1 else []
    warnings += _cuts(axes, begins, sides, scale, all_round=bool(opaque_photo))
    return Placement(width, height, scale, corner[0], corner[1]), tuple(warnings)


def covering(width: int, height: int, canvas: Canvas, *, max_side: int) -> Placement | None:
    """Find where a photo lies whose product is not kept: centred, covering the canvas.

    Args:
        width: Of the photo, in pixels.
        height: Of the photo, in pixels.
        canvas: What is asked for; padding and position, which a product needs, are left out.
        max_side: The longer side of a result in pixels, at most.

    Returns:
        The placement in the frame of `limited`; None where no other size or shape is asked for.
    """
    width, height = limited(width, height, max_side)
    if canvas.size is not None:
        wide, high = canvas.size
    elif canvas.aspect is not None:
        wide = max(1, round(min(width, height * canvas.aspect)))
        high = max(1, round(min(height, width / canvas.aspect)))
    else:
        return None
    scale = max(wide / width, high / height)
    return Placement(wide, high, scale, (wide - width * scale) / 2, (high - height * scale) / 2)


def _axes(product: Product, canvas: Canvas, opaque_photo: bool | None) -> tuple[_Axis, _Axis]:
    height, width = product.alpha.shape
    left, top, wide, high = cv2.boundingRect((product.alpha >= SEEN).astype(np.uint8))
    if wide == 0:
        raise InvalidRequest("product_mask: it marks nothing that could be placed")
    alpha = product.alpha
    across = (_is_cut(alpha[:, 0], high), _is_cut(alpha[:, -1], high))
    down = (_is_cut(alpha[0], wide), _is_cut(alpha[-1], wide))
    trimmed = (wide, high) == (width, height)
    if opaque_photo is False:
        trimmed = wide == width or high == height
    if trimmed:
        across = down = (False, False)
    x, y = _wishes(canvas)
    return _Axis(width, left, wide, across, x), _Axis(height, top, high, down, y)


def _is_cut(border: npt.NDArray[np.uint8], side: int) -> bool:
    """Whether a line at the photo's border goes through a product whose box is so long there."""
    marked = np.diff((border >= 128).astype(np.int8), prepend=0, append=0)
    runs = np.flatnonzero(marked < 0) - np.flatnonzero(marked > 0)
    return bool(runs.max(initial=0) >= max(_CUT_PIXELS, _CUT_SHARE * side))


def _wishes(canvas: Canvas) -> tuple[Wish | None, Wish | None]:
    """What the position says of each direction; shares of the canvas are the middle's."""
    if canvas.position is None:
        return None, None
    if isinstance(canvas.position, tuple) or canvas.position == "center":
        return "middle", "middle"
    named: dict[str, Wish] = {"left": "low", "right": "high", "top": "low", "bottom": "high"}
    words = canvas.position.split("-")
    across = [named[word] for word in words if word in ("left", "right")]
    down = [named[word] for word in words if word in ("top", "bottom")]
    return (across[0] if across else None), (down[0] if down else None)


def _sized(axes: tuple[_Axis, _Axis], canvas: Canvas, max_side: int) -> tuple[int, int, float]:
    """The canvas's width and height, and the scale at which the product comes to it."""
    across, down = axes
    if canvas.size is not None:
        return *canvas.size, 1.0
    if canvas.aspect is None:
        return across.photo, down.photo, 1.0
    beside = _MARGIN * min(across.photo, down.photo)
    # Cut out of the photo where that holds the product, else extended until it does.
    high = max(
        min(down.photo, across.photo / canvas.aspect),
        down.with_room(beside),
        across.with_room(beside) / canvas.aspect,
    )
    wide = high * canvas.aspect
    scale = min(1.0, max_side / max(wide, high))
    return max(1, round(wide * scale)), max(1, round(high * scale)), scale


def _check_room(reach: list[float], canvas: Canvas, sides: tuple[int, int]) -> None:
    if min(reach) >= _LEAST_ROOM:
        return
    padding = canvas.padding or 0.0
    width, height = sides
    shorter = min(width, height)
    most = max(0.0, 0.5 - _LEAST_ROOM / 2 / shorter)
    if not isinstance(canvas.position, tuple) or padding > most:
        raise InvalidRequest(
            f"padding: {padding:g} leaves no room for the product on {width} x {height} pixels; "
            f"send {int(most * 100) / 100:g} or less"
        )
    least = [(padding * shorter + _LEAST_ROOM / 2) / side for side in sides]
    across, down = (f"from {share:.3f} to {1 - share:.3f}" for share in least)
    kept = f" with padding {padding:g}" if padding else ""
    raise InvalidRequest(
        f"product_position: no room for the product around {canvas.position[0]:g},"
        f"{canvas.position[1]:g}{kept}; X {across} and Y {down} can be"
    )


def _cuts(
    axes: tuple[_Axis, _Axis],
    begins: list[float],
    sides: tuple[int, int],
    scale: float,
    *,
    all_round: bool,
) -> list[str]:
    """A warning where a side that the photo's border cuts ends inside the canvas."""
    all_round = all_round and all(axis.length == axis.photo for axis in axes)
    inside = []
    for axis, begin, side, names in zip(axes, begins, sides, _SIDES, strict=True):
        ends = (begin > _NEAR, begin + axis.length * scale < side - _NEAR)
        cut = (True, True) if all_round else axis.cut
        inside += [name for name, cuts, end in zip(names, cut, ends, strict=True) if cuts and end]
    return [CUT.format(" and ".join(inside))] if inside else []
