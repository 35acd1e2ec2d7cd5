"""The camera: a thin lens in front of the set, focused on where the product stands."""

import math

import numpy as np

from training.rendering.scene import Plugin, Rng, Scene, look_at


def camera(
    scene: Scene,
    rng: Rng,
    height: tuple[float, float] = (0.8, 1.5),
    look: tuple[float, float] = (0.42, 0.6),
    aperture: float = 0.05,
    distance: float = 4.3,
    lens: tuple[float, float] = (30.0, 38.0),
) -> None:
    """Set the scene's sensor.

    Args:
        scene: gets it.
        rng: chooses within the ranges.
        height: of the camera, in units.
        look: height of the point in the picture's middle, over the product's place.
        aperture: radius of the lens: what is behind the product blurs with it.
        distance: from the product.
        lens: field of view in degrees.
    """
    origin = (float(rng.uniform(-0.25, 0.25)), float(rng.uniform(*height)), distance)
    target = (float(rng.uniform(-0.06, 0.06)), float(rng.uniform(*look)), 0.0)
    scene.parts["sensor"] = {
        "type": "thinlens",
        "fov": float(rng.uniform(*lens)),
        "aperture_radius": float(aperture),
        "focus_distance": float(math.dist(origin, (0.0, 0.3, 0.0))),
        "to_world": look_at(origin, target, (0.0, 1.0, 0.0)),
    }


def elsewhere(sensor: Plugin, seed: int, view: int) -> Plugin:
    """A camera near another: moved, turned and of another angle; view 0 is that camera itself."""
    if view == 0:
        return sensor
    rng = np.random.default_rng([seed, view])
    own = sensor["to_world"].matrix
    origin, ahead = own[:3, 3], own[:3, 2]
    distance = float(sensor["focus_distance"])
    target = origin + ahead * distance
    near = origin * (1.0, rng.uniform(0.85, 1.2), rng.uniform(0.94, 1.05))
    near[0] += rng.uniform(0.2, 0.5) * rng.choice([-1, 1])
    target[:2] += rng.uniform(-0.12, 0.12), rng.uniform(-0.08, 0.08)
    (a, b, c), (x, y, z) = near, target
    place = look_at((a, b, c), (x, y, z), (0.0, 1.0, 0.0))
    reach = distance + float(np.linalg.norm(near) - np.linalg.norm(origin))
    fov = float(sensor["fov"]) * rng.uniform(0.88, 1.08)
    return {**sensor, "to_world": place, "focus_distance": reach, "fov": fov}


def film(size: int) -> Plugin:
    """What every sensor has: a square picture."""
    return {
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
        }
    }
