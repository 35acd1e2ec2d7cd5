"""The camera: a thin lens in front of the set, focused on where the product stands."""

import math

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


def film(size: int, samples: int) -> Plugin:
    """What every sensor has: a square picture and so many samples a pixel."""
    return {
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
        },
        "sampler": {"type": "independent", "sample_count": samples},
    }
