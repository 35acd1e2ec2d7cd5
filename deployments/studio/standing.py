"""Tells from a product's outline what of it stands on the ground, and where."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask

Floats = npt.NDArray[np.float32]
Columns = npt.NDArray[np.intp]

_SHOWN = 64
"""Alpha from this on is the thing itself: glass is, a soft border is not."""
_LEAST = 0.01
"""A part smaller than this share of the product decides nothing."""
_HUNG_BY = 0.3
"""What touches the upper border with less of its width than this hangs there."""
_CUT = 0.05
"""Share of its columns that may end at the lower border before a part goes on below it."""
_GENTLE, _STEEP = 0.3, 0.65
"""Slopes of an underside that lies on the ground, and of one that does not. A box or a base seen
from above rises to its sides with less than 0.5, a hanging belly soon with more."""
_LEVEL, _OFF = 0.15, 0.35
"""How high above its lowest place a part may still stand, as shares of its width: the feet behind
are further up in the picture than those before."""
_TILT = 0.35
"""Slope of the whole ground line from which a part does not stand but lie askew."""
_LEAN = 0.1
"""How far beside its feet, as a share of its width, a part's middle may lie."""
_NARROWEST = 0.1
"""A part that touches the ground with less of its width than this would fall over."""
_MOST = 0.6
"""Share of the product that must stand, or the picture is one seen from above."""
_BEHIND = 0.35
"""How much higher than the foremost part another may stand, as a share of the whole width."""


