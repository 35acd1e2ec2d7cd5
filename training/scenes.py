"""The catalogue of backdrop scenes: every name, what draws it, in which colours and how often.

`Catalogue.sample` gives an image and the Spec its captions are made of; the same generator state
gives the same picture.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training import canvas, landscapes, studio_sets
from training.canvas import Colour, Image, Rng
from training.captions import Spec
from training.panoramas import Panoramas
from training.words import COLOURS

_WARM = (
    "pink",
    "gold",
    "peach",
    "lavender",
    "beige",
    "purple",
    "magenta",
    "red",
    "black",
    "white",
    "blue",
)
_ALL = tuple(COLOURS)
_GAIN = {"warm": (1.09, 1.0, 0.86), "cool": (0.88, 0.99, 1.10)}


@dataclass(frozen=True)
class Scene:
    """How a scene is drawn: from panoramas or a painter, in which colours, at which weight."""

    panoramas: tuple[str, ...] = ()
    painter: Callable[[Rng], Image] | None = None
    coloured: Callable[[Rng, Colour], Image] | None = None
    colours: tuple[str, ...] = ()
    weight: float = 1.0
    painted: float = field(
        default=0.0
    )  # share of pictures from the painter where panoramas exist too


def _autumn(rng: Rng) -> Image:
    return landscapes.woods(rng, autumn=True)


def _white_marble(rng: Rng, colour: Colour) -> Image:
    return studio_sets.marble_table(rng, colour, black=False)


def _black_marble(rng: Rng, colour: Colour) -> Image:
    return studio_sets.marble_table(rng, colour, black=True)


SCENES: dict[str, Scene] = {
    "forest": Scene(("forest",), landscapes.woods, weight=1.3, painted=0.6),
    "autumn_forest": Scene(painter=_autumn),
    "meadow": Scene(("park",), landscapes.meadow, painted=0.5),
    "countryside": Scene(("sunrise",)),
    "sky": Scene(("sky",)),
    "beach": Scene(painter=landscapes.beach),
    "sunset_sea": Scene(painter=landscapes.sunset_sea),
    "snow": Scene(painter=landscapes.snow),
    "desert": Scene(painter=landscapes.dunes),
    "mountains": Scene(("dawn",)),
    "city_street": Scene(("city",), weight=1.2),
    "night_city": Scene(painter=landscapes.night_city),
    "waterfront": Scene(("venice",)),
    "town_square": Scene(("sunset",)),
    "savanna": Scene(("night",), weight=0.7),
    "living_room": Scene(("apartment",), weight=1.5),
    "lobby": Scene(("lobby",), weight=1.5),
    "kitchen": Scene(painter=studio_sets.kitchen),
    "warehouse": Scene(("warehouse",), weight=1.2),
    "workshop": Scene(("workshop",), weight=1.5),
    "ballroom": Scene(("hall",), weight=1.5),
    "mall": Scene(("esplanade",), weight=1.5),
    "garden": Scene(painter=landscapes.garden),
    "space": Scene(painter=landscapes.space, weight=0.7),
    "water": Scene(painter=landscapes.water, weight=0.8),
    "christmas": Scene(painter=studio_sets.festive, weight=0.8),
    "concrete": Scene(painter=studio_sets.concrete, weight=0.8),
    "paper": Scene(coloured=studio_sets.paper, colours=_ALL, weight=2.6),
    "wood_table": Scene(coloured=studio_sets.wood_table, colours=_ALL, weight=1.8),
    "white_marble": Scene(coloured=_white_marble, colours=_ALL, weight=1.8),
    "black_marble": Scene(coloured=_black_marble, colours=_ALL, weight=1.5),
    "perfume": Scene(coloured=studio_sets.perfume, colours=_WARM, weight=1.6),
    "cosmetics": Scene(coloured=studio_sets.cosmetics, colours=_ALL, weight=1.4),
    "podium": Scene(coloured=studio_sets.podium, colours=_ALL, weight=2.2),
    "silk": Scene(coloured=studio_sets.silk, colours=_ALL, weight=1.8),
    "window_light": Scene(coloured=studio_sets.window_light, colours=_ALL, weight=2.2),
}
NAMES = tuple(SCENES)
_WEIGHTS = np.array([s.weight for s in SCENES.values()]) / sum(s.weight for s in SCENES.values())


class Catalogue:
    """Draws scenes; holds the panoramas."""

    def __init__(self, assets: Path) -> None:
        """Read the panoramas.

        Args:
            assets: the unpacked package's folder (with hdri/), or that folder itself.
        """
        inner = assets / "package"
        root = inner if inner.is_dir() else assets
        self._panoramas = Panoramas(root / "hdri" if (root / "hdri").is_dir() else root)

    def draw(self, rng: Rng, spec: Spec) -> Image:
        """Draw what a spec says: float32 [256, 256, 3] in 0..1."""
        scene = SCENES[spec.scene]
        if scene.coloured is not None:
            if spec.colour is None:
                raise ValueError(f"scene {spec.scene} needs a colour")
            image = scene.coloured(rng, canvas.jitter(rng, COLOURS[spec.colour], 0.02))
        elif scene.painter is not None and (not scene.panoramas or rng.random() < scene.painted):
            image = scene.painter(rng)
        else:
            image = self._panoramas.crop(
                scene.panoramas[int(rng.integers(len(scene.panoramas)))], rng
            )
        if rng.random() < 0.5:
            image = image[:, ::-1]
        return _relight(image, spec.light)

    def sample(self, rng: Rng, scene: str | None = None) -> tuple[Image, Spec]:
        """A random picture, of a given scene or of any."""
        spec = sample_spec(rng, scene)
        return self.draw(rng, spec), spec


def sample_spec(rng: Rng, scene: str | None = None) -> Spec:
    """Choose a scene by weight, a colour where it has any, and now and then a light."""
    name = scene if scene is not None else NAMES[int(rng.choice(len(NAMES), p=_WEIGHTS))]
    colours = SCENES[name].colours
    colour = colours[int(rng.integers(len(colours)))] if colours else None
    light = (
        ("warm", "cool", "dark", "bright")[int(rng.integers(4))] if rng.random() < 0.15 else None
    )
    if colours and light in _GAIN:
        light = None  # a cast would change the colour that was asked for
    return Spec(name, colour, light)


def _relight(image: Image, light: str | None) -> Image:
    out = np.clip(image, 0, 1)
    if light in _GAIN:
        out = out * np.asarray(_GAIN[light], np.float32)
    elif light == "dark":
        out = out**1.35 * 0.75
    elif light == "bright":
        out = out**0.75 * 1.05
    return np.ascontiguousarray(np.clip(out, 0, 1), np.float32)
