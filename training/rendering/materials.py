"""What things are made of, as Mitsuba BSDFs.

A colour that is given after rendering is rendered as LEVELS: strong in red, middling in green, weak
in blue. Under neutral light the three channels then show one scene at three reflectances, and
tone.py works out any other from them, with its gloss and its interreflection.
"""

from typing import Any, TypeAlias

import numpy as np

from training.rendering import textures
from training.rendering.scene import Array, Plugin, Rng, Texture, Vector

Colour: TypeAlias = Any
"""A texture, or a colour as Mitsuba's dictionaries have it."""

LEVELS: Vector = (0.80, 0.32, 0.05)


def _colour(value: Vector | Texture) -> Colour:
    return (
        value if isinstance(value, Texture) else {"type": "rgb", "value": [float(v) for v in value]}
    )


def matte(colour: Vector | Texture) -> Plugin:
    """Paper, paint, plaster."""
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": _colour(colour)}}


def satin(colour: Vector | Texture, roughness: float = 0.25, coat: float = 1.49) -> Plugin:
    """Lacquer, polished stone, silk: a diffuse body under a more or less rough coat.

    `coat` is the coat's index of refraction: nearer to 1 it mirrors less.
    """
    body = {
        "type": "roughplastic",
        "diffuse_reflectance": _colour(colour),
        "alpha": float(roughness),
        "int_ior": float(coat),
    }
    return {"type": "twosided", "bsdf": body}


def glossy(colour: Vector | Texture) -> Plugin:
    """Acrylic or still water: a diffuse body under a mirror-smooth coat."""
    return {"type": "twosided", "bsdf": {"type": "plastic", "diffuse_reflectance": _colour(colour)}}


def metal(colour: Vector | None = None, roughness: float = 0.12) -> Plugin:
    """A metal; without a colour a neutral one, for group `metal`."""
    tint = (0.9, 0.9, 0.9) if colour is None else colour
    return {
        "type": "twosided",
        "bsdf": {
            "type": "roughconductor",
            "material": "none",
            "alpha": float(roughness),
            "specular_reflectance": {"type": "rgb", "value": [float(v) for v in tint]},
        },
    }


def uneven(height: Array, scale: float, body: Plugin, repeat: float = 1.0) -> Plugin:
    """Relief over a two-sided material: heights [H, W] in 0..1, scale in the surface's units."""
    inner = body["bsdf"] if body["type"] == "twosided" else body
    relief = {
        "type": "bumpmap",
        "arbitrary": Texture(height[..., None], repeat),
        "scale": scale,
        "bsdf": inner,
    }
    return {"type": "twosided", "bsdf": relief}


def coded(roughness: float | None = 0.3) -> Plugin:
    """A surface whose colour is given afterwards; None makes it matte."""
    return matte(LEVELS) if roughness is None else satin(LEVELS, roughness)


def coded_texture(tone: Array, low: float, high: float, repeat: float = 1.0) -> Texture:
    """LEVELS times a tone [H, W] of 0..1, mapped to low..high."""
    factor = (low + (high - low) * tone)[..., None]
    return Texture(np.asarray(factor * np.asarray(LEVELS, np.float32), np.float32), repeat)


def coded_plaster(rng: Rng, relief: float = 0.5) -> Plugin:
    """A plastered wall of any colour."""
    height = textures.plaster(rng)
    return uneven(height, relief, matte(coded_texture(height, 0.88, 1.06)))


def coded_linen(rng: Rng, threads: int = 150) -> Plugin:
    """Linen of any colour."""
    height = textures.weave(rng, threads)
    return uneven(height, 0.25, matte(coded_texture(height, 0.55, 1.12)))


SURFACES = ("white_marble", "black_marble", "wood", "dark_wood", "stone", "concrete")
_SORTS = {
    "wood": ("oak", "pine", "ash", "oak"),
    "dark_wood": ("walnut", "dark"),
    "stone": ("slate", "travertine", "granite", "terrazzo"),
}


def surface(
    rng: Rng, name: str, repeat: float = 1.0, coat: float | None = None
) -> tuple[Plugin, str]:
    """A table top or a wall by one of SURFACES, and which sort of it was taken."""
    if name in ("white_marble", "black_marble"):
        sort = name.split("_")[0]
        own = 1.49 if sort == "white" else 1.22  # a black slab would take the wall's colour
        slab = Texture(textures.marble(rng, sort), repeat)
        return satin(slab, rng.uniform(0.05, 0.16), coat or own), sort
    if name == "concrete":
        return matte(Texture(textures.concrete(rng, rng.uniform(0.25, 0.48)), repeat)), "concrete"
    sorts = _SORTS[name]
    sort = sorts[int(rng.integers(len(sorts)))]
    if name == "stone":
        slab = Texture(textures.stone(rng, sort), repeat)
        return satin(slab, rng.uniform(0.15, 0.35), coat or 1.49), sort
    board = Texture(textures.wood(rng, sort), repeat)
    return satin(board, rng.uniform(0.12, 0.3), coat or 1.49), sort
