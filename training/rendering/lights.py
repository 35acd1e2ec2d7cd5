"""Studio light: soft boxes, a window or leaves between a lamp and the set, light from behind, sky.

Studio light is neutral, so that LEVELS can be read back; its warmth is given afterwards.
"""

import numpy as np

from training.rendering.scene import (
    Array,
    Plugin,
    Rng,
    Scene,
    Vector,
    chain,
    look_at,
    mesh,
    scaled,
    turned,
)

BLACK: Plugin = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}


def fill(scene: Scene, strength: float) -> None:
    """Even light from everywhere."""
    scene.light("fill", {"type": "constant", "radiance": {"type": "rgb", "value": float(strength)}})


def lamp(origin: Vector, target: Vector, radius: float, radiance: float | Vector) -> Plugin:
    """A square lamp that shines toward target."""
    place = chain(look_at(origin, target), scaled(radius))
    value = radiance if isinstance(radiance, float) else [float(v) for v in radiance]
    shine = {"type": "area", "radiance": {"type": "rgb", "value": value}}
    return {"type": "rectangle", "to_world": place, "emitter": shine}


def softbox(scene: Scene, rng: Rng, strength: float = 1.0, side: float | None = None) -> None:
    """One large lamp from the side or from above, out of the picture; side -1 is the left."""
    x = (rng.choice([-1, 1]) if side is None else side) * rng.uniform(1.6, 3.4)
    radius = rng.uniform(0.5, 1.3)
    at = (float(x), rng.uniform(2.6, 4.0), rng.uniform(1.4, 3.0))
    scene.light("key", lamp(at, (0, 0.2, -0.3), radius, float(7.5 * strength / radius**2)))


def _fan(centre: Array, rim: Array) -> tuple[Array, Array]:
    n = len(rim)
    faces = [(0, 1 + i, 1 + (i + 1) % n) for i in range(n)]
    return np.concatenate([centre[None], rim]), np.asarray(faces, np.uint32)


def _leaf(rng: Rng, base: Array, angle: float, length: float, width: float) -> tuple[Array, Array]:
    t = np.linspace(0, 1, 12)
    half = width * np.sin(np.pi * t**0.8) * 0.5
    bend = rng.uniform(-0.15, 0.15) * length * t**2
    side = np.concatenate([half, -half[::-1]]) + np.concatenate([bend, bend[::-1]])
    along = np.concatenate([t, t[::-1]]) * length
    c, s = np.cos(angle), np.sin(angle)
    rim = base + np.stack([along * c - side * s, along * s + side * c], -1)
    return _fan(np.asarray(rim.mean(0), np.float32), np.asarray(rim, np.float32))


def _foliage(rng: Rng) -> list[tuple[Array, Array]]:
    """Leaves in a plane, about 1.2 units across: fronds of a palm, or round leaves on twigs."""
    out, palm = [], rng.random() < 0.5
    for _ in range(int(rng.integers(7, 12))):
        base = rng.uniform(-1.1, 1.1, 2)
        aim = rng.uniform(0, 2 * np.pi)
        length = rng.uniform(0.6, 1.1)
        for t in np.linspace(0.1, 1, 13 if palm else 8):
            stem = base + length * t * np.array([np.cos(aim), np.sin(aim)])
            aim += rng.uniform(-0.05, 0.05)
            for s in (-1, 1):
                turn = aim + s * (0.7 if palm else 1.0) + rng.uniform(-0.15, 0.15)
                size = (0.42 * (1.1 - 0.7 * t), 0.07) if palm else (0.26, 0.17)
                out.append(_leaf(rng, stem, turn, size[0] * rng.uniform(0.8, 1.2), size[1]))
    return out


def _quad(x0: float, x1: float, y0: float, y1: float) -> tuple[Array, Array]:
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return corners, np.array([[0, 1, 2], [0, 2, 3]], np.uint32)


