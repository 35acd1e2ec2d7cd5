"""Sand, snow and water as height fields under Mitsuba's sun and sky."""

import cv2
import numpy as np

from training.rendering import lights, materials, textures
from training.rendering.camera import camera
from training.rendering.scene import Array, Rng, Scene, Texture, box, grid, lathe


def _ground(
    near: float = 3.6, far: float = -60.0, rows: int = 420, columns: int = 420
) -> tuple[Array, Array]:
    """Coordinates x and z of a sheet, finer near the product, that widens toward the horizon."""
    t = np.linspace(0, 1, rows) ** 2.2
    z = near + (far - near) * t
    x, zz = np.meshgrid(np.linspace(-1, 1, columns), z)
    return np.asarray(x * (3.2 + 0.9 * (near - zz)), np.float32), np.asarray(zz, np.float32)


def _bumps(rng: Rng, x: Array, z: Array, count: int, size: float) -> Array:
    out = np.zeros_like(x)
    for _ in range(count):
        angle, k = rng.uniform(0, np.pi), rng.uniform(0.6, 1.6) / size
        out += (
            np.sin((x * np.cos(angle) + z * np.sin(angle)) * k + rng.uniform(0, 6.3)) / count**0.5
        )
    return out


def _sheet(scene: Scene, name: str, x: Array, y: Array, z: Array, what: dict[str, object]) -> None:
    points = np.stack([x, y, z], -1)[::-1]
    scene.add(name, grid(np.asarray(points, np.float32)), what)


def _ripples(rng: Rng, x: Array, z: Array, pitch: float) -> Array:
    """Wind ripples: sharp-crested waves that wander, forking where the warp is strong."""
    turn = rng.uniform(-0.5, 0.5)
    w = z * np.cos(turn) + x * np.sin(turn) + 0.25 * _bumps(rng, x, z, 5, 0.7)
    wave = np.sin(w * 2 * np.pi / pitch)
    return np.asarray(
        (1 - np.abs(wave)) ** 1.3 * np.clip(0.6 + 0.5 * _bumps(rng, x, z, 4, 1.5), 0.1, 1.2),
        np.float32,
    )


def _sand(rng: Rng, colour: tuple[float, float, float]) -> dict[str, object]:
    tone = 0.86 + 0.28 * textures.noise(rng, 300, octaves=2)
    pixels = np.asarray(colour, np.float32) * tone[..., None]
    return materials.matte(Texture(pixels.astype(np.float32), 6.0))


def _middle(x: Array, z: Array, reach: float = 1.0) -> Array:
    """0 where the product stands, 1 away from it."""
    return np.asarray(1 - np.exp(-((x / reach) ** 2 + (z / reach) ** 2)), np.float32)


def desert(scene: Scene, rng: Rng) -> None:
    """Rippled sand and dunes behind."""
    x, z = _ground()
    far = np.clip((-z - 2.5) / 14, 0, 1)
    dune = np.zeros_like(x)
    for k in range(4):
        at, high = -rng.uniform(7, 34), rng.uniform(0.7, 2.2)
        crest = at + rng.uniform(1.0, 3.5) * np.sin(x * rng.uniform(0.08, 0.2) + rng.uniform(0, 6))
        away = z - crest
        dune = np.maximum(
            dune, high * np.where(away > 0, np.exp(-away / 4.5), np.exp(away / 1.6)) * (1 + 0 * k)
        )
    y = (
        0.035 * _ripples(rng, x, z, rng.uniform(0.2, 0.34)) * np.exp(z / 16)
        + 0.05 * _bumps(rng, x, z, 5, 1.8) * _middle(x, z)
        + far * dune * 1.4
    )
    _sheet(scene, "sand", x, y - 0.04, z, _sand(rng, (0.66, 0.42, 0.22)))
    lights.sun_and_sky(
        scene,
        rng.uniform(14, 40),
        rng.choice([-1, 1]) * rng.uniform(55, 120),
        haze=rng.uniform(2.5, 4.5),
    )
    camera(scene, rng, (0.8, 1.3), (0.4, 0.6), aperture=0.05)


def beach(scene: Scene, rng: Rng) -> None:
    """Sand before a sea by day."""
    x, z = _ground(rows=300)
    shore = -rng.uniform(1.6, 3.4)
    line = shore + 0.25 * np.sin(x * rng.uniform(0.5, 1.2) + rng.uniform(0, 6))
    y = 0.03 * _bumps(rng, x, z, 7, 0.35) * np.exp(z / 6) + 0.05 * _bumps(
        rng, x, z, 5, 1.2
    ) * _middle(x, z)
    y = y + np.where(z < line, -0.09 * (line - z), 0.0)
    _sheet(scene, "sand", x, y - 0.02, z, _sand(rng, (0.76, 0.62, 0.44)))
    sx, sz = _ground(-0.6, rows=420)
    wave = 0.014 * _bumps(rng, sx, sz, 12, 0.3) + 0.03 * _bumps(rng, sx, sz, 8, 0.9) * np.clip(
        -sz / 8, 0.1, 1
    )
    turquoise = ((0.01, 0.20, 0.22), (0.012, 0.12, 0.2), (0.02, 0.26, 0.24))[int(rng.integers(3))]
    _sheet(scene, "sea", sx, wave - 0.12, sz, materials.satin(turquoise, 0.06))
    lights.sun_and_sky(
        scene,
        rng.uniform(25, 60),
        rng.choice([-1, 1]) * rng.uniform(70, 150),
        haze=rng.uniform(2.0, 3.0),
    )
    camera(scene, rng, (0.8, 1.3), (0.42, 0.6), aperture=rng.uniform(0.06, 0.12))


