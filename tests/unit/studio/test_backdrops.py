"""What is behind a product where no model paints."""

from __future__ import annotations

import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, scene

from deployments.composition import Placement
from deployments.jobs import Mask, Pixels, Product
from deployments.studio.backdrops import (
    backdrop,
    blurred,
    cleared,
    plain,
    transparent,
    without_product,
)
from deployments.studio.foreground import estimate_foreground

OWN = Placement(WIDTH, HEIGHT, 1, 0, 0)


def vase() -> tuple[Pixels, Product]:
    pixels, alpha, _ = scene()
    return pixels, Product(estimate_foreground(pixels, alpha), alpha)


def redness(pixels: Pixels) -> np.ndarray:
    """The vase is red, its background green."""
    colours = pixels.astype(int)
    return colours[..., 0] - colours[..., 1]


def striped() -> tuple[Pixels, Mask]:
    """A red square before stripes that grow lighter to the right."""
    pixels = np.zeros((300, 450, 3), np.uint8)
    pixels[...] = np.linspace(60, 180, 450).astype(np.uint8)[None, :, None]
    pixels[:, ::20] = 255
    alpha = np.zeros((300, 450), np.uint8)
    alpha[100:250, 150:250] = 255
    pixels[alpha == 255] = (255, 0, 0)
    return pixels, alpha


def test_a_blurred_background_has_nothing_of_the_product() -> None:
    pixels, product = vase()
    assert redness(pixels).max() > 80
    result = blurred(pixels, product.alpha, OWN)
    assert result.shape == pixels.shape
    assert redness(result).max() < -100
    away = product.alpha == 0
    assert np.abs(result[away].astype(int) - pixels[away]).mean() < 4


def test_a_background_is_really_blurred() -> None:
    pixels, alpha = striped()
    result = blurred(pixels, alpha, Placement(450, 300, 1, 0, 0)).astype(int)
    assert np.abs(np.diff(result, axis=1)).max() <= 8
    assert result[:, 20:60].mean() + 40 < result[:, -60:-20].mean()


def test_a_blurred_background_lies_where_the_photo_lies_and_goes_on_mirrored_nearby() -> None:
    pixels, alpha = striped()
    own = blurred(pixels, alpha, Placement(450, 300, 1, 0, 0)).astype(int)
    moved = blurred(pixels, alpha, Placement(600, 400, 1, 100, 50)).astype(int)
    assert np.abs(moved[50:350, 100:550] - own).max() <= 2
    assert np.abs(moved[50:350, 92:100] - own[:, 7::-1]).max() <= 4
    assert np.abs(moved[42:50, 100:550] - own[7::-1]).max() <= 4
    smaller = blurred(pixels, alpha, Placement(225, 150, 0.5, 0, 0)).astype(int)
    assert np.abs(smaller - own[::2, ::2]).max() <= 3


def test_far_outside_of_the_photo_a_background_is_only_colours() -> None:
    pixels = np.full((300, 300, 3), 60, np.uint8)
    pixels[:, 120:180] = 200
    alpha = np.zeros((300, 300), np.uint8)
    result = blurred(pixels, alpha, Placement(900, 300, 1, 300, 0)).astype(int)[150, :, 0]
    assert np.ptp(result[300:600]) > 120
    assert np.ptp(result[:225]) < 80
    assert np.ptp(result[675:]) < 80


def test_a_photo_larger_than_the_products_frame_is_the_same_background() -> None:
    pixels, product = vase()
    larger = pixels.repeat(2, axis=0).repeat(2, axis=1)
    one, two = blurred(pixels, product.alpha, OWN), blurred(larger, product.alpha, OWN)
    assert np.abs(one.astype(int) - two).max() <= 3


def test_a_smooth_background_has_no_bands() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[...] = np.linspace(100, 104, 400).round().astype(np.uint8)[None, :, None]
    result = blurred(pixels, np.zeros((300, 400), np.uint8), Placement(400, 300, 1, 0, 0))
    columns = result[..., 0].astype(float).mean(axis=0)
    # A band would be a step of a level; here the mean of a column rises by less.
    assert np.abs(np.diff(columns)).max() < 0.5


def test_a_product_that_fills_the_photo_leaves_its_own_colours() -> None:
    pixels, _ = vase()
    full = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert blurred(pixels, full, OWN).shape == pixels.shape


def test_the_background_goes_on_where_the_product_was() -> None:
    pixels, alpha = striped()
    filled = without_product(pixels, alpha, (450, 300))
    assert filled.dtype == np.float32
    inner = filled[120:230, 170:230]
    assert np.abs(inner[..., 0] - inner[..., 1]).max() < 5
    assert 90 < inner.mean() < 170


def test_a_cleared_picture_is_the_same_elsewhere() -> None:
    pixels, alpha = striped()
    result = cleared(pixels, alpha)
    assert np.array_equal(result[:, 300:], pixels[:, 300:])
    assert np.array_equal(result[:80], pixels[:80])
    assert redness(result).max() < 12


def test_an_image_covers_the_canvas() -> None:
    pixels, product = vase()
    picture = np.full((30, 40, 3), 77, np.uint8)
    result = backdrop("image", picture, pixels, product, Placement(200, 100, 0.5, 0, 0))
    assert result is not None
    assert result.shape == (100, 200, 3)
    assert (result == 77).all()
    with pytest.raises(ValueError, match="picture"):
        backdrop("image", None, pixels, product, None)


@pytest.mark.parametrize("background", ["scene", "transparent", "#ffffff"])
def test_other_backgrounds_are_no_picture(background: str) -> None:
    pixels, product = vase()
    assert backdrop(background, None, pixels, product, None) is None


def test_blur_is_at_the_size_of_the_canvas() -> None:
    pixels, product = vase()
    result = backdrop("blur", None, pixels, product, None)
    assert result is not None
    assert result.shape == pixels.shape
    placed = backdrop("blur", None, pixels, product, Placement(70, 90, 0.2, 3, 4))
    assert placed is not None
    assert placed.shape == (90, 70, 3)


def test_a_colour_fills_every_pixel() -> None:
    assert (plain("#FFFFFF", 7, 5) == 255).all()
    result = plain("#0a80Ff", 7, 5)
    assert result.shape == (5, 7, 3)
    assert result[4, 6].tolist() == [10, 128, 255]
    result[0, 0] = 0


def test_a_product_on_nothing_is_itself() -> None:
    _, product = vase()
    result = transparent(product, None)
    assert np.array_equal(result[..., 3], product.alpha)
    seen = product.alpha > 0
    assert np.array_equal(result[seen][:, :3], product.pixels[seen])
    assert not result[~seen].any()


def test_a_shadow_on_nothing_is_black_under_the_product() -> None:
    """Over any colour it gives what the shadow and the product give one after the other."""
    _, product = vase()
    shade = np.zeros((HEIGHT, WIDTH), np.uint8)
    shade[250:390, 60:420] = 120
    result = transparent(product, shade).astype(float)
    core = product.alpha == 255
    assert np.array_equal(result[core][:, :3], product.pixels[core])
    assert (result[core][:, 3] == 255).all()
    assert (result[(shade > 0) & (product.alpha == 0)] == (0, 0, 0, 120)).all()
    weight = result[..., 3:] / 255
    over = result[..., :3] * weight + 200 * (1 - weight)
    alpha = product.alpha[..., None] / 255
    expected = product.pixels * alpha + 200 * (1 - shade[..., None] / 255) * (1 - alpha)
    assert np.abs(over - expected).max() <= 1.6
