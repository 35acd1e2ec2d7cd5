"""What of a product stands on the ground."""

from __future__ import annotations

import cv2
import ground_scenes
import numpy as np
import pytest
from ground_scenes import GROUND, LYING, SIDE, STANDING, Sheet

from deployments.studio.standing import standing


@pytest.mark.parametrize("name", STANDING)
def test_what_stands_does_so_on_the_ground(name: str) -> None:
    (footing,) = standing(STANDING[name]().alpha)
    first, last = footing.span
    assert footing.underside[first : last + 1].max() == pytest.approx(GROUND, abs=1)


@pytest.mark.parametrize("name", LYING)
def test_what_hangs_or_lies_does_not_stand(name: str) -> None:
    assert standing(LYING[name]().alpha) == ()


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("box", (140, 339)),
        ("box from a corner", (130, 369)),
        ("bottle", (190, 289)),
        ("shoe", (100, 385)),
        ("table", (84, 395)),
        ("cup", (160, 309)),
    ],
)
def test_it_stands_from_here_to_there(name: str, columns: tuple[int, int]) -> None:
    (footing,) = standing(STANDING[name]().alpha)
    first, last = footing.span
    assert (footing.left + first, footing.left + last) == pytest.approx(columns, abs=6)


def test_feet_touch_and_what_is_between_does_not() -> None:
    (footing,) = standing(ground_scenes.table().alpha)
    touching = {column for column in range(80, 400) if footing.firm[column - footing.left] > 0.5}
    for left in (84, 384, 130, 338):
        assert left + 6 in touching
    assert not touching & set(range(150, 330))


def test_a_ring_touches_with_its_lowest_part() -> None:
    (footing,) = standing(ground_scenes.ring().alpha)
    first, last = footing.span
    assert 60 < last - first < 130


def test_a_lamp_that_hangs_in_the_picture_stands_once_it_is_lowered() -> None:
    """Only the upper border tells a hanging lamp from one with a pole."""
    hanging = ground_scenes.lamp().alpha
    assert standing(hanging) == ()
    assert standing(np.vstack([np.zeros((20, SIDE), np.uint8), hanging])) != ()


@pytest.mark.parametrize("bottom", [SIDE, SIDE + 40])
def test_what_the_lower_border_cuts_stands_on_nothing_seen(bottom: int) -> None:
    assert standing(Sheet().box(140, 220, 340, bottom).alpha) == ()


def test_a_box_that_the_side_cuts_stands() -> None:
    (footing,) = standing(Sheet().box(-60, 220, 200, GROUND).alpha)
    assert footing.left == 0
    assert footing.span == (0, 199)


def test_a_wide_thing_that_the_upper_border_cuts_stands() -> None:
    assert len(standing(Sheet().box(140, -20, 340, GROUND).alpha)) == 1


def test_several_things_stand_each_on_its_own_ground() -> None:
    sheet = Sheet().box(60, 200, 160, 380).disc(240, 350, 40).box(320, 240, 420, 400)
    bottoms = [footing.underside.max() for footing in standing(sheet.alpha)]
    assert bottoms == pytest.approx([380, 390, 400], abs=1)


def test_a_lid_over_its_pot_is_in_the_air() -> None:
    sheet = Sheet().box(140, 220, 340, GROUND).box(150, 150, 330, 180)
    (footing,) = standing(sheet.alpha)
    assert footing.underside.max() == pytest.approx(GROUND, abs=1)


@pytest.mark.parametrize("degrees", range(25, 70, 5))
def test_a_long_thing_askew_does_not_stand(degrees: int) -> None:
    assert standing(Sheet().box(80, 225, 400, 255).turned(degrees).alpha) == ()


def test_glass_stands_as_well() -> None:
    glass = Sheet().box(140, 220, 340, GROUND, level=82).box(180, 260, 300, 340)
    (footing,) = standing(glass.alpha)
    assert footing.underside.max() == pytest.approx(GROUND, abs=1)


def test_a_soft_shadow_left_in_the_cut_out_is_no_foot() -> None:
    alpha = ground_scenes.box().alpha
    left = cv2.GaussianBlur(Sheet().box(100, 390, 420, 430, level=50).alpha, (0, 0), 5)
    (footing,) = standing(np.maximum(alpha, left))
    assert footing.underside.max() == pytest.approx(GROUND, abs=1)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.5])
def test_size_changes_nothing(scale: float) -> None:
    for name, sheet in {**STANDING, **LYING}.items():
        side = round(SIDE * scale)
        alpha = cv2.resize(sheet().alpha, (side, side), interpolation=cv2.INTER_AREA)
        assert bool(standing(np.asarray(alpha, np.uint8))) == (name in STANDING), name


@pytest.mark.parametrize(
    "alpha",
    [
        np.zeros((40, 30), np.uint8),
        np.full((40, 30), 255, np.uint8),
        np.full((1, 1), 255, np.uint8),
        np.eye(40, dtype=np.uint8) * np.uint8(255),
    ],
)
def test_nothing_stands(alpha: np.ndarray) -> None:
    assert standing(alpha) == ()
