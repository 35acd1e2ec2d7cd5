"""Tables of marble, wood, stone and concrete: before coloured walls, brick, and CC0 panoramas."""

import numpy as np

from training.rendering import lights, materials, textures
from training.rendering.camera import camera
from training.rendering.scene import (
    Array,
    Panorama,
    Rng,
    Scene,
    Texture,
    Transform,
    box,
    chain,
    floor,
    moved,
    scaled,
    turned,
    wall,
)  # fmt: skip
from training.rendering.sets import any_light


def top(scene: Scene, rng: Rng, name: str, edge: float, coat: float | None = None) -> None:
    """A table top whose far edge is `edge` behind the product; its near edge is not seen.

    `coat` is its coat's index of refraction, else the material's own: a low one keeps a bright sky
    from whitening it.
    """
    what, sort = materials.surface(rng, name, coat=coat)
    turn = 90.0 if rng.random() < 0.6 else 0.0
    half = 3.4
    place = chain(moved(0, 0, half - edge), turned(1, turn), turned(0, -90), scaled(half))
    scene.add("table", {"type": "rectangle", "to_world": place}, what)
    front = box((0, -0.08, half - edge), (half, 0.0799, half))
    tone = {
        "white_marble": (0.7, 0.7, 0.69),
        "black_marble": (0.015,) * 3,
        "wood": (0.3, 0.19, 0.1),
    }
    scene.add("slab", front, materials.matte(tone.get(name, (0.12, 0.1, 0.08))))
    scene.facts["surface"], scene.facts["sort"] = name, sort


def before_wall(scene: Scene, rng: Rng, name: str) -> None:
    """A table against a wall of a free colour: painted, plastered, or far behind and blurred."""
    edge = rng.uniform(0.7, 1.4)
    top(scene, rng, name, edge)
    far = edge + (rng.uniform(0.6, 2.0) if rng.random() < 0.5 else 0.0)
    if rng.random() < 0.3:
        scene.add("wall", wall(-far, 5.0), materials.coded_plaster(rng, 0.06), "first")
    else:
        scene.add("wall", wall(-far), materials.coded(0.5), "first")
    any_light(scene, rng, 0.4)
    camera(scene, rng, (0.8, 1.6), (0.42, 0.58), aperture=rng.uniform(0.03, 0.1))


def white_marble(scene: Scene, rng: Rng) -> None:
    """White marble before a coloured wall."""
    before_wall(scene, rng, "white_marble")


def black_marble(scene: Scene, rng: Rng) -> None:
    """Black marble before a coloured wall."""
    before_wall(scene, rng, "black_marble")


def wood_table(scene: Scene, rng: Rng) -> None:
    """A wooden table before a coloured wall."""
    before_wall(scene, rng, "wood" if rng.random() < 0.75 else "dark_wood")


def stone_table(scene: Scene, rng: Rng) -> None:
    """Slate, travertine, granite or terrazzo before a coloured wall."""
    before_wall(scene, rng, "stone")


def concrete(scene: Scene, rng: Rng) -> None:
    """A concrete table before a concrete wall."""
    top(scene, rng, "concrete", rng.uniform(0.8, 1.3))
    tall = textures.concrete(rng, rng.uniform(0.25, 0.45))
    relief = materials.uneven(tall[..., 0], 0.1, materials.matte(Texture(tall)))
    scene.add("wall", wall(-rng.uniform(1.3, 1.8), 4.0), relief)
    any_light(scene, rng, 0.35)
    camera(scene, rng, (0.8, 1.5), (0.42, 0.58))


def brick(scene: Scene, rng: Rng) -> None:
    """A table before a brick wall, red or painted white."""
    sort = "red" if rng.random() < 0.6 else "white"
    top(scene, rng, "dark_wood" if rng.random() < 0.3 else "wood", rng.uniform(0.8, 1.2))
    pixels = textures.bricks(rng, sort)
    relief = materials.uneven(np.asarray(pixels.mean(-1)), 0.12, materials.matte(Texture(pixels)))
    scene.add("wall", wall(-rng.uniform(1.4, 2.6), 4.0), relief)
    any_light(scene, rng, 0.3)
    scene.facts["wall"] = f"{sort} brick"
    camera(scene, rng, (0.8, 1.3), (0.45, 0.6), aperture=rng.uniform(0.04, 0.12))


