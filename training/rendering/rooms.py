"""Rooms out of focus and special light: kitchen, bathroom, Christmas, a city, white, black."""

import numpy as np

from training.rendering import lights, materials, textures
from training.rendering.camera import camera
from training.rendering.scene import (
    Rng,
    Scene,
    Texture,
    box,
    drum,
    floor,
    lathe,
    sphere,
    wall,
)  # fmt: skip
from training.rendering.tables import ornament, top

_POTS = (
    (0.55, 0.25, 0.15),
    (0.7, 0.68, 0.62),
    (0.12, 0.22, 0.2),
    (0.3, 0.4, 0.45),
    (0.72, 0.55, 0.25),
    (0.1, 0.1, 0.1),
)


def _shine(
    scene: Scene, name: str, shape: dict[str, object], radiance: tuple[float, float, float] | float
) -> None:
    value = radiance if isinstance(radiance, float) else [float(v) for v in radiance]
    scene.add(
        name, {**shape, "emitter": {"type": "area", "radiance": {"type": "rgb", "value": value}}}
    )
    scene.groups[list(scene.parts)[-1]] = "light"


def _plant(scene: Scene, rng: Rng, x: float, y: float, z: float, size: float) -> None:
    """A potted plant: a tuft of leaves."""
    from training.rendering.scene import grid

    pot = _POTS[int(rng.integers(len(_POTS)))]
    scene.add("pot", drum(x, z, 0.3 * size, 0.4 * size, y), materials.matte(pot))
    green = (rng.uniform(0.03, 0.09), rng.uniform(0.14, 0.26), rng.uniform(0.03, 0.08))
    for _ in range(int(rng.integers(9, 16))):
        aim, lean, long = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.2, 0.9),
            size * rng.uniform(0.6, 1.1),
        )
        t, s = np.meshgrid(np.linspace(0, 1, 8), np.linspace(-1, 1, 3), indexing="ij")
        out, up = long * lean * t**1.2, long * (t - 0.45 * lean * t**2)
        half = 0.11 * size * np.sin(np.pi * np.clip(t, 0.02, 0.98)) * s
        points = np.stack(
            [
                x + out * np.cos(aim) - half * np.sin(aim),
                y + 0.36 * size + up,
                z + out * np.sin(aim) + half * np.cos(aim),
            ],
            -1,
        )
        scene.add("leaf", grid(points.astype(np.float32)), materials.satin(green, 0.3))


def _bottle(scene: Scene, rng: Rng, x: float, y: float, z: float, size: float) -> None:
    r, h = size * rng.uniform(0.2, 0.32), size * rng.uniform(0.7, 1.1)
    neck = [(0.0, h * 1.3), (r * 0.3, h * 1.3), (r * 0.3, h * 1.05), (r, h * 0.9), (r, 0.0)]
    colour = _POTS[int(rng.integers(len(_POTS)))]
    scene.add(
        "bottle", lathe([(a, y + b) for a, b in neck], x, z, 32), materials.satin(colour, 0.15)
    )


def _daylight(scene: Scene, rng: Rng, z: float, strength: float = 1.0) -> None:
    """A bright window in the far wall, left or right, and soft light from the front."""
    side = float(rng.choice([-1, 1]))
    x, y = side * rng.uniform(1.9, 2.6), rng.uniform(1.5, 1.9)
    half = rng.uniform(0.5, 0.8)
    _shine(
        scene,
        "window",
        {
            "type": "rectangle",
            "to_world": box((x, y, z + 0.03), (half, half * 1.2, 1.0))["to_world"],
        },
        float(4.0 * strength),
    )
    for dx in (-half, 0.0, half):
        scene.add(
            "frame",
            box((x + dx, y, z + 0.06), (0.035, half * 1.2, 0.03)),
            materials.matte((0.7, 0.7, 0.68)),
        )
    scene.add("frame", box((x, y, z + 0.06), (half, 0.03, 0.03)), materials.matte((0.7, 0.7, 0.68)))
    lights.fill(scene, rng.uniform(0.45, 0.7))
    lights.softbox(scene, rng, 0.7, side)