def sunset_sea(scene: Scene, rng: Rng) -> None:
    """A low sun over the sea behind sand or a wooden deck."""
    sx, sz = _ground(-0.9, rows=480)
    wave = 0.012 * _bumps(rng, sx, sz, 12, 0.28) + 0.035 * _bumps(rng, sx, sz, 8, 0.9) * np.clip(
        -sz / 8, 0.15, 1
    )
    _sheet(scene, "sea", sx, wave - 0.25, sz, materials.satin((0.01, 0.03, 0.05), 0.08))
    if rng.random() < 0.5:
        pixels = textures.wood(rng, "grey" if rng.random() < 0.5 else "oak")
        what = materials.satin(Texture(pixels), 0.3)
        scene.add("deck", box((0, -0.06, 2.0), (3.2, 0.06, 3.2)), what)
        scene.facts["surface"] = "wood"
    else:
        x, z = _ground(3.6, -3.0, rows=260)
        y = 0.035 * _bumps(rng, x, z, 8, 0.35) * _middle(x, z, 0.6) - np.clip(-z - 0.8, 0, 9) * 0.2
        _sheet(scene, "sand", x, y - 0.02, z, _sand(rng, (0.6, 0.45, 0.3)))
        scene.facts["surface"] = "sand"
    lights.sun_and_sky(
        scene, rng.uniform(1.5, 7.0), rng.uniform(-14, 14), sun=0.35, haze=rng.uniform(4.0, 7.0)
    )
    scene.facts["key"] = 0.17
    camera(scene, rng, (0.7, 1.1), (0.45, 0.62), aperture=rng.uniform(0.06, 0.13))


def snow(scene: Scene, rng: Rng) -> None:
    """Snow with firs behind."""
    x, z = _ground(far=-26.0)
    y = 0.012 * _bumps(rng, x, z, 10, 0.12) * np.exp(z / 5) + 0.09 * _bumps(
        rng, x, z, 6, 1.4
    ) * _middle(x, z, 0.9)
    y = y + np.clip((-z - 6) / 16, 0, 1) * (0.8 + 0.5 * _bumps(rng, x, z, 4, 3.0))
    _sheet(scene, "snow", x, y - 0.02, z, materials.matte((0.86, 0.88, 0.9)))
    for _ in range(int(rng.integers(9, 20))):
        at, tall = -rng.uniform(6.5, 15), rng.uniform(2.2, 4.5)
        cx = float(rng.uniform(-1, 1) * (1.5 - at * 0.55))
        white = rng.random() < 0.5
        for k in range(4):
            low, wide = tall * (0.12 + 0.2 * k), tall * 0.24 * (1 - 0.2 * k)
            cone = lathe(
                [(0.0, low + tall * 0.36), (wide * 0.5, low + tall * 0.16), (wide, low)], cx, at, 24
            )
            tone = (0.5, 0.56, 0.6) if white and k % 2 else (0.03, 0.075, 0.05)
            scene.add("fir", cone, materials.matte(tone))
    lights.sun_and_sky(
        scene,
        rng.uniform(10, 30),
        rng.choice([-1, 1]) * rng.uniform(60, 130),
        sun=rng.choice([0.25, 1.0]),
        haze=rng.uniform(2.5, 5.0),
    )
    scene.facts["key"] = 0.42
    camera(scene, rng, (0.75, 1.2), (0.42, 0.6), aperture=rng.uniform(0.06, 0.12))


def water(scene: Scene, rng: Rng) -> None:
    """A pool's clear water, seen from above, with a stone or wooden edge or all around."""
    x, z = _ground(far=-14.0, rows=520, columns=520)
    y = 0.016 * _bumps(rng, x, z, 14, 0.16) + 0.02 * _bumps(rng, x, z, 9, 0.5)
    blue = ((0.03, 0.36, 0.46), (0.02, 0.28, 0.42), (0.05, 0.42, 0.44))[int(rng.integers(3))]
    crest = np.clip(textures.noise(rng, 9, octaves=3), 0, 1)
    lines = np.abs(crest - 0.5) < 0.018
    caustic = 1 + 0.9 * _soft(lines.astype(np.float32))
    pixels = np.clip(np.asarray(blue, np.float32) * (0.75 + 0.4 * caustic[..., None] * 0.6), 0, 0.9)
    _sheet(
        scene, "water", x, y - 0.12, z, materials.glossy(Texture(pixels.astype(np.float32), 3.0))
    )
    if rng.random() < 0.75:
        what, sort = materials.surface(rng, "stone" if rng.random() < 0.6 else "wood")
        scene.add("edge", box((0, -0.06, 2.4), (3.2, 0.06, 3.2 - rng.uniform(0.2, 0.4))), what)
        scene.facts["sort"] = sort
    rim = (0.66, 0.62, 0.56) if rng.random() < 0.6 else (0.10, 0.17, 0.06)  # stone, or a hedge
    scene.add("rim", box((0, 1.1, -9.5), (20, 1.4, 0.2)), materials.matte(rim))
    lights.sun_and_sky(
        scene, rng.uniform(30, 60), rng.choice([-1, 1]) * rng.uniform(60, 150), haze=2.5
    )
    camera(scene, rng, (1.3, 2.1), (0.25, 0.45), aperture=0.05)


def _soft(field: Array) -> Array:
    """A soft copy of a field of lines."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), 2.5) * 2.5, np.float32)
