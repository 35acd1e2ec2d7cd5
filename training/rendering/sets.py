"""Studio sets in free colours: paper, podiums, arches, sunlit walls, plaster, perfume.

Each function fills a Scene; its free colours are the groups `first` (the set) and, where it has
one, `second` (what the product stands on).
"""

import numpy as np

from training.rendering import lights, materials
from training.rendering.camera import camera
from training.rendering.scene import (
    Rng,
    Scene,
    box,
    chain,
    drum,
    floor,
    grid,
    moved,
    sphere,
    wall,
)  # fmt: skip


def sweep(
    scene: Scene, depth: float, bend: float, group: str = "first", roughness: float | None = None
) -> None:
    """Paper that rises from the floor in a bend of radius `bend`, `depth` behind the product."""
    angle = np.linspace(0, np.pi / 2, 24)
    curve = [(6.0, 0.0), (-depth + bend, 0.0)]
    curve += [(-depth + bend - bend * np.sin(a), bend - bend * np.cos(a)) for a in angle[1:]]
    curve.append((-depth, 9.0))
    x = np.linspace(-10, 10, 2)
    points = np.array([[(cx, y, z) for cx in x] for z, y in reversed(curve)], np.float32)
    scene.add("sweep", grid(points), materials.coded(roughness), group)


def room(scene: Scene, rng: Rng, roughness: float = 0.35, depth: float = 1.9) -> None:
    """A wall and a floor of the first colour."""
    scene.add("wall", wall(-depth), materials.coded(roughness), "first")
    scene.add("floor", floor(), materials.coded(roughness), "first")


def any_light(scene: Scene, rng: Rng, shadow: float = 0.25) -> None:
    """Soft light mostly; a window's or leaves' shadow with probability `shadow`."""
    if rng.random() < shadow:
        sort = str(rng.choice(["window", "leaves", "both"]))
        lights.fill(scene, rng.uniform(0.35, 0.55))
        lights.shadows(scene, rng, sort)
        scene.facts["light"] = sort
    elif rng.random() < 0.2:
        lights.fill(scene, rng.uniform(0.3, 0.4))
        lights.backlight(scene, rng, 0.8)
        lights.softbox(scene, rng, 0.5)
        scene.facts["light"] = "back"
    else:
        lights.fill(scene, rng.uniform(0.25, 0.5))
        lights.softbox(scene, rng, rng.uniform(0.8, 1.2))
        scene.facts["light"] = "soft"


def paper(scene: Scene, rng: Rng) -> None:
    """Seamless paper."""
    sweep(scene, rng.uniform(1.8, 3.0), rng.uniform(0.6, 1.6))
    lights.fill(scene, rng.uniform(0.2, 0.5))
    lights.softbox(scene, rng, rng.uniform(0.8, 1.3))
    camera(scene, rng, (0.7, 1.6), (0.45, 0.6))


def spotlight(scene: Scene, rng: Rng) -> None:
    """A wall with a round glow behind the product."""
    depth = rng.uniform(1.6, 2.4)
    if rng.random() < 0.5:
        sweep(scene, depth, 0.5, roughness=0.4)
    else:
        room(scene, rng, 0.3, depth)
    lights.fill(scene, rng.uniform(0.12, 0.25))
    lights.halo(scene, rng, -depth)
    scene.light("top", lights.lamp((0.0, 3.4, 1.4), (0, 0, 0), 0.5, 5.0))
    camera(scene, rng, (0.8, 1.3), (0.5, 0.62))


def _extras(scene: Scene, rng: Rng, group: str) -> None:
    """Cylinders, blocks and balls at the sides; the middle stays free."""
    for side in rng.permutation([-1, 1])[: int(rng.integers(0, 3))]:
        x, z = side * rng.uniform(0.95, 1.5), -rng.uniform(0.3, 1.0)
        height, wide = rng.uniform(0.3, 1.2), rng.uniform(0.22, 0.42)
        if rng.random() < 0.6:
            scene.add("side", drum(x, z, wide, height), materials.coded(0.25), group)
        else:
            block = box(
                (x, height / 2, z), (wide * 0.8, height / 2, wide * 0.8), rng.uniform(-25, 25)
            )
            scene.add("side", block, materials.coded(0.3), group)
    if rng.random() < 0.45:
        r = rng.uniform(0.1, 0.24)
        x = rng.choice([-1, 1]) * rng.uniform(0.95, 1.25)
        shiny = rng.random() < 0.5
        what = materials.metal(None, rng.uniform(0.05, 0.2)) if shiny else materials.coded(0.15)
        ball = sphere((float(x), r, float(rng.uniform(0.1, 0.6))), r)
        scene.add("ball", ball, what, "metal" if shiny else group)
        scene.facts["metal"] = shiny


