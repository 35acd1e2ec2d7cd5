"""What a model lets a product bleed into its scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deployments.jobs import Mask, Pixels
from deployments.studio.fringes import without_fringe


def bled(side: int = 256) -> tuple[Pixels, Pixels, Mask]:
    """A grainy blue scene, the same with a red disc that bleeds into it, and the disc's alpha."""
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), side // 4, 255, -1)
    grain = np.random.default_rng(4).normal(0, 6, (side, side, 1))
    clean = np.array([60, 90, 200]) + np.linspace(-30, 30, side)[:, None, None] + grain
    share = (cv2.GaussianBlur(alpha, (0, 0), 5).astype(float) / 255)[..., None]
    mixed = clean * (1 - share) + np.array([200, 40, 30]) * share
    clean, mixed = (np.rint(one).clip(0, 255).astype(np.uint8) for one in (clean, mixed))
    return clean, mixed, alpha


def around(alpha: Mask, low: float, high: float) -> np.ndarray:
    away = cv2.distanceTransform((alpha == 0).astype(np.uint8), cv2.DIST_L2, 5)
    return (away > low) & (away <= high)


def test_the_scenes_colour_goes_on_up_to_the_product() -> None:
    clean, mixed, alpha = bled()
    result = without_fringe(mixed, alpha)
    ring = around(alpha, 0, 8)
    before = np.abs(mixed[ring].astype(int).mean(axis=0) - clean[ring].mean(axis=0)).max()
    after = np.abs(result[ring].astype(int).mean(axis=0) - clean[ring].mean(axis=0)).max()
    assert before > 15
    assert after < 5


def test_the_grain_stays() -> None:
    _, mixed, alpha = bled()
    ring = around(alpha, 0, 8)

    def noise(picture: Pixels) -> float:
        values = picture.astype(np.float32)
        return float(np.abs(values - cv2.GaussianBlur(values, (0, 0), 1.5))[ring].mean())

    assert noise(without_fringe(mixed, alpha)) == pytest.approx(noise(mixed), rel=0.1)


def test_the_scene_elsewhere_and_deep_in_the_product_stays_bit_for_bit() -> None:
    _, mixed, alpha = bled()
    result = without_fringe(mixed, alpha)
    for same in (around(alpha, 14, 300), cv2.erode(alpha, np.ones((7, 7))) > 0):
        assert np.array_equal(result[same], mixed[same])


def test_a_product_at_the_results_size_is_found_in_a_smaller_scene() -> None:
    _, mixed, alpha = bled()
    larger = cv2.resize(alpha, (600, 600), interpolation=cv2.INTER_NEAREST)
    one, two = without_fringe(mixed, larger).astype(int), without_fringe(mixed, alpha)
    ring = around(alpha, 0, 8)
    assert np.abs(one[ring].mean(axis=0) - two[ring].mean(axis=0)).max() < 2


@pytest.mark.parametrize("level", [0, 255])
def test_without_an_outline_there_is_no_fringe(level: int) -> None:
    _, mixed, alpha = bled()
    assert without_fringe(mixed, np.full_like(alpha, level)) is mixed


def test_what_is_between_two_products_is_bounded() -> None:
    """A gap narrower than what is beyond takes the colours that are nearest."""
    alpha = np.full((128, 128), 255, np.uint8)
    alpha[60:68] = 0
    alpha[:10] = 0
    scene = np.full((128, 128, 3), 100, np.uint8)
    assert np.array_equal(without_fringe(scene, alpha), scene)