def _panes(rng: Rng) -> list[tuple[Array, Array]]:
    """A plate with a window's holes: two or three columns of panes, or the slits of a blind."""
    if rng.random() < 0.3:
        step = rng.uniform(0.13, 0.2)
        return [_quad(-3, 3, y, y + step * 0.55) for y in np.arange(-1.2, 1.2, step)]
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    w, h, bar = rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.6), rng.uniform(0.05, 0.09)
    wide, tall = columns * (w + bar) / 2, rows * (h + bar) / 2
    out = [
        _quad(-4, -wide, -4, 4),
        _quad(wide, 4, -4, 4),
        _quad(-wide, wide, tall, 4),
        _quad(-wide, wide, -4, -tall),
    ]
    for i in range(1, columns):
        x = -wide + i * (w + bar)
        out.append(_quad(x - bar / 2, x + bar / 2, -tall, tall))
    for i in range(1, rows):
        y = -tall + i * (h + bar)
        out.append(_quad(-wide, wide, y - bar / 2, y + bar / 2))
    return out


def shadows(scene: Scene, rng: Rng, sort: str, strength: float = 1.0) -> None:
    """A small strong lamp through a window, through leaves, or both; sort window, leaves or both.

    The mask stands close to the lamp and far from the camera's view; its parts are sized for the
    wall behind the set, seen from the lamp.
    """
    side = float(rng.choice([-1, 1]))
    origin = np.array([side * rng.uniform(3.2, 4.6), rng.uniform(2.6, 4.0), rng.uniform(2.4, 3.6)])
    target = np.array([rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.9), -1.2])
    near, radius = 0.28, rng.uniform(0.012, 0.026)
    scene.light(
        "key", lamp(tuple(origin), tuple(target), radius, float(13.0 * strength / radius**2))
    )
    ahead = target - origin
    for number, part in enumerate(("window", "leaves")):
        if sort not in (part, "both"):
            continue
        share = near + 0.05 * number
        pieces = _panes(rng) if part == "window" else _foliage(rng)
        place = look_at(tuple(origin + ahead * share), tuple(target)).matrix
        spin = turned(2, rng.uniform(-6, 6)).matrix if part == "window" else np.eye(4)
        corners, faces, count = [], [], 0
        for flat, triangles in pieces:
            wide = np.concatenate(
                [flat * share * 1.5, np.zeros((len(flat), 1)), np.ones((len(flat), 1))], -1
            )
            corners.append((wide @ (place @ spin).T)[:, :3])
            faces.append(triangles + count)
            count += len(flat)
        scene.add(
            part,
            mesh(np.concatenate(corners), np.concatenate(faces)),
            {"type": "twosided", "bsdf": BLACK},
        )


def halo(scene: Scene, rng: Rng, z: float, strength: float = 1.0) -> None:
    """A round glow on the wall behind the product, from a lamp above the picture."""
    x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.9)
    place = look_at((float(x), 3.0, z + rng.uniform(1.8, 2.4)), (float(x), float(y), z))
    spot = {
        "type": "spot",
        "to_world": place,
        "intensity": {"type": "rgb", "value": float(60 * strength)},
        "cutoff_angle": float(rng.uniform(17, 26)),
        "beam_width": 2.0,
    }
    scene.light("halo", spot)


def rim(scene: Scene, rng: Rng, strength: float = 1.0) -> None:
    """Two strips from behind, left and right, as for dark glass."""
    for side in (-1, 1):
        at = (side * rng.uniform(2.2, 3.0), rng.uniform(1.2, 2.4), rng.uniform(-1.4, -0.4))
        scene.light(f"rim_{side}", lamp(at, (0, 0.4, 0.3), 0.6, float(12 * strength)))


def backlight(scene: Scene, rng: Rng, strength: float = 1.0) -> None:
    """Low light from behind, over the set's back edge: long shadows and a shining table."""
    at = (float(rng.uniform(-1.2, 1.2)), rng.uniform(2.6, 3.6), -rng.uniform(3.5, 4.5))
    scene.light("back", lamp(at, (0, 0, 0.4), 0.7, float(30 * strength)))


def sun_and_sky(
    scene: Scene, elevation: float, azimuth: float, sun: float = 1.0, haze: float = 3.0
) -> None:
    """Mitsuba's sun and sky; in degrees, azimuth 0 is behind the set, 180 behind the camera."""
    e, a = np.radians(elevation), np.radians(azimuth)
    toward = [float(np.cos(e) * np.sin(a)), float(np.sin(e)), float(-np.cos(e) * np.cos(a))]
    # the plugin's sky is z-up, its sun is given in the scene's axes
    scene.light(
        "sky",
        {
            "type": "sunsky",
            "turbidity": float(haze),
            "sun_direction": toward,
            "sun_scale": float(sun),
            "to_world": turned(0, -90),
        },
    )
    scene.facts["neutral"] = False
