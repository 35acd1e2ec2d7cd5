"""A scene's light, and a product that takes some of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ground_scenes import SIDE, box, drawn
from product_scenes import HEIGHT, WIDTH, scene

from deployments.jobs import Pixels, Product
from deployments.studio.light import harmonized, light_side


def vase() -> Product:
    _, alpha, colours = scene()
    return Product(colours, alpha)


def plain(*colour: int) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def sloping(left: int, right: int) -> Pixels:
    across = np.linspace(left, right, WIDTH)[None, :, None]
    return np.broadcast_to(across, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def light(pixels: Pixels, product: Product) -> np.ndarray:
    """Mean linear light of the opaque product, by channel."""
    levels = pixels[product.alpha == 255] / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).mean(0)


def test_none_is_exact() -> None:
    product = vase()
    assert harmonized(product, plain(20, 30, 90), 0) is product


def test_what_is_alike_stays_alike() -> None:
    """A grey thing in a scene of its own grey takes nothing."""
    _, alpha, _ = scene()
    product = Product(plain(120, 120, 120), alpha)
    assert np.array_equal(harmonized(product, plain(120, 120, 120), 1).pixels, product.pixels)


@pytest.mark.parametrize(
    ("scenery", "more", "less"),
    [((230, 150, 90), 0, 2), ((90, 140, 230), 2, 0), ((110, 180, 100), 1, 0)],
    ids=["warm", "cold", "green"],
)
def test_it_takes_the_scenes_colour(scenery: tuple[int, int, int], more: int, less: int) -> None:
    product = vase()
    before, after = (
        light(each.pixels, product) for each in (product, harmonized(product, plain(*scenery), 1))
    )
    assert after[more] / after[less] > 1.1 * before[more] / before[less]


def test_it_takes_the_scenes_brightness() -> None:
    product = vase()
    own = light(product.pixels, product).sum()
    assert light(harmonized(product, plain(20, 20, 20), 1).pixels, product).sum() < 0.75 * own
    assert light(harmonized(product, plain(250, 250, 250), 1).pixels, product).sum() > 1.1 * own


def test_more_takes_more() -> None:
    product = vase()
    lights = [
        light(harmonized(product, plain(30, 30, 60), amount).pixels, product).sum()
        for amount in (0, 0.25, 0.5, 1)
    ]
    assert lights == sorted(lights, reverse=True)
    assert len(set(lights)) == 4


def test_the_lit_side_of_the_scene_lights_that_side_of_the_product() -> None:
    product = vase()
    factor = harmonized(product, sloping(240, 60), 1).pixels / np.maximum(product.pixels, 1)
    inside = product.alpha == 255
    left, right = inside.copy(), inside.copy()
    left[:, WIDTH // 2 :] = False
    right[:, : WIDTH // 2] = False
    assert factor[left].mean() > 1.05 * factor[right].mean()


@pytest.mark.parametrize("scenery", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)])
def test_the_gain_is_bounded(scenery: tuple[int, int, int]) -> None:
    product = vase()
    result = light(harmonized(product, plain(*scenery), 1).pixels, product)
    factor = result / light(product.pixels, product)
    assert factor.min() > 0.49
    assert factor.max() < 1.61


def test_it_keeps_its_detail() -> None:
    """The gain changes slowly: a pattern of single pixels keeps its contrast."""
    _, alpha, _ = scene()
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pattern = np.where((x + y) % 2, 90, 120)
    product = Product(np.stack([pattern] * 3, axis=2).astype(np.uint8), alpha)
    lit = harmonized(product, sloping(250, 40), 1).pixels.astype(np.float32)
    assert np.abs(lit - product.pixels)[alpha == 255].max() > 8
    ratio = (lit / product.pixels)[alpha == 255]
    smooth = (cv2.blur(lit, (9, 9)) / cv2.blur(product.pixels.astype(np.float32), (9, 9)))[
        alpha == 255
    ]
    assert np.abs(ratio - smooth).max() < 0.04


def test_white_is_not_cut_off() -> None:
    """What a gain makes brighter bends towards white: levels that differed still do."""
    _, alpha, _ = scene()
    ramp = np.broadcast_to(np.linspace(40, 255, WIDTH)[None, :, None], (HEIGHT, WIDTH, 3))
    product = Product(ramp.astype(np.uint8), alpha)
    row = harmonized(product, plain(255, 255, 255), 1).pixels[HEIGHT // 2, :, 0].astype(int)
    inside = np.flatnonzero(alpha[HEIGHT // 2] == 255)
    levels = ramp[HEIGHT // 2, inside, 0].astype(int)
    apart = np.flatnonzero(np.diff(levels) > 0)
    assert (np.diff(row[inside])[apart] >= 0).all()
    assert np.unique(row[inside]).size > 0.7 * np.unique(levels).size
    assert row[inside].max() < 255


def test_alpha_and_what_is_clear_stay() -> None:
    product = vase()
    result = harmonized(product, plain(30, 60, 200), 1)
    assert result.alpha is product.alpha
    clear = product.alpha == 0
    assert np.array_equal(result.pixels[clear], product.pixels[clear])


def test_a_product_without_a_scene_stays() -> None:
    product = Product(plain(90, 60, 30), np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert harmonized(product, plain(0, 0, 200), 1) is product
    assert light_side(sloping(255, 0), product) is None


def test_a_scene_may_be_smaller() -> None:
    product = vase()
    large = harmonized(product, sloping(240, 60), 1).pixels
    small = cv2.resize(sloping(240, 60), (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
    assert np.abs(harmonized(product, small, 1).pixels.astype(int) - large).max() <= 3


@pytest.mark.parametrize(
    ("left", "right", "side"),
    [(240, 90, "left"), (90, 240, "right"), (150, 150, None), (150, 140, None)],
)
def test_the_brighter_side_is_the_lights(left: int, right: int, side: str | None) -> None:
    noise = np.random.default_rng(2).normal(0, 12, (HEIGHT, WIDTH, 3))
    lit = (sloping(left, right) + noise).clip(0, 255).astype(np.uint8)
    assert light_side(lit, vase()) == side


def test_a_sky_lights_no_side() -> None:
    down = np.linspace(250, 40, HEIGHT)[:, None, None]
    sky = np.broadcast_to(down, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    assert light_side(sky, vase()) is None


def test_a_bright_thing_is_no_light() -> None:
    """A small lamp or a white cup in an even scene says nothing of where the light comes from."""
    cluttered = plain(120, 120, 120)
    cv2.rectangle(cluttered, (400, 20), (470, 60), (255, 255, 255), -1)
    assert light_side(cluttered, vase()) is None


def test_the_products_own_brightness_does_not_count() -> None:
    product = drawn(box().alpha)
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    grey[product.alpha > 0] = 255
    assert light_side(grey, product) is None
