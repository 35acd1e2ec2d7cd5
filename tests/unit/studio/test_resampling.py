"""Products and pictures on canvases."""

from __future__ import annotations

import numpy as np
import pytest
from product_scenes import scene

from deployments.composition import Canvas, Placement
from deployments.jobs import Product
from deployments.studio.foreground import estimate_foreground
from deployments.studio.placing import place
from deployments.studio.resampling import covered, placed


def vase() -> Product:
    pixels, alpha, _ = scene()
    return Product(estimate_foreground(pixels, alpha), alpha)


def disc(side: int, radius: float, middle: tuple[float, float]) -> Product:
    """A red disc with a soft edge on green that shows nowhere, drawn exactly."""
    y, x = np.mgrid[0:side, 0:side] + 0.5
    away = np.hypot(x - middle[0], y - middle[1])
    alpha = np.rint((radius - away + 0.5).clip(0, 1) * 255).astype(np.uint8)
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[...] = (0, 255, 0)
    pixels[alpha > 0] = (200, 40, 30)
    return Product(pixels, alpha)


def middle_of(alpha: np.ndarray) -> tuple[float, float]:
    y, x = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]] + 0.5
    return float((x * alpha).sum() / alpha.sum()), float((y * alpha).sum() / alpha.sum())


@pytest.mark.parametrize(("left", "top"), [(0, 0), (70, 33), (-90, -50), (-200, 210), (900, 0)])
def test_at_scale_one_pixels_come_bit_for_bit(left: int, top: int) -> None:
    product = vase()
    result = placed(product, Placement(620, 500, 1, left, top))
    alpha = np.zeros((500, 620), np.uint8)
    pixels = np.zeros((500, 620, 3), np.uint8)
    y, x = np.nonzero(product.alpha)
    inside = (y + top >= 0) & (y + top < 500) & (x + left >= 0) & (x + left < 620)
    y, x = y[inside], x[inside]
    alpha[y + top, x + left] = product.alpha[y, x]
    pixels[y + top, x + left] = product.pixels[y, x]
    assert np.array_equal(result.alpha, alpha)
    assert np.array_equal(result.pixels[alpha > 0], pixels[alpha > 0])


@pytest.mark.parametrize("scale", [0.11, 0.37, 0.5, 0.93, 1.07, 2, 3.3])
@pytest.mark.parametrize("offset", [0.0, 0.31, -7.77])
def test_it_lies_where_it_is_placed(scale: float, offset: float) -> None:
    drawn = disc(300, 110, (160.25, 140.5))
    result = placed(drawn, Placement(1000, 1000, scale, 10 + offset, 20 - offset))
    x, y = middle_of(result.alpha.astype(float))
    assert x == pytest.approx(10 + offset + 160.25 * scale, abs=0.05)
    assert y == pytest.approx(20 - offset + 140.5 * scale, abs=0.05)
    area = np.pi * (110 * scale) ** 2
    assert result.alpha.sum() / 255 == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("scale", [0.2, 0.8, 1.4, 3])
def test_no_colour_comes_from_what_is_clear_and_nothing_rings(scale: float) -> None:
    result = placed(disc(300, 110, (150, 150)), Placement(900, 900, scale, 3.3, 4.7))
    seen = result.alpha >= 32
    assert np.abs(result.pixels[seen].astype(int) - (200, 40, 30)).max() <= 8
    assert np.abs(result.pixels[result.alpha == 255].astype(int) - (200, 40, 30)).max() <= 1
    y, x = np.mgrid[0:900, 0:900] + 0.5
    away = np.hypot(x - 3.3 - 150 * scale, y - 4.7 - 150 * scale)
    assert (result.alpha[away < 110 * scale - max(3, 3 * scale)] == 255).all()
    assert (result.alpha[away > 110 * scale + max(3, 3 * scale)] == 0).all()


def test_fine_patterns_become_their_mean() -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = np.repeat(checks[..., None], 3, axis=2)
    alpha = np.zeros((400, 400), np.uint8)
    alpha[50:350, 50:350] = 255
    result = placed(Product(pixels, alpha), Placement(200, 200, 0.4, 10, 10))
    inner = result.pixels[40:140, 40:140].astype(int)
    assert np.abs(inner - 127).max() <= 12


def test_what_the_photos_border_cuts_has_a_sharp_edge_where_that_lies_at_the_canvass() -> None:
    alpha = np.zeros((300, 200), np.uint8)
    alpha[100:, 40:160] = 255
    cut = Product(np.full((300, 200, 3), 90, np.uint8), alpha)
    for size in ((500, 900), (150, 170)):
        placement, _ = place(cut, Canvas(size=size, padding=0.1), max_side=1536)
        assert placement is not None
        result = placed(cut, placement)
        middle = slice(size[0] // 2 - 20, size[0] // 2 + 20)
        assert (result.alpha[-1, middle] == 255).all()
        assert (result.pixels[-1, middle] == 90).all()


@pytest.mark.parametrize("scale", [0.7, 1.9])
def test_a_product_ends_where_its_photo_ends(scale: float) -> None:
    full = Product(np.full((100, 100, 3), 90, np.uint8), np.full((100, 100), 255, np.uint8))
    result = placed(full, Placement(300, 300, scale, 20.25, 30.5))
    rows = result.alpha[:, 50].astype(float) / 255
    assert rows.sum() == pytest.approx(100 * scale, abs=0.02)
    assert rows[30] == pytest.approx(0.5, abs=0.01)
    assert result.alpha[50, 20] == pytest.approx(0.75 * 255, abs=2)


def test_what_is_told_of_the_product_stays() -> None:
    product = vase()
    told = Product(product.pixels, product.alpha, found=True, warnings=("w",), certainty=0.5)
    result = placed(told, Placement(400, 400, 0.5, 0, 0))
    assert (result.found, result.warnings, result.certainty) == (True, ("w",), 0.5)


def test_a_picture_covers_a_canvas_centred() -> None:
    y, x = np.mgrid[0:200, 0:400]
    pixels = np.stack([x // 2, y, 0 * x], axis=2).astype(np.uint8)
    square = covered(pixels, 100, 100).astype(int)
    y, x = np.mgrid[0:100, 0:100]
    # The middle 200 columns of 400, at half the size.
    assert np.abs(square[..., 0] - (50 + x)).max() <= 2
    assert np.abs(square[..., 1] - 2 * y - 1).max() <= 2
    assert covered(pixels, 400, 200) is pixels
    assert covered(pixels[:1, :1], 64, 80).shape == (80, 64, 3)


def test_a_covered_canvas_does_not_alias() -> None:
    checks = (np.indices((1000, 1400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = covered(np.repeat(checks[..., None], 3, axis=2), 100, 100)
    assert np.abs(small.astype(int) - 127).max() <= 3
