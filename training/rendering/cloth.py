"""Silk, curtains, linen and rippled water in free colours: height fields and sheets."""

import numpy as np

from training.rendering import lights, materials
from training.rendering.camera import camera
from training.rendering.scene import Rng, Scene, chain, drum, floor, grid, moved, wall
from training.rendering.sets import any_light


def _folds(rng: Rng, u: np.ndarray, v: np.ndarray, count: float) -> np.ndarray:
    """Heights of soft folds in -1..1 over coordinates u, v."""
    turn, out = rng.uniform(0, np.pi), np.zeros_like(u)
    for k in range(3):
        angle = turn + rng.uniform(-0.5, 0.5)
        w = u * np.cos(angle) + v * np.sin(angle)
        across = v * np.cos(angle) - u * np.sin(angle)
        bend = 0.5 * np.sin(across * rng.uniform(0.6, 1.6) + rng.uniform(0, 6)) + 0.25 * np.sin(
            across * 2.6 + rng.uniform(0, 6)
        )
        wave = np.sin((w + bend) * count * rng.uniform(0.7, 1.3) + rng.uniform(0, 6))
        out += (np.abs(wave) ** 1.5 * np.sign(wave) if k else wave) * 0.65**k
    return out / 2


def silk(scene: Scene, rng: Rng) -> None:
    """Silk laid in folds that flatten where the product stands."""
    x, z = np.meshgrid(np.linspace(-6, 6, 380), np.linspace(-10, 3.4, 420))
    calm = 1 - 0.75 * np.exp(-((x / 0.8) ** 2 + (z / 0.7) ** 2))
    y = rng.uniform(0.2, 0.32) * calm * _folds(rng, x, z, rng.uniform(2.8, 4.6))
    scene.add(
        "cloth",
        grid(np.stack([x, y, z], -1).astype(np.float32)),
        materials.coded(rng.uniform(0.16, 0.32)),
        "first",
    )
    lights.fill(scene, rng.uniform(0.2, 0.35))
    lights.softbox(scene, rng, 1.0)
    if rng.random() < 0.5:
        lights.backlight(scene, rng, 0.35)
    camera(scene, rng, (2.3, 3.3), (0.0, 0.2), distance=3.4)


def drapes(scene: Scene, rng: Rng) -> None:
    """A hanging curtain behind a table or a podium."""
    x, y = np.meshgrid(np.linspace(-5, 5, 500), np.linspace(4.5, -0.6, 60))
    count, sway = rng.uniform(3.5, 7), rng.uniform(0, 6)
    warp = 0.35 * np.sin(x * 1.3 + sway) + 0.12 * np.sin(y * 0.9 + x * 0.6)
    wave = np.sin((x + warp) * count)
    z = -1.5 - 0.16 * wave - 0.06 * np.sin((x + warp) * count * 2.1 + 1)
    scene.add(
        "cloth",
        grid(np.stack([x, y, z], -1).astype(np.float32)),
        materials.coded(rng.uniform(0.25, 0.5)),
        "first",
    )
    group = "second" if rng.random() < 0.5 else "first"
    scene.add("floor", floor(), materials.coded(0.2), group)
    if rng.random() < 0.4:
        high = rng.uniform(0.1, 0.2)
        scene.add(
            "podium", drum(0, 0, rng.uniform(0.6, 0.8), high, -high), materials.coded(0.2), group
        )
        scene.parts["floor"]["to_world"] = chain(
            moved(0, -high, 0), scene.parts["floor"]["to_world"]
        )
    any_light(scene, rng, 0.15)
    camera(scene, rng, (0.8, 1.3), (0.48, 0.62))


def linen(scene: Scene, rng: Rng) -> None:
    """A table under linen before a wall, with soft creases."""
    x, z = np.meshgrid(np.linspace(-4, 4, 240), np.linspace(-1.0, 3.4, 160))
    y = 0.05 * _folds(rng, x, z, 4.0) * (1 - 0.6 * np.exp(-((x / 0.7) ** 2 + (z / 0.7) ** 2)))
    points = np.stack([x, y, z], -1).astype(np.float32)
    scene.add(
        "cloth", grid(points), materials.coded_linen(rng, int(rng.integers(110, 170))), "first"
    )
    scene.add("wall", wall(-rng.uniform(1.3, 2.2)), materials.coded(None), "second")
    any_light(scene, rng, 0.5)
    camera(scene, rng, (1.0, 1.7), (0.4, 0.55))


def ripples(scene: Scene, rng: Rng) -> None:
    """Coloured water with rings, before a wall of the same colour."""
    x, z = np.meshgrid(np.linspace(-3.6, 3.6, 360), np.linspace(-2.2, 3.4, 300))
    y = np.zeros_like(x)
    for _ in range(int(rng.integers(1, 4))):
        r = np.hypot(x - rng.uniform(-1.2, 1.2), z - rng.uniform(-1.0, 0.8))
        y += (
            rng.uniform(0.012, 0.03)
            * np.sin(r * rng.uniform(12, 20))
            * np.exp(-r * rng.uniform(0.8, 1.6))
        )
    y += 0.006 * _folds(rng, x, z, 6.0)
    scene.add(
        "water",
        grid(np.stack([x, y - 0.05, z], -1).astype(np.float32)),
        materials.glossy(materials.LEVELS),
        "first",
    )
    scene.add("wall", wall(-2.0), materials.coded(0.5), "first")
    if rng.random() < 0.6:
        scene.add(
            "podium", drum(0, 0, rng.uniform(0.5, 0.8), 0.3, -0.3), materials.coded(0.25), "second"
        )
    lights.fill(scene, rng.uniform(0.3, 0.5))
    if rng.random() < 0.5:
        lights.backlight(scene, rng, 0.5)
    lights.softbox(scene, rng, 0.9)
    camera(scene, rng, (1.0, 1.7), (0.3, 0.5))