def podium(scene: Scene, rng: Rng) -> None:
    """A round podium of one to three steps."""
    if rng.random() < 0.5:
        room(scene, rng)
    else:
        sweep(scene, rng.uniform(1.7, 2.4), 0.6, roughness=0.4)
    group = "second" if rng.random() < 0.4 else "first"
    steps, base = int(rng.integers(1, 4)), 0.0
    radius, height = rng.uniform(0.62, 0.85), rng.uniform(0.12, 0.3) / steps**0.5
    for step in range(steps):
        wide = radius + 0.24 * (steps - 1 - step)
        ring = "metal" if rng.random() < 0.12 else group
        body = materials.metal(None, 0.2) if ring == "metal" else materials.coded(0.22)
        scene.add("podium", drum(0, 0, wide, height, base - height * steps), body, ring)
        base += height
    # the top is at y = 0, where the product stands: the set sinks
    drop = height * steps
    for part in scene.parts.values():
        if (
            part.get("type") == "rectangle"
            and "emitter" not in part
            and part["to_world"].matrix[1, 3] == 0
        ):
            part["to_world"] = chain(moved(0, -drop, 0), part["to_world"])
        elif part.get("type") == "mesh" and part["mesh"].corners[:, 1].max() > 5:
            part["mesh"].corners[:, 1] -= drop
    _extras(scene, rng, group)
    any_light(scene, rng)
    camera(scene, rng, (0.75, 1.35), (0.25, 0.42))


def blocks(scene: Scene, rng: Rng) -> None:
    """Square blocks and steps."""
    room(scene, rng)
    group = "second" if rng.random() < 0.4 else "first"
    high = rng.uniform(0.15, 0.35)
    scene.add(
        "block",
        box((0, high / 2 - high, 0), (rng.uniform(0.6, 0.9), high / 2, 0.6), 0),
        materials.coded(0.3),
        group,
    )
    scene.parts["floor"]["to_world"] = chain(moved(0, -high, 0), scene.parts["floor"]["to_world"])
    for side in (-1, 1):
        if rng.random() < 0.75:
            tall, wide = rng.uniform(0.1, 1.1), rng.uniform(0.3, 0.5)
            x = side * rng.uniform(0.95, 1.4)
            scene.add(
                "block",
                box((x, tall / 2 - high, -0.5), (wide, tall / 2, wide), rng.uniform(-8, 8)),
                materials.coded(0.3),
                group,
            )
    if rng.random() < 0.5:
        tall = rng.uniform(0.3, 0.7)
        scene.add(
            "block",
            box((0.1, tall / 2 - high, -1.15), (1.1, tall / 2, 0.4), 0),
            materials.coded(0.3),
            "first",
        )
    any_light(scene, rng, 0.4)
    camera(scene, rng, (0.75, 1.3), (0.3, 0.45))


def arch(scene: Scene, rng: Rng) -> None:
    """One or two arches, a low plinth between them, sometimes a niche or steps."""
    depth = rng.uniform(1.5, 2.0)
    scene.add("wall", wall(-depth), materials.coded(0.5), "first")
    scene.add("floor", floor(), materials.coded(0.35), "first")
    group = "second" if rng.random() < 0.6 else "first"
    count = int(rng.integers(1, 4))
    for i in range(count):
        half = rng.uniform(0.55, 0.75) * (1 + 0.35 * i)
        straight, back, thick = (
            rng.uniform(0.7, 1.0) + 0.2 * i,
            0.25 + 0.18 * i,
            rng.uniform(0.12, 0.2),
        )
        x = 0.0 if count < 3 or i == 0 else float(rng.choice([-1, 1]) * 0.5)
        angle = np.linspace(0, np.pi, 40)
        inner = [
            (x - half, 0.0),
            *((x - half * np.cos(a), straight + half * np.sin(a)) for a in angle),
            (x + half, 0.0),
        ]
        wide = half + thick
        outer = [
            (x - wide, 0.0),
            *((x - wide * np.cos(a), straight + wide * np.sin(a)) for a in angle),
            (x + wide, 0.0),
        ]
        near, far = -0.75 - 0.3 * i, -0.75 - 0.3 * i - back
        rows = [
            [(*p, z) for p in line]
            for line, z in ((inner, far), (inner, near), (outer, near), (outer, far))
        ]
        what = "first" if i else group
        for a, b in ((0, 1), (1, 2), (2, 3)):
            scene.add(
                "arch", grid(np.array([rows[b], rows[a]], np.float32)), materials.coded(0.35), what
            )
    if rng.random() < 0.6:
        high = rng.uniform(0.06, 0.16)
        scene.add(
            "plinth", drum(0, 0, rng.uniform(0.55, 0.7), high, -high), materials.coded(0.25), group
        )
        scene.parts["floor"]["to_world"] = chain(
            moved(0, -high, 0), scene.parts["floor"]["to_world"]
        )
        for name, part in scene.parts.items():
            if name.startswith("arch"):
                part["mesh"].corners[:, 1] -= high
    _extras(scene, rng, group)
    any_light(scene, rng, 0.35)
    camera(scene, rng, (0.7, 1.2), (0.5, 0.68))