def kitchen(scene: Scene, rng: Rng) -> None:
    """A kitchen out of focus: tiles, cupboards, shelves, a window; a counter in front."""
    z = -rng.uniform(2.6, 3.4)
    top(
        scene,
        rng,
        ("white_marble", "wood", "stone", "white_marble")[int(rng.integers(4))],
        rng.uniform(0.8, 1.2),
    )
    tile = ((0.82, 0.82, 0.8), (0.62, 0.7, 0.66), (0.78, 0.74, 0.66), (0.3, 0.42, 0.44))[
        int(rng.integers(4))
    ]
    pixels = textures.tiles(rng, tile, 16, 34, shift=True)
    scene.add("wall", wall(z, 4.0), materials.satin(Texture(pixels), 0.15))
    front = ((0.78, 0.77, 0.74), (0.16, 0.24, 0.22), (0.36, 0.22, 0.12), (0.1, 0.16, 0.25))[
        int(rng.integers(4))
    ]
    counter_y = -0.1
    scene.add(
        "counter",
        box((0, counter_y - 0.05, z + 0.35), (4.5, 0.05, 0.4)),
        materials.satin((0.55, 0.4, 0.26), 0.2),
    )
    for x in np.arange(-4, 4.1, 0.9):
        scene.add(
            "cupboard",
            box((float(x), counter_y - 0.9, z + 0.3), (0.43, 0.78, 0.36)),
            materials.satin(front, 0.3),
        )
    side = float(rng.choice([-1, 1]))
    for k in range(int(rng.integers(1, 3))):
        y = 1.15 + 0.6 * k
        scene.add(
            "shelf",
            box((side * 1.1, y, z + 0.2), (1.2, 0.03, 0.2)),
            materials.satin((0.42, 0.26, 0.14), 0.3),
        )
        for x in np.arange(-0.95, 1.0, 0.32):
            if rng.random() < 0.75:
                _bottle(
                    scene, rng, float(side * 1.1 + x), y + 0.03, z + 0.2, rng.uniform(0.22, 0.36)
                )
    for _ in range(int(rng.integers(2, 5))):
        _bottle(
            scene, rng, float(rng.uniform(-1.8, 1.8)), counter_y, z + 0.35, rng.uniform(0.3, 0.55)
        )
    if rng.random() < 0.6:
        _plant(scene, rng, float(rng.uniform(-1.6, 1.6)), counter_y, z + 0.3, rng.uniform(0.5, 0.8))
    if rng.random() < 0.4:
        _shine(
            scene,
            "pendant",
            sphere((float(rng.uniform(-1, 1)), 1.9, z + 0.8), 0.13),
            (6.0, 4.6, 3.0),
        )
    _daylight(scene, rng, z)
    scene.facts["neutral"] = False
    camera(
        scene, rng, (0.75, 1.15), (0.45, 0.58), aperture=rng.uniform(0.13, 0.2), lens=(34.0, 42.0)
    )


