"""Where a scene is seen from."""

from __future__ import annotations

import numpy as np

from training.rendering.camera import camera, elsewhere
from training.rendering.scene import Scene


def test_other_views_are_near_and_look_at_the_same_place() -> None:
    scene = Scene("paper")
    camera(scene, np.random.default_rng(3))
    own = scene.parts["sensor"]
    assert elsewhere(own, 4, 0) is own
    place = own["to_world"].matrix
    target = place[:3, 3] + place[:3, 2] * own["focus_distance"]
    for view in range(1, 30):
        other = elsewhere(own, 4, view)
        moved = other["to_world"].matrix
        away = float(np.linalg.norm(moved[:3, 3] - place[:3, 3]))
        assert 0.15 < away < 0.9
        point = target - moved[:3, 3]
        miss = np.linalg.norm(point - moved[:3, 2] * (point @ moved[:3, 2]))
        assert miss < 0.2
        np.testing.assert_allclose(np.linalg.det(moved[:3, :3]), 1, atol=1e-6)
        assert abs(other["focus_distance"] - own["focus_distance"]) < 0.5
        assert elsewhere(own, 4, view)["fov"] == other["fov"]
        assert other["aperture_radius"] == own["aperture_radius"]
