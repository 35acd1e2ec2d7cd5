"""Alpha at the real edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from product_scenes import overlap, scene

from deployments.jobs import Mask
from deployments.studio.matting import refine


def rough(alpha: Mask, off: int = 4) -> Mask:
    """What a network of few pixels makes of an outline: moved, and blurred."""
    moved = np.roll((alpha >= 128).astype(np.uint8) * np.uint8(255), off, axis=1)
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), 3), np.uint8)


@pytest.mark.parametrize(("off", "reach"), [(4, 10), (9, 24)])
def test_refine_follows_the_real_edge(off: int, reach: int) -> None:
    pixels, alpha, _ = scene()
    coarse = rough(alpha, off)
    refined = refine(pixels, coarse, reach)
    assert overlap(coarse, alpha) < 0.95
    assert overlap(refined, alpha) > 0.985


def test_refine_is_hard_away_from_the_edge() -> None:
    pixels, alpha, _ = scene()
    refined = refine(pixels, rough(alpha), reach=10)
    outline = cv2.morphologyEx((alpha >= 128).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
    away = cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5)
    assert set(np.unique(refined[away > 4])) == {0, 255}
    soft = (refined > 0) & (refined < 255)
    assert 0 < soft.sum() < 2 * outline.sum()


def test_refine_leaves_a_precise_mask_beyond_reach_alone() -> None:
    pixels, alpha, _ = scene()
    drawn = (alpha >= 128).astype(np.uint8) * np.uint8(255)
    drawn[100:150, :60] = 255  # marked by the caller, and no edge of the picture is near
    drawn[220:260, 220:260] = 0
    refined = refine(pixels, drawn, reach=2)
    assert (refined[108:142, :52] == 255).all()
    assert (refined[228:252, 228:252] == 0).all()


def test_refine_draws_a_smooth_outline_where_both_sides_look_alike() -> None:
    """Cream before white, in the blocks that JPEG leaves."""
    _, alpha, _ = scene()
    blocks = np.random.default_rng(0).integers(228, 233, (50, 60, 3), np.uint8)
    pixels = np.repeat(np.repeat(blocks, 8, axis=0), 8, axis=1)
    refined = refine(pixels, alpha, reach=4)
    outline = cv2.morphologyEx((alpha >= 128).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
    assert overlap(refined, alpha) > 0.97
    assert ((refined > 0) & (refined < 255)).sum() < outline.sum()


def test_refine_goes_no_further_than_reach() -> None:
    pixels, alpha, _ = scene()
    coarse = rough(alpha, 9)
    inside = (coarse >= 128).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    distance += cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    far = distance > 5
    assert np.array_equal(refine(pixels, coarse, reach=4)[far], inside[far] * 255)


def test_refine_works_at_full_resolution() -> None:
    pixels, alpha, _ = scene()
    size = (4 * pixels.shape[1], 4 * pixels.shape[0])
    large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    true = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)
    refined = refine(large, cv2.resize(rough(alpha), size), reach=40)
    assert refined.shape == true.shape
    assert overlap(refined, true) > 0.985
    assert ((refined > 0) & (refined < 255)).mean() < 0.04
