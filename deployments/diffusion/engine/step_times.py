"""How long forwards take, by the forwards that were measured."""

from __future__ import annotations

from collections import OrderedDict

from deployments.diffusion.compute.capacity import pixels_in
from deployments.diffusion.engine.fair_queue import Size

_NEWEST_SHARE = 0.2
"""Weight of the newest measurement in the moving average."""

_KINDS = 1024
"""Kinds of forwards that are remembered, by picture size and rows."""


class StepTimes:
    """The measured times of forwards.

    Attributes:
        row_pixel_s: Seconds for one pixel of one row, a moving average; None before the first
            measurement.
    """

    def __init__(self) -> None:
        self.row_pixel_s: float | None = None
        self._last: OrderedDict[tuple[Size, int], float] = OrderedDict()

    def measured(self, size: Size, rows: int, taken_s: float) -> float:
        """Take in a forward, and say how many of its seconds its jobs are charged.

        The first forward of a kind may compile something, and any forward may be held up. It is
        chance which jobs are in it, so these are not charged for the delay.

        Args:
            size: That of its jobs.
            rows: Rows it had.
            taken_s: Seconds it took.

        Returns:
            `taken_s`, or the seconds of the last forward of the same size and rows if those were
            fewer. The first of a kind is compared with what the average predicts for it. The first
            forward of all is charged 0.
        """
        kind = (size, rows)
        row_pixels = rows * pixels_in(size)
        average, newest = self.row_pixel_s, taken_s / row_pixels
        if average is None:
            self.row_pixel_s = newest
            expected = 0.0
        else:
            self.row_pixel_s = average + _NEWEST_SHARE * (newest - average)
            expected = self._last.get(kind, average * row_pixels)
        self._last[kind] = taken_s
        self._last.move_to_end(kind)
        if len(self._last) > _KINDS:
            self._last.popitem(last=False)
        return min(taken_s, expected)