def black_gold(scene: Scene, rng: Rng) -> None:
    """Black marble or lacquer with golden rods, rings and edges, for luxury."""
    depth = rng.uniform(1.3, 2.0)
    if rng.random() < 0.5:
        top(scene, rng, "black_marble", 1.2)
    else:
        scene.add("floor", floor(), materials.glossy((0.006, 0.006, 0.007)))
    if rng.random() < 0.5:
        pixels = textures.marble(rng, "black")
        scene.add("wall", wall(-depth, 3.0), materials.satin(Texture(pixels), 0.1))
    else:
        scene.add("wall", wall(-depth), materials.satin((0.008, 0.008, 0.009), 0.25))
    gold = materials.metal((1.0, 0.72, 0.32), rng.uniform(0.1, 0.25))
    ornament(scene, rng, gold, depth)
    lights.fill(scene, rng.uniform(0.05, 0.12))
    lights.softbox(scene, rng, 1.1)
    lights.halo(scene, rng, -depth, 1.5)
    scene.facts["exposure"] = 1.5
    camera(scene, rng, (0.7, 1.2), (0.45, 0.6), aperture=rng.uniform(0.04, 0.1))


def ornament(scene: Scene, rng: Rng, gold: dict[str, object], depth: float) -> None:
    """A golden ring, rods or inlays behind the product."""
    from training.rendering.scene import drum, grid, sphere

    sort = int(rng.integers(3))
    if sort == 0:
        r = rng.uniform(0.7, 0.95)
        a, t = np.meshgrid(
            np.linspace(0, 2 * np.pi, 90), np.linspace(0, 2 * np.pi, 12), indexing="ij"
        )
        wide = r + 0.035 * np.cos(t)
        points = np.stack(
            [wide * np.cos(a), r - 0.02 + wide * np.sin(a), -0.8 + 0.035 * np.sin(t)], -1
        )
        scene.add("ring", grid(points.astype(np.float32)), gold)
    elif sort == 1:
        for x in np.arange(-2.2, 2.3, rng.uniform(0.4, 0.8)):
            scene.add("rod", box((float(x), 1.5, -depth + 0.02), (0.012, 3.0, 0.012)), gold)
    else:
        for side in (-1, 1):
            x, tall = side * rng.uniform(0.95, 1.3), rng.uniform(0.2, 0.8)
            scene.add("drum", drum(float(x), -0.5, rng.uniform(0.2, 0.35), tall), gold)
        scene.add("ball", sphere((float(rng.choice([-1, 1]) * 0.85), 0.11, 0.35), 0.11), gold)
    if rng.random() < 0.4:
        scene.add("podium", drum(0, 0, 0.6, 0.04, 0.0), gold)


_TABLES = ("wood", "wood", "dark_wood", "stone", "white_marble", "concrete")


def warmed(pixels: Array) -> Array:
    """The panorama with its greens turned to autumn's reds and yellows."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    leaf = np.clip((green - np.maximum(red * 0.92, blue)) / (green + 1e-4) * 6, 0, 1)
    out = np.stack(
        [red + leaf * green * 0.95, green - leaf * green * 0.28, blue * (1 - 0.7 * leaf)], -1
    )
    return np.asarray(out, np.float32)


def before_panorama(
    scene: Scene,
    rng: Rng,
    pixels: Array,
    yaw: tuple[float, float],
    tilt: float = 0.0,
    table: str | None = None,
) -> None:
    """A table before a panorama, through an open lens; the panorama lights it.

    Args:
        scene: gets it.
        rng: chooses.
        pixels: the panorama, linear [H, W, 3].
        yaw: range of the direction behind the product, degrees.
        tilt: degrees by which the horizon is raised.
        table: of SURFACES; None chooses.
    """
    turn = float(rng.uniform(*yaw))
    place = chain(turned(0, tilt), turned(1, turn + 180))
    limit = float(np.percentile(pixels, 99.97))
    sky = Panorama(np.minimum(pixels, max(limit, 8.0)))
    scene.light("sky", {"type": "envmap", "bitmap": sky, "to_world": Transform(place.matrix)})
    name = table or _TABLES[int(rng.integers(len(_TABLES)))]
    top(scene, rng, name, rng.uniform(0.7, 1.3), coat=1.2)
    scene.facts.update(neutral=False, yaw=turn)
    camera(
        scene, rng, (0.55, 0.95), (0.5, 0.66), aperture=rng.uniform(0.12, 0.2), lens=(32.0, 42.0)
    )