@dataclass(frozen=True, slots=True, eq=False)
class Footing:
    """One part of a product that stands, in pixels of the outline that was looked at.

    Attributes:
        left: Its first column.
        underside: float32 [n]: by column, the lower border of its lowest pixel.
        firm: float32 [n]: how surely the column touches the ground, 0 to 1; somewhere over 0.5.
        tall: Its height in pixels.
        shape: uint8 [height, width], the whole outline's size: its alpha, 0 elsewhere.
    """

    left: int
    underside: Floats
    firm: Floats
    tall: int
    shape: Mask

    @property
    def span(self) -> tuple[int, int]:
        """First and last of its columns that stand, counted from `left`."""
        stands = np.flatnonzero(self.firm > 0.5)
        return int(stands[0]), int(stands[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One connected part of a product, and what it stands with, if it does."""

    box: tuple[int, int, int, int]
    area: int
    footing: Footing | None

    @property
    def bottom(self) -> int:
        return self.box[1] + self.box[3]


def standing(alpha: Mask) -> tuple[Footing, ...]:
    """Find what of a product stands on the ground.

    Each connected part is looked at by itself. Its underside is the lowest pixel of each column,
    and what of that is nearly level and not far above the lowest place lies on the ground, unless
    something beside it reaches lower: so feet do, and the handle of a cup does not. A part stands
    if its middle is over its feet. Nothing stands where a narrow cord holds it at the picture's
    upper border, where the lower border cuts it, and where it touches the ground with a tip.
    Of things that lie about, as seen from above, most do not stand: then none of them does.

    An outline cannot tell all. A plate, or a shirt with a straight hem, that is seen from above has
    the outline of a thing that stands.

    Args:
        alpha: uint8 [height, width]: the product; some hundred pixels are enough.

    Returns:
        What stands, the foremost last; empty where nothing does.
    """
    shown = np.asarray(cv2.inRange(alpha, _SHOWN, 255), np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(shown)
    if count < 2:
        return ()
    areas = stats[1:, cv2.CC_STAT_AREA]
    parts = []
    for label in np.flatnonzero(areas >= _LEAST * areas.sum()) + 1:
        x, y, width, height, area = (int(value) for value in stats[label])
        box = (x, y, width, height)
        inside = labels[y : y + height, x : x + width] == label
        footing = _footing(alpha, inside, box, float(centres[label][0]))
        parts.append(_Part(box, area, footing))
    lowest = max(part.bottom for part in parts)
    left = min(part.box[0] for part in parts)
    wide = max(part.box[0] + part.box[2] for part in parts) - left
    firm = [
        part
        for part in parts
        if part.footing is not None
        and lowest - part.bottom <= _BEHIND * wide
        and not any(_is_over(part, other) for other in parts)
    ]
    if sum(part.area for part in firm) < _MOST * sum(part.area for part in parts):
        return ()
    firm.sort(key=lambda part: part.bottom)
    return tuple(part.footing for part in firm if part.footing is not None)


def _is_over(part: _Part, other: _Part) -> bool:
    """Whether a part is in the air above another."""
    shared = min(part.box[0] + part.box[2], other.box[0] + other.box[2])
    shared -= max(part.box[0], other.box[0])
    return part.bottom <= other.box[1] and shared > 0.5 * min(part.box[2], other.box[2])


def _footing(
    alpha: Mask, inside: npt.NDArray[np.bool_], box: tuple[int, int, int, int], middle: float
) -> Footing | None:
    """What one part stands with; None where it does not."""
    x, y, width, height = box
    if width < 3 or height < 2:
        return None
    if y == 0 and np.count_nonzero(inside[0]) < _HUNG_BY * width:
        return None
    lowest = height - 1 - inside[::-1].argmax(axis=0)
    if y + height == alpha.shape[0] and np.mean(lowest == height - 1) > _CUT:
        return None
    underside = _below_pixel(alpha, x, y + lowest)
    firm = _firmness(underside)
    stands = np.flatnonzero(firm > 0.5)
    if stands.size < 2:
        return None
    first, last = int(stands[0]), int(stands[-1])
    if last - first + 1 < _NARROWEST * width:
        return None
    tilt = np.polyfit(stands, underside[stands], 1)[0] if stands.size > 2 else 0.0
    lean = _LEAN * width
    # Beyond the picture's border nobody sees where the middle is.
    left_of = middle - x < first - lean and x > 0
    right_of = middle - x > last + lean and x + width < alpha.shape[1]
    if abs(tilt) > _TILT or left_of or right_of:
        return None
    shape = np.zeros_like(alpha)
    part = shape[y : y + height, x : x + width]
    np.copyto(part, alpha[y : y + height, x : x + width], where=inside)
    return Footing(x, underside, firm, height, shape)


def _below_pixel(alpha: Mask, left: int, lowest: Columns) -> Floats:
    """The lower border of each column's lowest pixel, by how much the one below it shows."""
    columns = np.arange(left, left + lowest.size)
    beyond = np.minimum(lowest + 1, alpha.shape[0] - 1)
    share = np.where(beyond > lowest, alpha[beyond, columns], 0) / np.float32(255)
    # A part may go on below a gap: what is there is not its own border.
    return (lowest + 1 + np.minimum(share, np.float32(_SHOWN / 255))).astype(np.float32)


def _firmness(underside: Floats) -> Floats:
    """How surely each column touches the ground: float32 [n], 0 to 1."""
    width = underside.size
    slope = _slope(underside, max(2, round(0.015 * width)))
    rise = (underside.max() - underside) / width
    firm = _falling(slope, _GENTLE, _STEEP) * _falling(rise, _LEVEL, _OFF)
    # Level pieces. One beside another that reaches lower is in the air.
    level = np.flatnonzero(slope < _STEEP)
    if level.size == 0:
        return np.zeros(width, np.float32)
    begins = (np.diff(level) > 1) | (np.abs(np.diff(underside[level])) > 2)
    piece = np.concatenate([[0], np.cumsum(begins)])
    reach = np.full(piece[-1] + 1, -np.inf)
    np.maximum.at(reach, piece, underside[level])
    beside = np.maximum(
        np.concatenate([[-np.inf], reach[:-1]]), np.concatenate([reach[1:], [-np.inf]])
    )
    stands = beside <= reach + max(1.0, 0.01 * width)
    firm[np.setdiff1d(np.arange(width), level[stands[piece]])] = 0
    return firm


def _slope(underside: Floats, step: int) -> Floats:
    """The lesser of the slopes to both sides: at the end of a foot only one is the foot's."""
    change = np.abs(underside[step:] - underside[:-step]) / step
    endless = np.full(step, np.inf, np.float32)
    slope = np.minimum(np.concatenate([change, endless]), np.concatenate([endless, change]))
    return np.where(np.isfinite(slope), slope, np.float32(0)).astype(np.float32)


def _falling(values: Floats, full: float, none: float) -> Floats:
    """1 up to `full`, 0 from `none` on, and smooth between."""
    share = ((none - values) / (none - full)).clip(0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
