"""What a rendered picture is given at random: colours, a metal, the light's tint and strength.

One rendered scene in free colours stands for thousands of pictures; the others are re-lit alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.rendering import tone
from training.rendering.engine import Rendered
from training.rendering.scene import Rng, Vector
from training.rendering.tone import METALS, Look, Pixels
from training.words import COLOURS

_TINTS: dict[str, Vector] = {"warm": (1.0, 0.9, 0.74), "cool": (0.84, 0.94, 1.0)}
_EVEN, _BEAMS = 40.0, 70.0  # percentiles of light: an even one shows the colour that is named
_PLAIN = ("white", "beige", "grey", "black")
_FIXED = ("white_studio", "black_studio", "black_gold")  # exposed as they were built
_LIT_EVENLY = ("paper", "plaster")
_OWN_LIGHT = (*_FIXED, "christmas", "night_city", "sunset_sea")  # another would not be theirs


@dataclass(frozen=True)
class Shown:
    """What a picture shows, for its captions.

    Args:
        kind: of the scene.
        colour: a key of COLOURS: the set's, a wall's; None where the scene has its own colours.
        second: the colour of what the product stands on, where it is another.
        metal: a key of METALS, where the set has some of a free colour.
        light: warm, cool, dark or bright; None is plain.
        shadow: what throws a shadow or where the light comes from: window, leaves, both, back.
        surface: what the table is made of, where there is one.
        sort: of it: oak, slate and so on.
        wall: red brick or white brick, where there is such a wall.
    """

    kind: str
    colour: str | None = None
    second: str | None = None
    metal: str | None = None
    light: str | None = None
    shadow: str | None = None
    surface: str | None = None
    sort: str | None = None
    wall: str | None = None


def _jittered(rng: Rng, name: str) -> Vector:
    r, g, b = np.clip(np.asarray(COLOURS[name]) + rng.normal(0, 0.012, 3), 0.02, 0.97)
    return tone.to_linear((float(r), float(g), float(b)))


def choose(rng: Rng, facts: dict[str, Any]) -> tuple[Look, Shown]:
    """A look for a picture, by what it was rendered with."""
    kind = str(facts["kind"])
    light = None
    if kind not in _OWN_LIGHT and rng.random() < 0.4:
        light = str(rng.choice(["warm", "cool", "dark", "bright"]))
    gain = {"dark": 0.5, "bright": 1.35}.get(light or "", 1.0) * float(rng.uniform(0.93, 1.07))
    contrast = float(rng.uniform(1.0, 1.08)) + (0.15 if light == "dark" else 0.0)
    dressed: dict[str, Any] = {
        "tint": _TINTS.get(light or "", (1.0, 1.0, 1.0)),
        "gain": gain,
        "contrast": contrast,
        "mirrored": bool(rng.random() < 0.5),
    }
    said: dict[str, Any] = {"light": light, "surface": facts.get("surface")}
    said.update(sort=facts.get("sort"), wall=facts.get("wall"))
    said["shadow"] = facts.get("light") if facts.get("light") != "soft" else None
    if not facts["coloured"]:
        return Look(**dressed), Shown(kind, **said)
    names = list(COLOURS)
    first = second = names[int(rng.integers(len(names)))]
    if "second" in facts["seen"] and rng.random() < 0.6:
        near = _PLAIN if rng.random() < 0.6 else tuple(names)
        second = near[int(rng.integers(len(near)))]
    a = _jittered(rng, first)
    b = a if second == first else _jittered(rng, second)
    metal = list(METALS)[int(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1)))]
    if "metal" in facts["seen"]:
        said["metal"] = metal
    said.update(colour=first, second=second if second != first else None)
    return Look(a, b, METALS[metal], **dressed), Shown(kind, **said)


def show(picture: Rendered, facts: dict[str, Any], look: Look) -> Pixels:
    """The picture for the screen, float32 [H, W, 3] in 0..1."""
    if facts["coloured"]:
        even = facts["kind"] in _LIT_EVENLY or facts.get("light") == "soft"
        percentile = _EVEN if even else _BEAMS
        gain = tone.exposure(picture.colour, picture.albedo, picture.weights, percentile)
        linear = tone.recolour(picture.colour, picture.albedo, picture.weights, look)
        return tone.develop(linear, gain, look)
    linear = picture.colour
    if facts["kind"] in _FIXED:
        return tone.develop(linear, float(facts["exposure"]), look)
    if facts.get("neutral") is False and "yaw" in facts:
        linear = tone.balanced(linear, 0.5)
    return tone.develop(linear, tone.photo_exposure(linear, float(facts["key"])), look)


def seen_groups(picture: Rendered) -> list[str]:
    """Groups of WEIGHTS that cover at least 0.3 % of a picture."""
    from training.rendering.engine import WEIGHTS

    share = picture.weights.mean((0, 1))
    return [name for name, part in zip(WEIGHTS, share, strict=True) if part > 0.003]
