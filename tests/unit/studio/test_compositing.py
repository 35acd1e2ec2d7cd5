"""The product's own pixels over a generated background."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from product_scenes import HEIGHT, WIDTH, scene

from deployments.jobs import Pixels, Product
from deployments.studio.compositing import compose, limit
from deployments.studio.foreground import estimate_foreground

BACKGROUND = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def vase() -> Product:
    pixels, alpha, _ = scene()
    return Product(estimate_foreground(pixels, alpha), alpha)


def composed(product: Product, background: Pixels = BACKGROUND) -> Pixels:
    return compose(background, product)


def test_the_core_is_the_photos_and_the_rest_the_models() -> None:
    pixels, alpha, _ = scene()
    result = composed(vase())
    assert np.array_equal(result[alpha == 255], pixels[alpha == 255])
    assert np.array_equal(result[alpha == 0], BACKGROUND[alpha == 0])


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_blending_rounds_to_the_nearest(front: int, back: int, weight: int) -> None:
    product = Product(np.full((2, 2, 3), front, np.uint8), np.full((2, 2), weight, np.uint8))
    result = composed(product, np.full((2, 2, 3), back, np.uint8))
    exact = (front * weight + back * (255 - weight)) / 255
    assert np.abs(result - exact).max() <= 0.5


def test_no_halo_of_the_old_background() -> None:
    """A red vase photographed before green shows no green before grey."""
    result = composed(vase(), np.full((32, 32, 3), 120, np.uint8)).astype(int)
    greener = result[..., 1] - np.maximum(result[..., 0], result[..., 2])
    assert greener.max() <= 12
    photo = scene().pixels.astype(int)
    assert (photo[..., 1] - np.maximum(photo[..., 0], photo[..., 2])).max() > 60


def test_a_working_size_becomes_the_photos() -> None:
    y, x = np.mgrid[0:96, 0:112]
    result = composed(
        Product(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)),
        np.stack([x, y, x], axis=2).astype(np.uint8),
    )
    assert result.shape == (HEIGHT, WIDTH, 3)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    inside = (slice(20, -20), slice(20, -20))
    assert np.abs(result[..., 0] - ((x + 0.5) / WIDTH * 112 - 0.5))[inside].max() < 1
    assert np.abs(result[..., 1] - ((y + 0.5) / HEIGHT * 96 - 0.5))[inside].max() < 1


@pytest.mark.parametrize(("side", "size"), [(240, (200, 240)), (479, (399, 479)), (64, (53, 64))])
def test_large_photos_give_smaller_results(side: int, size: tuple[int, int]) -> None:
    smaller = limit(vase(), side)
    assert smaller.alpha.shape == size
    assert smaller.pixels.shape == (*size, 3)
    result = composed(smaller)
    assert np.array_equal(result[smaller.alpha == 255], smaller.pixels[smaller.alpha == 255])


def test_small_products_are_left_alone() -> None:
    product = vase()
    assert limit(product, WIDTH) is product


def test_the_core_stays_opaque_when_it_shrinks() -> None:
    product = vase()
    core = cv2.erode((product.alpha == 255).astype(np.uint8), np.ones((7, 7)))
    smaller = limit(product, 240)
    deep = cv2.resize(core, (240, 200), interpolation=cv2.INTER_AREA) == 1
    assert deep.sum() > 1000
    assert (smaller.alpha[deep] == 255).all()
    clear = cv2.resize((product.alpha > 0).astype(np.uint8), (240, 200)) == 0
    assert smaller.alpha[clear].max() <= 16


def test_the_shadow_lies_under_the_product() -> None:
    product = vase()
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    lit = composed(product, white)
    shaded = compose(white, product, "contact", 0.6)
    darker = lit.astype(int) - shaded
    assert np.array_equal(shaded[product.alpha == 255], lit[product.alpha == 255])
    assert darker.min() >= 0
    bottom = int(np.flatnonzero((product.alpha >= 128).any(axis=1))[-1])
    assert darker[bottom + 3, 240].min() > 30
    assert darker[: bottom - 80].max() <= 2
    assert darker[bottom + 40 :].max() <= 2


def test_a_darker_shadow_is_darker() -> None:
    product, white = vase(), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    means = [compose(white, product, "contact", dark).mean() for dark in (0, 0.3, 1)]
    assert means == sorted(means, reverse=True)
    assert len(set(means)) == 3


@pytest.mark.parametrize("rows", [slice(0, 0), slice(0, 1), slice(30, 40), slice(0, 40)])
def test_a_shadow_needs_no_room(rows: slice) -> None:
    alpha = np.zeros((40, 30), np.uint8)
    alpha[rows, 5:25] = 255
    product = Product(np.full((40, 30, 3), 99, np.uint8), alpha)
    result = compose(BACKGROUND, product, "contact", 1)
    assert result.shape == (40, 30, 3)
    assert (result[alpha == 255] == 99).all()
