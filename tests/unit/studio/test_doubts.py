"""What is said about a cut-out that a search made: what it left out, kept or was unsure of."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, bottle, chain, overlap, scene

from deployments.jobs import Mask, Photo, Pixels
from deployments.studio.doubts import certainty, ground_of, left_out, seen_through
from deployments.studio.finders import ProductFinder
from deployments.studio.segmentation import (
    PARTS_LEFT_OUT,
    SEEN_THROUGH,
    THIN_LEFT_OUT,
    UNSURE,
    ProductNotFound,
    find_product,
)


class Sees(ProductFinder):
    """A finder that marks what it is told to in a whole picture, and all that is dark in a part."""

    def __init__(self, marked: Mask) -> None:
        self._marked = marked

    def coarse(self, pixels: Pixels) -> Mask:
        if pixels.shape[:2] == self._marked.shape:
            return self._marked
        return np.where(pixels.max(axis=2) < 120, 255, 0).astype(np.uint8)


def warnings(pixels: Pixels, marked: Mask) -> tuple[str, ...]:
    return find_product(Photo(pixels), None, Sees(marked)).warnings


@pytest.mark.parametrize("wall", [(40, 180, 70), (240, 240, 240), (30, 30, 34)])
def test_nothing_is_said_of_a_good_cut_out(wall: tuple[int, int, int]) -> None:
    pixels, alpha, _ = scene(wall)
    assert warnings(pixels, alpha) == ()


@pytest.mark.parametrize("width", [2, 4])
def test_a_chain_that_is_lost_is_told(width: int) -> None:
    pixels, alpha, _ = chain(width)
    pendant = alpha.copy()
    pendant[:625] = 0
    assert warnings(pixels, pendant) == (THIN_LEFT_OUT,)
    assert warnings(pixels, alpha) == ()


def test_a_separate_part_that_is_lost_is_told() -> None:
    pixels, alpha, _ = scene()
    cv2.circle(pixels, (60, 330), 22, (200, 60, 40), -1)
    assert warnings(pixels, alpha) == (PARTS_LEFT_OUT,)
    whole = alpha.copy()
    cv2.circle(whole, (60, 330), 22, 255, -1)
    assert warnings(pixels, whole) == ()


def test_a_shadow_is_not_taken_for_a_part() -> None:
    pixels, alpha, _ = scene((225, 222, 218))
    shade = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(shade, (330, 340), (110, 26), 0, 0, 360, 0.45, -1)
    light = 1 - cv2.GaussianBlur(shade, (0, 0), 16)
    dark = np.where(alpha[..., None] > 0, pixels, pixels * light[..., None]).astype(np.uint8)
    assert np.abs(dark.astype(int) - pixels).max() > 60
    assert warnings(dark, alpha) == ()


def test_what_reaches_the_border_belongs_to_the_room() -> None:
    pixels, alpha, _ = scene((200, 200, 200))
    pixels[40:44] = (120, 110, 100)
    assert warnings(pixels, alpha) == ()


def test_glass_that_keeps_its_ground_is_told() -> None:
    made = bottle()
    outline = np.where(made.alpha > 0, 255, 0).astype(np.uint8)
    assert warnings(made.pixels, outline) == (SEEN_THROUGH,)


def test_an_unsure_search_is_told() -> None:
    pixels, alpha, _ = scene()
    hesitant = alpha.copy()
    hesitant[:, : WIDTH // 2] = np.minimum(hesitant[:, : WIDTH // 2], 150)
    assert UNSURE in warnings(pixels, hesitant)


def test_certainty_is_a_share() -> None:
    coarse = np.zeros((10, 10), np.uint8)
    assert certainty(coarse) == 0
    coarse[:2] = 200
    assert certainty(coarse) == 1
    coarse[2:8] = 50
    assert certainty(coarse) == 0.25
    coarse[8:] = 49
    assert certainty(coarse) == 0.25


def test_a_tiny_product_is_looked_at_from_nearer() -> None:
    pixels = np.full((900, 1200, 3), 214, np.uint8)
    alpha = np.zeros((900, 1200), np.uint8)
    cv2.ellipse(alpha, (700, 500), (20, 26), 0, 0, 360, 255, -1)
    pixels[alpha > 0] = (70, 40, 90)
    assert (alpha > 0).mean() < 0.002
    product = find_product(Photo(pixels), None, Sees(alpha * 0))
    assert overlap(product.alpha, alpha) > 0.95
    (warning,) = product.warnings
    assert warning.startswith("the product is only 0.2% of the photo")


def test_an_empty_ground_stays_empty() -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    ground = np.dstack([200 - x / 9, 190 - y / 9, 205 - x / 12]).astype(np.uint8)
    with pytest.raises(ProductNotFound, match="nothing in the photo stands out"):
        find_product(Photo(ground), None, Sees(np.zeros((HEIGHT, WIDTH), np.uint8)))


def test_of_a_busy_ground_nothing_is_known() -> None:
    _, alpha, _ = scene()
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    assert ground_of(noise, alpha) is None
    assert warnings(noise, alpha) == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 40)])
def test_no_picture_is_too_small(shape: tuple[int, int]) -> None:
    pixels, alpha = np.full((*shape, 3), 90, np.uint8), np.zeros(shape, np.uint8)
    ground = ground_of(pixels, alpha)
    if ground is not None:
        assert left_out(ground, alpha).thin == left_out(ground, alpha).separate == 0
        assert seen_through(ground, alpha) == 0
