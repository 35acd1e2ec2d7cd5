"""Colours and light given after rendering, and the way from linear light to a picture.

A scene whose free colours were rendered as LEVELS shows, in its three channels, what it looks like
at three reflectances. A parabola through the three gives it at any other, channel by channel.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.materials import LEVELS
from training.rendering.scene import Vector

Pixels = npt.NDArray[np.float32]
METALS: dict[str, Vector] = {
    "gold": (1.0, 0.70, 0.30),
    "silver": (0.93, 0.93, 0.93),
    "rose gold": (0.96, 0.62, 0.50),
    "copper": (0.93, 0.50, 0.33),
}
_FLOOR = 0.02  # below it a surface's own light cannot be told from its gloss


@dataclass(frozen=True)
class Look:
    """What is given after rendering, in linear light.

    Args:
        first, second: reflectance of the two free colours, 0..1 a channel.
        metal: reflectance of the set's metal.
        tint: of all light; its brightest channel is 1.
        gain: of the exposure; 1 shows a surface about as bright as its reflectance.
        contrast: 1 keeps it; more deepens the shadows.
        mirrored: left and right swapped.
    """

    first: Vector = (0.8, 0.8, 0.8)
    second: Vector = (0.8, 0.8, 0.8)
    metal: Vector = METALS["gold"]
    tint: Vector = (1.0, 1.0, 1.0)
    gain: float = 1.0
    contrast: float = 1.0
    mirrored: bool = False


def to_linear(colour: Vector) -> Vector:
    """A colour as screens have it (sRGB, 0..1) in linear light."""
    a = np.asarray(colour, np.float64)
    r, g, b = np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


def to_screen(linear: Pixels) -> Pixels:
    """Linear light 0..1 as screens want it (sRGB)."""
    a = np.clip(linear, 0, 1)
    out = np.where(a <= 0.0031308, a * 12.92, 1.055 * np.power(a, 1 / 2.4) - 0.055)
    return np.asarray(out, np.float32)


def at_reflectance(samples: Pixels, wanted: Vector) -> Pixels:
    """What a picture seen at LEVELS looks like at other reflectances.

    Args:
        samples: [H, W, 3], light at each of LEVELS.
        wanted: reflectance for each channel of the result.

    Returns:
        [H, W, 3], from 0.
    """
    out = []
    for a in wanted:
        weights = []
        for i, own in enumerate(LEVELS):
            others = [level for j, level in enumerate(LEVELS) if j != i]
            weights.append(np.prod([(a - o) / (own - o) for o in others]))
        out.append(samples @ np.asarray(weights, np.float32))
    return np.asarray(np.maximum(np.stack(out, -1), 0), np.float32)


def recolour(colour: Pixels, albedo: Pixels, weights: Pixels, look: Look) -> Pixels:
    """Give a scene rendered at LEVELS its colours.

    Args:
        colour: rendered light [H, W, 3].
        albedo: of what is seen [H, W, 3].
        weights: [H, W, 4], shares of first, second, metal and light; the rest keeps its colour.
        look: the colours.

    Returns:
        Linear light [H, W, 3].
    """
    first, second, shiny, shining = np.moveaxis(weights, -1, 0)[..., None]
    own = np.clip(1 - weights.sum(-1, keepdims=True), 0, 1)
    seen = np.maximum(albedo, _FLOOR)
    behind = at_reflectance(
        colour, look.first
    )  # a lamp looks alike in all channels and stays as it is
    out = (first + shining) * behind + second * at_reflectance(colour, look.second)
    out = out + own * _own_albedo(seen, own) * at_reflectance(colour / seen, look.first)
    out = out + shiny * np.asarray(look.metal, np.float32) * behind
    return np.asarray(np.maximum(out, 0), np.float32)


def _own_albedo(albedo: Pixels, own: Pixels) -> Pixels:
    """The albedo; where a pixel shows other groups too, that of its neighbours which do not."""
    pure = (own > 0.98).astype(np.float32)
    near = cv2.GaussianBlur(albedo * pure, (0, 0), 3.0)
    count = cv2.GaussianBlur(pure, (0, 0), 3.0)[..., None]
    filled = np.where(count > 1e-3, near / np.maximum(count, 1e-3), albedo)
    return np.asarray(np.where(pure > 0, albedo, filled), np.float32)


def exposure(colour: Pixels, albedo: Pixels, weights: Pixels, percentile: float = 70) -> float:
    """The gain that shows a surface as bright as its reflectance, in the light of a percentile.

    High ones keep what a window throws on a white wall apart from the wall.
    """
    lit = colour.mean(-1) / np.maximum(albedo.mean(-1), _FLOOR)
    surfaces = (weights[..., 2:].sum(-1) < 0.5) & (albedo.mean(-1) > _FLOOR)
    if surfaces.mean() < 0.02:
        surfaces = np.ones_like(surfaces)
    return float(1.0 / max(1e-4, np.percentile(lit[surfaces], percentile)))


def photo_exposure(colour: Pixels, key: float) -> float:
    """The gain that maps the picture's log-average light to `key` (Reinhard 2002)."""
    light = colour @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return float(key / np.exp(np.log(light + 1e-3).mean()))


def shoulder(linear: Pixels, start: float = 0.72) -> Pixels:
    """Bend what is brighter than `start` so that it meets 1 only far above it."""
    room = 1 - start
    over = np.maximum(linear - start, 0)
    return np.asarray(np.minimum(linear, start) + room * (1 - np.exp(-over / room)), np.float32)


def develop(linear: Pixels, gain: float, look: Look) -> Pixels:
    """A picture for the screen [H, W, 3] in 0..1: gain, tint, contrast, shoulder."""
    light = linear * np.asarray(look.tint, np.float32) * np.float32(gain * look.gain)
    if look.contrast != 1.0:
        grey = np.float32(0.18)
        light = grey * np.power(np.maximum(light, 0) / grey, np.float32(look.contrast))
    out = to_screen(shoulder(light))
    return np.ascontiguousarray(out[:, ::-1] if look.mirrored else out)


def balanced(linear: Pixels, strength: float) -> Pixels:
    """White balance by the picture's mean (grey world), `strength` of the way there."""
    mean = linear.reshape(-1, 3).mean(0) + 1e-6
    gain = np.power(mean.mean() / mean, strength)
    return np.asarray(linear * gain.astype(np.float32), np.float32)
