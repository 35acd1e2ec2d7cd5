"""Scene descriptions: the same from the same seed, lit, seen by a camera, free in the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.rendering import kinds, textures
from training.rendering.kinds import KINDS, describe
from training.rendering.scene import Scene, chain, look_at, moved, scaled, turned

DRAWN = tuple(name for name, kind in KINDS.items() if kind.build is not None)
UNIT = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


@pytest.fixture(autouse=True)
def _small_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textures, "SIDE", 128)
    monkeypatch.setattr(textures, "_AXIS", np.linspace(0, 1, 128, dtype=np.float32))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(_same(getattr(a, f), getattr(b, f)) for f in a.__dataclass_fields__)
    return bool(np.array_equal(a, b))


def _extent(part: dict[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """The corners between which a solid part lies; None for sheets, lights and cameras."""
    if part["type"] == "sphere":
        middle, r = np.array(part["center"]), part["radius"]
        return middle - r, middle + r
    if part["type"] == "cube":
        corners = np.c_[UNIT, np.ones(8)] @ part["to_world"].matrix.T
        return corners[:, :3].min(0), corners[:, :3].max(0)
    return None


@pytest.mark.parametrize("name", DRAWN)
def test_a_scene_is_the_same_from_the_same_seed_and_differs_by_its_number(name: str) -> None:
    first, again = (describe(name, 3, 1, Path("none")) for _ in range(2))
    assert _same(first.parts, again.parts)
    assert first.facts == again.facts
    assert first.groups == again.groups
    assert not _same(first.parts, describe(name, 4, 1, Path("none")).parts)
    assert not _same(first.parts, describe(name, 3, 2, Path("none")).parts)


@pytest.mark.parametrize("name", DRAWN)
def test_a_scene_has_a_camera_light_and_room_for_the_product(name: str) -> None:
    for number in range(3):
        scene = describe(name, number, 0, Path("none"))
        assert scene.parts["sensor"]["type"] == "thinlens"
        shining = ("constant", "envmap", "sunsky", "spot")
        assert any("emitter" in p or p["type"] in shining for p in scene.parts.values())
        assert scene.facts["coloured"] == ("first" in scene.groups.values())
        for part, shape in scene.parts.items():
            extent = _extent(shape)
            if extent is not None:
                low, high = extent
                apart = (low > (0.3, 0.7, 0.25)) | (high < (-0.3, 0.16, -0.25))
                assert apart.any(), f"{name} {number}: {part} stands where the product should"


def test_a_panorama_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"forest\.exr\.js is missing"):
        describe("forest", 0, 0, tmp_path)


def test_no_two_kinds_draw_alike() -> None:
    builders = [(k.build, k.panorama, k.autumn) for k in KINDS.values()]
    assert len(set(builders)) == len(builders)
    assert tuple(KINDS) == kinds.NAMES


def test_a_name_that_is_taken_gets_a_number_and_groups_are_checked() -> None:
    scene = Scene("made up")
    for _ in range(2):
        scene.add("ball", {"type": "sphere"}, {"type": "diffuse"}, "first")
    assert scene.groups == {"ball": "first", "ball_2": "first"}
    with pytest.raises(ValueError, match="group third is none of"):
        scene.add("ball", {"type": "sphere"}, None, "third")


def test_steps_are_done_last_first_and_a_camera_looks_at_its_target() -> None:
    step = chain(moved(1, 0, 0), turned(1, 90), scaled(2.0))
    np.testing.assert_allclose(step.matrix @ (0, 0, 1, 1), (3, 0, 0, 1), atol=1e-12)
    place = look_at((0, 1, 4), (0, 1, 0), (0, 1, 0)).matrix
    np.testing.assert_allclose(place @ (0, 0, 4, 1), (0, 1, 0, 1), atol=1e-12)
    np.testing.assert_allclose(place @ (0, 1, 0, 0), (0, 1, 0, 0), atol=1e-12)
