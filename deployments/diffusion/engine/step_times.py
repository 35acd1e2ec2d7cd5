"""How long forwards take, from those that were measured. Knows no jobs, threads or tensors."""

from __future__ import annotations

from collections import OrderedDict

_NEWEST_SHARE = 0.2
"""Weight of the newest measurement in the moving average."""

_KINDS = 1024
"""Kinds of forwards that are remembered, by picture size and rows."""


class Pace:
    """The device's speed so far.

    Attributes:
        row_pixel_s: Seconds for one pixel of one row: a moving average; None before the first
            measurement.
    """

    def __init__(self) -> None:
        self.row_pixel_s: float | None = None
        self._last: OrderedDict[tuple[int, int, int], float] = OrderedDict()

    def measured(self, height: int, width: int, rows: int, taken_s: float) -> float:
        """Take in one forward, and say what it is worth.

        A first forward may compile something, and any may be held up. Whose forward that was is
        chance, so its jobs are not to pay for it.

        Args:
            height: Of its pictures, in pixels.
            width: Of its pictures, in pixels.
            rows: How many it had.
            taken_s: Seconds it took.

        Returns:
            Seconds, `taken_s` at most: what the last one of that kind took if that was less, and
            for the first of a kind what the average makes of it; 0 for the first of all.
        """
        kind = (height, width, rows)
        average, newest = self.row_pixel_s, taken_s / (rows * height * width)
        if average is None:
            self.row_pixel_s = newest
            expected = 0.0
        else:
            self.row_pixel_s = average + _NEWEST_SHARE * (newest - average)
            expected = self._last.get(kind, average * rows * height * width)
        self._last[kind] = taken_s
        self._last.move_to_end(kind)
        if len(self._last) > _KINDS:
            self._last.popitem(last=False)
        return min(taken_s, expected)
