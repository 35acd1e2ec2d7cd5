"""The strokes that a person would draw on a cut-out, made from the truth.

One keeps the largest part that is missing, one removes the largest part that is wrong. Each is a
line along the middle of its part, without the fifth at either end, and stays inside it.
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Hints, Mask

Marks = npt.NDArray[np.bool_]
Cell = tuple[int, int]

LEAST = 150
"""Pixels of a part that a person sees and corrects."""
WIDTH = 9
CELL = 4
"""Pixels along a side of a cell that a stroke goes through."""
SEED = 7


def drawn(found: Mask, true: Mask) -> Hints:
    """Hints for a cut-out; none where it has no fault that is large enough.

    Args:
        found: uint8 [height, width]: its alpha.
        true: uint8 [height, width]: what it should be.
    """
    ours, theirs = found >= 128, true >= 128
    noise = np.random.default_rng(SEED)
    keep, remove = (stroke(part, noise) for part in (theirs & ~ours, ours & ~theirs))
    return Hints(keep, remove)


def stroke(parts: Marks, noise: np.random.Generator) -> Mask | None:
    """A line through the largest of some parts."""
    opened = cv2.morphologyEx(parts.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, numbers, facts, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2 or facts[1:, cv2.CC_STAT_AREA].max() < LEAST:
        return None
    part = numbers == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    framed = np.pad(part.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = depth[CELL // 2 :: CELL, CELL // 2 :: CELL]
    deep = np.argwhere(2 * depth >= depth.max())
    begin = tuple(deep[noise.integers(len(deep))])
    end, _ = furthest(depth, begin)
    last, before = furthest(depth, end)
    way = [last]
    while way[-1] != end:
        way.append(before[way[-1]])
    left_out = len(way) // 5
    way = way[left_out : len(way) - left_out]
    points = [(CELL * column + CELL // 2, CELL * row + CELL // 2) for row, column in way]
    mask = np.zeros(part.shape, np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 255, WIDTH)
    mask[~part] = 0
    return mask if mask.any() else None


def furthest(depth: npt.NDArray[np.float32], begin: Cell) -> tuple[Cell, dict[Cell, Cell]]:
    """The cell that is furthest by ways that keep to the middle, and each cell's one before."""
    costs, before, last = {begin: 0.0}, {}, begin
    heap = [(0.0, begin)]
    while heap:
        cost, cell = heapq.heappop(heap)
        if cost > costs[cell]:
            continue
        last = cell
        for down, over in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            row, column = cell[0] + down, cell[1] + over
            if not (0 <= row < depth.shape[0] and 0 <= column < depth.shape[1]):
                continue
            if depth[row, column] <= 0:
                continue
            further = cost + np.hypot(down, over) * (1 + depth.max() / depth[row, column])
            if further < costs.get((row, column), np.inf):
                costs[row, column], before[row, column] = further, cell
                heapq.heappush(heap, (further, (row, column)))
    return last, before
