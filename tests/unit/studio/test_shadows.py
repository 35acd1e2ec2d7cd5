"""The shadow that a product throws on the ground."""

from __future__ import annotations

from typing import Literal

import cv2
import ground_scenes
import numpy as np
import pytest
from ground_scenes import GROUND, LYING, SIDE, STANDING, Sheet, drawn

from deployments.jobs import Mask, Pixels, Product
from deployments.studio.compositing import compose
from deployments.studio.shadows import draws_nothing, shade, shadow_mask

Thrown = Literal["contact", "cast", "floating"]
THROWN: tuple[Thrown, ...] = ("contact", "cast", "floating")
WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)
SHEETS = {**STANDING, **LYING}


def taken(product: Product, shadow: Thrown, strength: float = 1.0, scene: Pixels = WHITE) -> Mask:
    """What the shadow takes of a picture's levels."""
    lit = compose(scene, product)
    return (lit.astype(int) - compose(scene, product, shadow, strength)).max(axis=2)


def centre(dark: Mask) -> tuple[float, float]:
    """Row and column of the middle of a shadow."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return float((dark * y).sum() / dark.sum()), float((dark * x).sum() / dark.sum())


@pytest.mark.parametrize("shadow", THROWN)
@pytest.mark.parametrize("name", SHEETS)
def test_the_product_keeps_its_pixels(name: str, shadow: Thrown) -> None:
    product = drawn(SHEETS[name]().alpha)
    result = compose(WHITE, product, shadow, 1.0)
    opaque = product.alpha == 255
    assert np.array_equal(result[opaque], product.pixels[opaque])


@pytest.mark.parametrize("shadow", ["contact", "cast"])
@pytest.mark.parametrize("name", LYING)
def test_there_is_no_shadow_where_nothing_stands(name: str, shadow: Thrown) -> None:
    product = drawn(LYING[name]().alpha)
    assert shade(WHITE, product, shadow, 1.0) is WHITE
    assert not shadow_mask(product, shadow, 1.0).any()
    assert "nothing of the product seems to stand" in str(draws_nothing(product, shadow))


@pytest.mark.parametrize("shadow", ["contact", "cast"])
@pytest.mark.parametrize("name", STANDING)
def test_what_stands_throws_one(name: str, shadow: Thrown) -> None:
    product = drawn(STANDING[name]().alpha)
    assert taken(product, shadow).max() > 60
    assert draws_nothing(product, shadow) is None


@pytest.mark.parametrize("name", ["box", "bottle", "shoe", "cup"])
def test_a_contact_shadow_is_darkest_at_the_standing_edge(name: str) -> None:
    product = drawn(STANDING[name]().alpha)
    dark = taken(product, "contact")
    under = dark[GROUND : GROUND + 60, 240]
    assert under[0] == under.max() > 60
    assert (np.diff(under) <= 0).all()
    assert under[3] > 20
    assert under[-1] <= 6
    assert dark[:200].max() == 0


def test_a_contact_shadow_follows_a_slanting_base() -> None:
    product = drawn(ground_scenes.corner_box().alpha)
    dark = taken(product, "contact")
    for column in range(145, 360, 15):
        lowest = int(np.flatnonzero(product.alpha[:, column] == 255)[-1])
        assert dark[lowest + 2, column] > 60, column
        assert dark[lowest + 2, column] > dark[lowest + 12, column] > dark[lowest + 40, column]


def test_there_is_no_light_gap_between_product_and_shadow() -> None:
    """Across every outline above the ground, levels fall and rise once only."""
    for name in ("box", "bottle", "shoe", "cup"):
        product = drawn(STANDING[name]().alpha)
        shaded = shade(WHITE, product, "contact", 0.6)
        column = shaded[GROUND - 20 : GROUND + 60, 240, 0].astype(int)
        assert (np.diff(column[20:]) >= 0).all(), name


def test_a_shadow_ends_without_an_edge() -> None:
    """Away from the joint no two neighbours differ by more than a few levels.

    Near its feet a cast shadow is sharp, as the sun's is.
    """
    for name in STANDING:
        for shadow in THROWN:
            product = drawn(STANDING[name]().alpha)
            dark = shadow_mask(product, shadow, 0.5).astype(int)
            beside = cv2.dilate(product.alpha, np.ones((15, 15))) == 0
            across = np.abs(np.diff(dark, axis=1))[beside[:, 1:] & beside[:, :-1]]
            down = np.abs(np.diff(dark, axis=0))[beside[1:] & beside[:-1]]
            most = 24 if shadow == "cast" else 9
            assert max(across.max(), down.max()) <= most, (name, shadow)


def test_nothing_is_shaded_behind_what_hangs_over() -> None:
    """The handle of a cup is in the air: the ground below it is lit."""
    dark = taken(drawn(ground_scenes.cup().alpha), "contact")
    assert dark[395:, 360:].max() <= 12
    assert dark[250:350].max() <= 12


def test_feet_have_shadows_of_their_own() -> None:
    dark = taken(drawn(ground_scenes.table().alpha), "contact")
    for column, row in ((90, GROUND), (390, GROUND), (136, 375), (344, 375)):
        assert dark[row, column] > 60
    assert dark[GROUND + 1, 240] < 15


@pytest.mark.parametrize("shadow", ["contact", "cast"])
def test_what_the_lower_border_cuts_throws_none(shadow: Thrown) -> None:
    cut = drawn(Sheet().box(140, 220, 340, SIDE).alpha)
    assert taken(cut, shadow).max() == 0
    assert taken(cut, "floating").max() == 0
    assert "reaches the lower border" in str(draws_nothing(cut, "floating"))


def test_a_shadow_goes_on_where_the_side_cuts() -> None:
    dark = taken(drawn(Sheet().box(-60, 220, 200, GROUND).alpha), "contact")
    assert dark[GROUND + 1, :100].min() > 0.95 * dark[GROUND + 1].max()


def test_a_cast_shadow_lies_away_from_the_light() -> None:
    product = drawn(ground_scenes.bottle().alpha)
    from_left = centre(shadow_mask(product, "cast", 1.0, "left"))
    from_right = centre(shadow_mask(product, "cast", 1.0, "right"))
    assert from_left[1] > 280
    assert from_right[1] < 200
    assert centre(shadow_mask(product, "cast", 1.0))[1] == from_left[1]


@pytest.mark.parametrize("lit", ["left", "right", "evenly"])
def test_the_scene_tells_where_its_light_is(lit: str) -> None:
    ramp = {"left": (250, 90), "right": (90, 250), "evenly": (180, 180)}[lit]
    across = np.linspace(*ramp, SIDE)[None, :, None]
    scene = np.broadcast_to(across, (SIDE, SIDE, 3)).astype(np.uint8)
    column = centre(taken(drawn(ground_scenes.bottle().alpha), "cast", scene=scene))[1]
    assert (column < 200) == (lit == "right")
    assert (column > 280) == (lit != "right")


def test_a_cast_shadow_is_softer_and_lighter_further_away() -> None:
    dark = shadow_mask(drawn(Sheet().box(200, 60, 280, GROUND).alpha), "cast", 1.0).astype(int)
    near, far = dark[GROUND - 12], dark[GROUND - 65]
    assert near.max() > 1.3 * far.max() > 40
    assert np.abs(np.diff(near)).max() > 2 * np.abs(np.diff(far)).max()


def test_a_cast_shadow_has_the_outlines_holes() -> None:
    dark = shadow_mask(drawn(ground_scenes.ring().alpha), "cast", 1.0)
    # The ring's middle is 100 pixels over the ground.
    assert dark[GROUND - 24, 300] < 0.3 * dark[GROUND - 24 : GROUND - 5, 300].max()


def test_glass_throws_a_lighter_one() -> None:
    glass = Sheet().box(190, 90, 290, GROUND, level=82).alpha
    solid = Sheet().box(190, 90, 290, GROUND).alpha
    at = (slice(340, 380), slice(310, 360))
    light, dark = (shadow_mask(drawn(alpha), "cast", 0.8)[at].mean() for alpha in (glass, solid))
    assert 0 < light < 0.6 * dark


@pytest.mark.parametrize("name", SHEETS)
def test_a_floating_shadow_is_below_the_product_and_apart(name: str) -> None:
    product = drawn(SHEETS[name]().alpha)
    dark = taken(product, "floating")
    x, y, width, height = cv2.boundingRect(product.alpha)
    row, column = centre(dark)
    assert row > y + height
    assert abs(column - x - width / 2) < 0.15 * width
    assert dark[: y + height - 1].max() <= 2
    assert dark.max() > 80


@pytest.mark.parametrize("shadow", THROWN)
def test_a_stronger_shadow_is_darker(shadow: Thrown) -> None:
    product = drawn(ground_scenes.box().alpha)
    means = [compose(WHITE, product, shadow, dark).mean() for dark in (0, 0.3, 0.6, 1)]
    assert means == sorted(means, reverse=True)
    assert len(set(means)) == 4
    assert np.array_equal(compose(WHITE, product, shadow, 0), compose(WHITE, product))


@pytest.mark.parametrize("shadow", THROWN)
def test_the_mask_looks_like_the_shadow(shadow: Thrown) -> None:
    product = drawn(ground_scenes.shoe().alpha)
    alpha = shadow_mask(product, shadow, 0.7)
    shaded = shade(WHITE, product, shadow, 0.7)
    assert np.abs(shaded[..., 0].astype(int) - (255 - alpha.astype(int))).max() <= 1
    assert (shaded[alpha == 0] == 255).all()


@pytest.mark.parametrize("shadow", THROWN)
def test_size_changes_a_shadow_in_size_only(shadow: Thrown) -> None:
    small = ground_scenes.shoe().alpha
    large = cv2.resize(small, (3 * SIDE, 3 * SIDE), interpolation=cv2.INTER_CUBIC)
    dark = shadow_mask(drawn(small), shadow, 1.0).astype(int)
    darker = shadow_mask(drawn(np.asarray(large, np.uint8)), shadow, 1.0)
    again = cv2.resize(darker, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(int)
    beside = cv2.dilate(small, np.ones((7, 7))) == 0
    assert np.abs(dark - again)[beside].mean() < 1
    assert np.abs(dark - again)[beside].max() < 30


def test_the_scene_is_left_as_it_was() -> None:
    scene = WHITE.copy()
    shade(scene, drawn(ground_scenes.box().alpha), "contact", 1.0)
    assert np.array_equal(scene, WHITE)


@pytest.mark.parametrize("shadow", THROWN)
@pytest.mark.parametrize(
    "rows", [slice(0, 0), slice(0, 1), slice(30, 40), slice(0, 40), slice(2, 4), slice(36, 38)]
)
def test_a_shadow_needs_no_room(rows: slice, shadow: Thrown) -> None:
    alpha = np.zeros((40, 30), np.uint8)
    alpha[rows, 5:25] = 255
    product = Product(np.full((40, 30, 3), 99, np.uint8), alpha)
    result = compose(WHITE[:40, :30], product, shadow, 1)
    assert result.shape == (40, 30, 3)
    assert (result[alpha == 255] == 99).all()
