"""Every kind of scene by name: what builds it and what may be given to it after rendering."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from training import panoramas
from training.rendering import cloth, landscapes, rooms, sets, tables
from training.rendering.scene import Array, Rng, Scene


@dataclass(frozen=True)
class Kind:
    """A kind of scene.

    Args:
        build: fills a Scene; None where a panorama does.
        coloured: its free colours are given after rendering.
        panorama: file name without its ending; behind the table.
        yaw: directions to look in, degrees.
        tilt: by how many degrees the panorama's horizon is raised.
        key: brightness, in linear light, of a scene in its own colours.
        tables: surfaces of the table before the panorama.
    """

    build: Callable[[Scene, Rng], None] | None = None
    coloured: bool = False
    panorama: str | None = None
    yaw: tuple[float, float] = (-180.0, 180.0)
    tilt: float = 0.0
    key: float = 0.2
    autumn: bool = False
    table: str | None = None


KINDS: dict[str, Kind] = {
    "paper": Kind(sets.paper, True),
    "spotlight": Kind(sets.spotlight, True),
    "podium": Kind(sets.podium, True),
    "blocks": Kind(sets.blocks, True),
    "arch": Kind(sets.arch, True),
    "window_light": Kind(sets.window_light, True),
    "leaf_shadows": Kind(sets.leaf_shadows, True),
    "plaster": Kind(sets.plaster, True),
    "silk": Kind(cloth.silk, True),
    "drapes": Kind(cloth.drapes, True),
    "linen": Kind(cloth.linen, True),
    "ripples": Kind(cloth.ripples, True),
    "perfume": Kind(sets.perfume, True),
    "white_marble": Kind(tables.white_marble, True),
    "black_marble": Kind(tables.black_marble, True),
    "wood_table": Kind(tables.wood_table, True),
    "stone_table": Kind(tables.stone_table, True),
    "concrete": Kind(tables.concrete),
    "brick": Kind(tables.brick),
    "black_gold": Kind(tables.black_gold),
    "white_studio": Kind(rooms.white_studio),
    "black_studio": Kind(rooms.black_studio),
    "kitchen": Kind(rooms.kitchen, key=0.42),
    "bathroom": Kind(rooms.bathroom, key=0.38),
    "christmas": Kind(rooms.christmas, key=0.1),
    "night_city": Kind(rooms.night_city, key=0.07),
    "desert": Kind(landscapes.desert, key=0.26),
    "beach": Kind(landscapes.beach, key=0.3),
    "sunset_sea": Kind(landscapes.sunset_sea),
    "snow": Kind(landscapes.snow, key=0.4),
    "water": Kind(landscapes.water, key=0.22),
    "forest": Kind(panorama="forest"),
    "autumn_forest": Kind(panorama="forest", autumn=True),
    "meadow": Kind(panorama="park"),
    "countryside": Kind(panorama="sunrise"),
    "mountains": Kind(panorama="dawn"),
    "sky": Kind(panorama="sky", tilt=-6),
    "city_street": Kind(panorama="city"),
    "waterfront": Kind(panorama="venice", yaw=(20, 150)),
    "town_square": Kind(panorama="sunset"),
    "living_room": Kind(panorama="apartment", yaw=(25, 105), key=0.26),
    "lobby": Kind(panorama="lobby", yaw=(-75, -20), key=0.28),
}
NAMES = tuple(KINDS)


@lru_cache(maxsize=4)
def _pixels(folder: Path, name: str) -> Array:
    path = folder / f"{name}.exr.js"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: unpack npm's @pmndrs/assets 1.7.0")
    return panoramas.read(path)


def describe(name: str, number: int, seed: int, panorama_folder: Path) -> Scene:
    """The scene of a kind by its number; the same number and seed give the same scene.

    Args:
        name: of NAMES.
        number: of the picture within its kind.
        seed: of the data set.
        panorama_folder: the hdri folder of npm's @pmndrs/assets.
    """
    kind = KINDS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    scene = Scene(name)
    if kind.panorama is not None:
        pixels = _pixels(panorama_folder, kind.panorama)
        if kind.autumn:
            pixels = tables.warmed(pixels)
        tables.before_panorama(scene, rng, pixels, kind.yaw, kind.tilt, kind.table)
    elif kind.build is not None:
        kind.build(scene, rng)
    scene.facts.setdefault("key", kind.key)
    scene.facts["coloured"] = kind.coloured
    return scene
