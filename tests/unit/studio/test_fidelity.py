"""How true a result is to its product."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from product_scenes import WIDTH, chain, scene

from deployments.jobs import Fidelity, Photo, Pixels, Product
from deployments.studio.compositing import compose
from deployments.studio.fidelity import measure
from deployments.studio.foreground import cut_out


@pytest.fixture(scope="module")
def vase() -> Product:
    pixels, alpha, _ = scene()
    return cut_out(Photo(pixels), alpha)


def composed(product: Product) -> Pixels:
    y, x = np.mgrid[0:64, 0:64]
    background = np.stack([90 + x, 140 + y, 200 - y], axis=2).astype(np.uint8)
    return compose(background, product)


def test_a_composed_result_is_true(vase: Product) -> None:
    fidelity = measure(composed(vase), vase)
    assert fidelity.pixels == 1.0
    assert fidelity.shape > 0.97
    assert type(fidelity.pixels) is type(fidelity.shape) is float


@pytest.mark.parametrize(("step", "share"), [(1, 1.0), (2, 0.5)])
def test_pixels_counts_what_is_further_than_one_step(
    vase: Product, step: int, share: float
) -> None:
    result = composed(vase)
    core = np.argwhere(vase.alpha >= 250)
    rows, columns = core[: len(core) // 2].T
    result[rows, columns, 2] += step
    assert measure(result, vase).pixels == pytest.approx(share, abs=0.02)


def test_pixels_counts_nearly_opaque_ones(vase: Product) -> None:
    """An alpha of 250 lets five levels of the scene through, and no more."""
    alpha = np.where(vase.alpha == 255, 250, 0).astype(np.uint8)
    product = Product(vase.pixels, alpha)
    assert measure(composed(product), product).pixels == 1.0
    painted = composed(product)
    painted[:, : WIDTH // 2] = 90
    assert measure(painted, product).pixels == pytest.approx(0.5, abs=0.02)


def test_pixels_is_measured_against_what_was_marked() -> None:
    """A chain of which only the pendant is in the result."""
    pixels, alpha, _ = chain(4)
    marked = cut_out(Photo(pixels), alpha)
    kept = alpha.copy()
    kept[:600] = 0
    lost = composed(Product(pixels, kept))
    strand = np.count_nonzero(alpha[:600]) / np.count_nonzero(alpha)
    assert strand > 0.2
    assert measure(composed(marked), marked).pixels == 1.0
    assert measure(lost, marked).pixels == pytest.approx(1 - strand, abs=0.02)


GROWTHS = {
    "to the side": lambda scene: cv2.circle(scene, (330, 240), 90, (190, 95, 45), -1),
    "upwards": lambda scene: cv2.rectangle(scene, (215, 20), (265, 120), (205, 85, 42), -1),
    "all round": lambda scene: cv2.ellipse(
        scene, (240, 240), (125, 145), 0, 0, 360, (200, 95, 45), -1
    ),
}


@pytest.mark.parametrize("name", GROWTHS)
def test_shape_sees_a_product_that_grew(vase: Product, name: str) -> None:
    result = composed(vase)
    GROWTHS[name](result)
    result[vase.alpha >= 250] = vase.pixels[vase.alpha >= 250]
    fidelity = measure(result, vase)
    assert fidelity.pixels == 1.0
    assert fidelity.shape < 0.93
    assert measure(composed(vase), vase).shape > 0.99


@pytest.mark.parametrize("name", GROWTHS)
def test_shape_leaves_other_things_alone(vase: Product, name: str) -> None:
    """The same parts in another colour are something beside the product."""
    result = composed(vase)
    GROWTHS[name](result)
    result[result[..., 2] < 50] = (40, 120, 60)
    result[vase.alpha >= 250] = vase.pixels[vase.alpha >= 250]
    assert measure(result, vase).shape > 0.97


def test_a_scene_of_the_products_colour_is_no_growth(vase: Product) -> None:
    scenery = np.full((64, 64, 3), vase.pixels[vase.alpha == 255].mean(axis=0), np.uint8)
    result = compose(scenery, vase)
    assert measure(result, vase).shape > 0.97


def test_nothing_to_compare() -> None:
    blank = Product(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8))
    assert measure(blank.pixels, blank) == Fidelity(pixels=1.0, shape=1.0)
    full = Product(blank.pixels, blank.alpha + np.uint8(255))
    assert measure(full.pixels, full) == Fidelity(pixels=1.0, shape=1.0)
