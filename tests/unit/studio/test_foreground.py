"""The old background out of the product's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from product_scenes import bottle, scene

from deployments.jobs import Photo
from deployments.studio.foreground import cut_out, estimate_foreground, plain_surface
from deployments.studio.matting import refine


def test_the_old_background_leaves_the_colours() -> None:
    pixels, alpha, colours = scene()
    mixed = (alpha > 25) & (alpha < 230)
    estimated = estimate_foreground(pixels, alpha).astype(int)
    assert np.abs(pixels.astype(int) - colours)[mixed].mean() > 40
    assert np.abs(estimated - colours)[mixed].mean() < 4


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


def test_what_is_behind_wide_glass_is_taken_out() -> None:
    """The pane is 150 pixels wide; the ground is lit unevenly, as studio grounds are."""
    pixels, alpha, colours = bottle()
    pane = (alpha > 60) & (alpha < 120)
    estimated = estimate_foreground(pixels, alpha).astype(int)
    assert np.abs(pixels.astype(int) - colours)[pane].mean() > 30
    assert np.abs(estimated - colours)[pane].mean() < 4


def test_a_sharp_ground_is_no_plain_surface() -> None:
    pixels, alpha, _ = bottle()
    seen = np.where(alpha == 0, 255, 0).astype(np.uint8)
    surface = plain_surface(pixels, seen)
    assert surface is not None
    smooth = cv2.resize(surface, seen.shape[::-1])
    assert np.abs(smooth - pixels)[alpha == 0].mean() < 2
    noise = np.random.default_rng(2).integers(0, 256, pixels.shape, np.uint8)
    assert plain_surface(cv2.GaussianBlur(noise, (0, 0), 9) * np.uint8(3), seen) is None
    assert plain_surface(pixels, seen * 0) is None


def test_nothing_is_copied_where_nothing_is_mixed() -> None:
    pixels, alpha, _ = scene()
    hard = (alpha >= 128).astype(np.uint8) * np.uint8(255)
    assert estimate_foreground(pixels, hard) is pixels