def sunlit(scene: Scene, rng: Rng, sort: str) -> None:
    """A wall and a floor in the light of a window, leaves' shadows, or both."""
    depth = rng.uniform(1.0, 1.5)
    if rng.random() < 0.4:
        scene.add("wall", wall(-depth, 4.0), materials.coded_plaster(rng, 0.05), "first")
    else:
        scene.add("wall", wall(-depth), materials.coded(None), "first")
    scene.add(
        "floor",
        floor(z=0.0),
        materials.coded(0.4 if rng.random() < 0.5 else None),
        "first" if rng.random() < 0.7 else "second",
    )
    if rng.random() < 0.3:
        high = rng.uniform(0.1, 0.25)
        scene.add(
            "podium",
            drum(0, 0, rng.uniform(0.55, 0.8), high, -high),
            materials.coded(0.3),
            "second",
        )
        scene.parts["floor"]["to_world"] = chain(
            moved(0, -high, 0), scene.parts["floor"]["to_world"]
        )
    lights.fill(scene, rng.uniform(0.28, 0.45))
    lights.shadows(scene, rng, sort)
    scene.facts["light"] = sort
    camera(scene, rng, (0.8, 1.4), (0.5, 0.62))


def window_light(scene: Scene, rng: Rng) -> None:
    """A wall in the light of a window."""
    sunlit(scene, rng, "window")


def leaf_shadows(scene: Scene, rng: Rng) -> None:
    """A wall with leaves' shadows."""
    sunlit(scene, rng, "leaves" if rng.random() < 0.7 else "both")


def plaster(scene: Scene, rng: Rng) -> None:
    """A plastered wall in raking light behind a table or a step of the same plaster."""
    scene.add(
        "wall",
        wall(-rng.uniform(0.9, 1.4), 4.0),
        materials.coded_plaster(rng, rng.uniform(0.1, 0.2)),
        "first",
    )
    scene.add("floor", floor(5.0), materials.coded_plaster(rng, 0.05), "first")
    lights.fill(scene, rng.uniform(0.25, 0.4))
    if rng.random() < 0.3:
        lights.shadows(scene, rng, str(rng.choice(["leaves", "both"])), 0.8)
    else:
        lights.softbox(scene, rng)
    camera(scene, rng, (0.8, 1.4), (0.48, 0.6))


def perfume(scene: Scene, rng: Rng) -> None:
    """A glossy table, a glow, a golden ring or rods, and lights out of focus."""
    depth = 3.6
    scene.add("wall", wall(-depth), materials.coded(0.5), "first")
    scene.add("floor", floor(), materials.glossy(materials.LEVELS), "first")
    scene.samples = 64
    for _ in range(int(rng.integers(14, 34))):
        x, y = rng.uniform(-2.6, 2.6), rng.uniform(0.2, 2.6)
        ball = sphere((float(x), float(y), -rng.uniform(2.2, 3.4)), rng.uniform(0.03, 0.07))
        scene.add(
            "spark",
            {
                **ball,
                "emitter": {
                    "type": "area",
                    "radiance": {"type": "rgb", "value": float(rng.uniform(3, 8))},
                },
            },
        )
        scene.groups[list(scene.parts)[-1]] = "light"
    if rng.random() < 0.6:
        angle, r = np.linspace(0, 2 * np.pi, 80), rng.uniform(0.75, 0.95)
        tube = np.linspace(0, 2 * np.pi, 12)
        a, t = np.meshgrid(angle, tube, indexing="ij")
        wide = r + 0.03 * np.cos(t)
        ring = np.stack([wide * np.cos(a), 0.78 + wide * np.sin(a), -0.9 + 0.03 * np.sin(t)], -1)
        scene.add("ring", grid(ring.astype(np.float32)), materials.metal(None, 0.15), "metal")
        scene.facts["metal"] = True
    if rng.random() < 0.5:
        high = rng.uniform(0.08, 0.2)
        scene.add(
            "podium",
            drum(0, 0, rng.uniform(0.45, 0.65), high, -high),
            materials.coded(0.12),
            "first",
        )
        scene.parts["floor"]["to_world"] = chain(
            moved(0, -high, 0), scene.parts["floor"]["to_world"]
        )
    lights.fill(scene, rng.uniform(0.06, 0.15))
    lights.halo(scene, rng, -depth, 1.2)
    lights.softbox(scene, rng, 0.5)
    camera(scene, rng, (0.6, 1.0), (0.5, 0.65), aperture=rng.uniform(0.1, 0.16))