def bathroom(scene: Scene, rng: Rng) -> None:
    """A bathroom out of focus: tiles, a mirror, towels, bottles, a plant; a counter in front."""
    z = -rng.uniform(2.2, 3.0)
    top(
        scene,
        rng,
        ("white_marble", "stone", "wood", "white_marble")[int(rng.integers(4))],
        rng.uniform(0.8, 1.2),
    )
    tile = (
        (0.82, 0.84, 0.84),
        (0.28, 0.5, 0.5),
        (0.74, 0.66, 0.58),
        (0.45, 0.58, 0.5),
        (0.66, 0.5, 0.48),
    )[int(rng.integers(5))]
    count = int(rng.integers(14, 26))
    pixels = textures.tiles(rng, tile, count, count if rng.random() < 0.5 else 3 * count // 2)
    scene.add("wall", wall(z, 4.0), materials.satin(Texture(pixels), 0.1))
    side = float(rng.choice([-1, 1]))
    x = -side * rng.uniform(0.6, 1.4)
    if rng.random() < 0.7:
        round_mirror = lathe([(0.0, 0.0), (0.75, 0.0), (0.75, -0.06)], 0, 0, 60)
        corners = round_mirror["mesh"].corners
        corners[:] = np.stack(
            [x + corners[:, 0], 1.45 - corners[:, 2], z + 0.08 + corners[:, 1]], -1
        )
        scene.add("mirror", round_mirror, materials.metal((0.85, 0.87, 0.88), 0.05))
    gold = materials.metal((1.0, 0.74, 0.4) if rng.random() < 0.5 else (0.85, 0.85, 0.86), 0.15)
    scene.add(
        "sink", drum(x, z + 0.7, 0.55, 0.28, -0.05), materials.satin((0.84, 0.84, 0.83), 0.08)
    )
    scene.add("tap", drum(x, z + 0.25, 0.05, 0.6, -0.05), gold)
    scene.add("tap", box((x, 0.52, z + 0.4), (0.04, 0.04, 0.2)), gold)
    for k in range(int(rng.integers(2, 5))):
        tone = ((0.8, 0.79, 0.76), (0.6, 0.66, 0.68), (0.72, 0.56, 0.48))[int(rng.integers(3))]
        scene.add(
            "towel",
            box(
                (side * 1.3, 0.02 + 0.15 * k, z + 0.6), (0.5, 0.07, 0.3), float(rng.uniform(-4, 4))
            ),
            materials.matte(tone),
        )
    for _ in range(int(rng.integers(2, 5))):
        _bottle(scene, rng, float(rng.uniform(-1.6, 1.6)), -0.05, z + 0.5, rng.uniform(0.3, 0.5))
    if rng.random() < 0.7:
        _plant(scene, rng, side * rng.uniform(0.4, 0.9), -0.05, z + 0.3, rng.uniform(0.5, 0.9))
    _daylight(scene, rng, z, 0.9)
    scene.facts["neutral"] = False
    camera(
        scene, rng, (0.75, 1.15), (0.45, 0.58), aperture=rng.uniform(0.13, 0.2), lens=(34.0, 42.0)
    )


def _lights_behind(
    scene: Scene, rng: Rng, count: int, tints: tuple[tuple[float, float, float], ...], power: float
) -> None:
    for _ in range(count):
        tint = np.asarray(tints[int(rng.integers(len(tints)))]) * power * rng.uniform(0.5, 1.6)
        z = -rng.uniform(3.0, 6.0)
        reach = (4.3 - z) * 0.42
        ball = sphere(
            (float(rng.uniform(-reach, reach)), float(rng.uniform(0.05, 0.5 + reach * 0.8)), z),
            rng.uniform(0.05, 0.1),
        )
        _shine(scene, "spark", ball, (float(tint[0]), float(tint[1]), float(tint[2])))


def christmas(scene: Scene, rng: Rng) -> None:
    """A table before a fir with lights and baubles out of focus."""
    top(scene, rng, "wood" if rng.random() < 0.6 else "dark_wood", rng.uniform(0.8, 1.1))
    green = textures.noise(rng, 26, octaves=5, keep=0.7)
    pixels = np.stack([0.012 + 0.05 * green, 0.03 + 0.11 * green, 0.02 + 0.05 * green], -1).astype(
        np.float32
    )
    red = rng.random() < 0.3
    if red:
        pixels = pixels[..., [1, 0, 2]] * np.array([1.6, 0.5, 0.8], np.float32)
    scene.add("fir", wall(-6.4, 6.0), materials.matte(Texture(pixels)))
    _lights_behind(
        scene,
        rng,
        int(rng.integers(26, 50)),
        ((1.0, 0.62, 0.25), (1.0, 0.72, 0.4), (1.0, 0.5, 0.2)),
        14.0,
    )
    for _ in range(int(rng.integers(3, 8))):
        shiny = ((0.85, 0.08, 0.07), (1.0, 0.7, 0.3), (0.9, 0.9, 0.9))[int(rng.integers(3))]
        at = (float(rng.uniform(-2.4, 2.4)), float(rng.uniform(0.4, 2.4)), -rng.uniform(2.0, 3.5))
        scene.add("bauble", sphere(at, rng.uniform(0.16, 0.28)), materials.metal(shiny, 0.15))
    if rng.random() < 0.4:
        r = rng.uniform(0.14, 0.2)
        at = (float(rng.choice([-1, 1]) * rng.uniform(0.9, 1.1)), r, float(rng.uniform(0.0, 0.5)))
        scene.add("bauble", sphere(at, r), materials.metal((0.85, 0.08, 0.07), 0.12))
    lights.fill(scene, rng.uniform(0.15, 0.3))
    lights.softbox(scene, rng, 0.5)
    scene.samples, scene.facts["neutral"] = 64, False
    camera(scene, rng, (0.65, 1.0), (0.5, 0.62), aperture=rng.uniform(0.13, 0.18))


def night_city(scene: Scene, rng: Rng) -> None:
    """A table before a city at night: towers' windows and streets' lights as round discs."""
    top(scene, rng, "dark_wood" if rng.random() < 0.5 else "black_marble", rng.uniform(0.8, 1.1))
    sky = np.linspace(0, 1, textures.SIDE, dtype=np.float32)[:, None]
    blue = np.stack([0.006 + 0.02 * sky, 0.008 + 0.016 * sky, 0.03 + 0.035 * sky], -1)
    pixels = np.broadcast_to(blue, (textures.SIDE, textures.SIDE, 3)).astype(np.float32)
    scene.add("sky", wall(-9.0, 9.0), materials.matte(Texture(pixels * 3)))
    for _ in range(int(rng.integers(7, 13))):
        x, tall = float(rng.uniform(-4.5, 4.5)), rng.uniform(0.8, 3.2)
        z = -rng.uniform(6.5, 8.5)
        half = rng.uniform(0.3, 0.6)
        scene.add(
            "tower",
            box((x, tall / 2, z), (half, tall / 2, 0.2)),
            materials.matte((0.02, 0.022, 0.035)),
        )
        for row in np.arange(0.2, tall - 0.1, 0.24):
            for column in (-0.6, 0.0, 0.6):
                if rng.random() < 0.3:
                    tint = (9.0, 6.2, 3.2) if rng.random() < 0.75 else (4.0, 6.5, 9.0)
                    _shine(
                        scene,
                        "pane",
                        box((x + column * half, float(row), z + 0.22), (0.07, 0.06, 0.01)),
                        tint,
                    )
    tints = (
        (1.0, 0.6, 0.25),
        (1.0, 0.75, 0.5),
        (1.0, 0.16, 0.1),
        (0.25, 0.55, 1.0),
        (1.0, 0.3, 0.7),
        (0.3, 0.9, 0.8),
    )
    _lights_behind(scene, rng, int(rng.integers(20, 36)), tints, 12.0)
    lights.fill(scene, 0.06)
    lights.softbox(scene, rng, 0.22)
    scene.samples = 64
    scene.facts.update(neutral=False, exposure=1.0, key=0.06)
    camera(scene, rng, (0.6, 0.95), (0.5, 0.62), aperture=rng.uniform(0.13, 0.19))


def white_studio(scene: Scene, rng: Rng) -> None:
    """Pure white, as marketplaces ask for; sometimes with the faintest shade of a floor."""
    from training.rendering.sets import sweep

    sweep(scene, rng.uniform(2.0, 3.0), 1.4)
    scene.parts["sweep"]["bsdf"] = materials.matte((0.9, 0.9, 0.9))
    scene.groups["sweep"] = "own"
    if rng.random() < 0.35:
        scene.add(
            "plinth",
            drum(0, 0, rng.uniform(0.6, 0.8), 0.1, 0.0),
            materials.matte((0.88, 0.88, 0.88)),
        )
    lights.fill(scene, rng.uniform(0.9, 1.2))
    lights.softbox(scene, rng, rng.uniform(0.2, 0.5))
    scene.facts["exposure"] = 1.9
    camera(scene, rng, (0.7, 1.5), (0.42, 0.6))


def black_studio(scene: Scene, rng: Rng) -> None:
    """Black, with a faint glow or rim light and a mirroring floor."""
    depth = rng.uniform(2.0, 3.0)
    scene.add("wall", wall(-depth), materials.matte((0.012, 0.012, 0.013)))
    dark = (0.006, 0.006, 0.007)
    scene.add(
        "floor",
        floor(),
        materials.glossy(dark) if rng.random() < 0.6 else materials.satin(dark, 0.2),
    )
    lights.fill(scene, 0.05)
    if rng.random() < 0.8:
        lights.halo(scene, rng, -depth, 5.0)
    if rng.random() < 0.6:
        lights.rim(scene, rng, 0.6)
    scene.light("top", lights.lamp((0.0, 3.4, 1.6), (0, 0, 0), 0.6, 6.0))
    if rng.random() < 0.25:
        ornament(scene, rng, materials.metal((0.6, 0.6, 0.62), 0.2), depth)
    scene.facts["exposure"] = 1.0
    camera(scene, rng, (0.7, 1.2), (0.45, 0.6))
