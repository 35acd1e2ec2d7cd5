"""How true a result is to its product."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, scene

from deployments.jobs import Fidelity, Photo, Pixels, Product
from deployments.studio.compositing import compose
from deployments.studio.fidelity import measure
from deployments.studio.foreground import cut_out
from deployments.studio.segmentation import ProductFinder


@pytest.fixture(scope="module")
def finder() -> ProductFinder:
    return ProductFinder(threads=1)


@pytest.fixture(scope="module")
def vase() -> Product:
    pixels, alpha, _ = scene()
    return cut_out(Photo(pixels), alpha)


def composed(product: Product, side: int = 1536) -> Pixels:
    y, x = np.mgrid[0:64, 0:64]
    background = np.stack([90 + x, 140 + y, 200 - y], axis=2).astype(np.uint8)
    return compose(background, product, max_output_side=side, contact_shadow=0)


def test_a_composed_result_is_true(vase: Product, finder: ProductFinder) -> None:
    fidelity = measure(composed(vase), vase, finder)
    assert fidelity.pixels == 1.0
    assert fidelity.shape > 0.97
    assert type(fidelity.pixels) is type(fidelity.shape) is float


def test_a_smaller_result_is_measured_at_its_size(vase: Product, finder: ProductFinder) -> None:
    fidelity = measure(composed(vase, side=300), vase, finder)
    assert fidelity.pixels == 1.0
    assert fidelity.shape > 0.97


@pytest.mark.parametrize(("step", "share"), [(1, 1.0), (2, 0.5)])
def test_pixels_counts_what_is_further_than_one_step(
    vase: Product, finder: ProductFinder, step: int, share: float
) -> None:
    result = composed(vase)
    core = np.argwhere(vase.alpha == 255)
    rows, columns = core[: len(core) // 2].T
    result[rows, columns, 2] += step
    assert measure(result, vase, finder).pixels == pytest.approx(share, abs=1e-4)


def test_shape_sees_a_product_that_grew(vase: Product, finder: ProductFinder) -> None:
    result = composed(vase)
    cv2.circle(result, (330, 240), 90, (180, 90, 50), -1)
    result[vase.alpha == 255] = vase.pixels[vase.alpha == 255]
    fidelity = measure(result, vase, finder)
    assert fidelity.pixels == 1.0
    assert fidelity.shape < 0.85


def test_shape_sees_a_product_that_is_gone(vase: Product, finder: ProductFinder) -> None:
    empty = composed(Product(vase.pixels, np.zeros((HEIGHT, WIDTH), np.uint8)))
    assert measure(empty, vase, finder).shape < 0.1


def test_nothing_to_keep_and_nothing_found(finder: ProductFinder) -> None:
    blank = Product(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8))
    assert measure(blank.pixels, blank, finder) == Fidelity(pixels=1.0, shape=1.0)
