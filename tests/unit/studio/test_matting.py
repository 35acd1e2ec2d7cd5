"""Alpha at the real edge, and the old background out of the product's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from product_scenes import overlap, scene

from deployments.jobs import Mask, Photo
from deployments.studio.matting import cut_out, estimate_foreground, refine


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


def test_the_old_background_leaves_the_colours() -> None:
    pixels, alpha, colours = scene()
    mixed = (alpha > 25) & (alpha < 230)
    estimated = estimate_foreground(pixels, alpha).astype(int)
    assert np.abs(pixels.astype(int) - colours)[mixed].mean() > 40
    assert np.abs(estimated - colours)[mixed].mean() < 4
    around = (alpha == 0) & (cv2.dilate(alpha, np.ones((9, 9))) > 0)
    assert np.abs(estimated - colours)[around].mean() < 8


def test_opaque_pixels_stay_bit_for_bit() -> None:
    pixels, alpha, _ = scene()
    for repeats in (1, 3):  # the larger one is over the size at which colours are continued
        large, mask = np.tile(pixels, (1, repeats, 1)), np.tile(alpha, (1, repeats))
        estimated = estimate_foreground(large, mask)
        assert np.array_equal(estimated[mask == 255], large[mask == 255])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_picture_can_be_cut_out(height: int, width: int, seed: int) -> None:
    noise = np.random.default_rng(seed)
    pixels = noise.integers(0, 256, (height, width, 3), np.uint8)
    alpha = noise.choice(np.array([0, 3, 128, 254, 255], np.uint8), (height, width))
    for array in (pixels, alpha):
        array.flags.writeable = False
    refined = refine(pixels, alpha, reach=1)
    for photo in (Photo(pixels), Photo(pixels, alpha)):
        product = cut_out(photo, refined)
        assert product.pixels.shape == (height, width, 3)
        assert product.pixels.dtype == product.alpha.dtype == np.uint8
        kept = (product.alpha == 255) & ((alpha == 255) | (photo.alpha is None))
        assert np.array_equal(product.pixels[kept], pixels[kept])


@pytest.mark.parametrize("level", [64, 128, 200])
def test_glass_loses_the_white_it_was_flattened_over(level: int) -> None:
    alpha = np.zeros((60, 60), np.uint8)
    alpha[10:50, 10:50] = level
    alpha[10:50, 10:20] = 255
    colours = np.full((60, 60, 3), (20, 90, 160))
    share = alpha[..., None] / 255
    flat = np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)
    product = cut_out(Photo(flat, alpha), alpha)
    shown = alpha > 0
    assert np.abs(product.pixels[shown].astype(int) - colours[shown]).max() <= 2
    assert np.array_equal(product.alpha, alpha)


def test_a_mask_shows_nothing_that_was_transparent() -> None:
    pixels, alpha, _ = scene()
    everything = np.full_like(alpha, 255)
    assert np.array_equal(cut_out(Photo(pixels, alpha), everything).alpha, alpha)
