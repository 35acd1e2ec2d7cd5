"""Drawing primitives of the procedural scenes: noise, blur, blends, perspective floors.

Images are float32 arrays [SIZE, SIZE, 3] in 0..1; masks and fields are float32 [SIZE, SIZE]. Knows
no scene by name and no caption.
"""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.float32]
Field: TypeAlias = npt.NDArray[np.float32]
Rng: TypeAlias = np.random.Generator
Colour: TypeAlias = tuple[float, float, float]

SIZE = 256
_AXIS = ((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32)
X: Field = np.ascontiguousarray(np.broadcast_to(_AXIS[None, :], (SIZE, SIZE)))
Y: Field = np.ascontiguousarray(np.broadcast_to(_AXIS[:, None], (SIZE, SIZE)))


def fill(colour: Colour) -> Image:
    """A plain image of one colour."""
    return np.broadcast_to(np.asarray(colour, np.float32), (SIZE, SIZE, 3)).copy()


def shade(colour: Colour, field: Field) -> Image:
    """A colour multiplied by a field of brightness."""
    return field[..., None] * np.asarray(colour, np.float32)


def edge(field: Field, softness: float) -> Field:
    """A soft step: 0 where field is well below zero, 1 well above; softness in its units."""
    z = np.clip(field / max(softness, 1e-4), -30.0, 30.0)
    return np.asarray(1.0 / (1.0 + np.exp(-z)), np.float32)


def mix(under: Image, over: Image | Colour, mask: Field) -> Image:
    """Lay `over` on `under` where mask is 1."""
    top = np.asarray(over, np.float32)
    return np.asarray(under + (top - under) * mask[..., None], np.float32)


def ramp(top: Colour, bottom: Colour, at: Field) -> Image:
    """Blend two colours along a field that runs from 0 (top) to 1 (bottom)."""
    first, last = np.asarray(top, np.float32), np.asarray(bottom, np.float32)
    return np.asarray(first + (last - first) * np.clip(at, 0, 1)[..., None], np.float32)


def noise(rng: Rng, cells: int, octaves: int = 4, size: int = SIZE) -> Field:
    """Cloud noise stretched to 0..1; `cells` is the number of blobs across in the first octave."""
    out = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        n = min(size, cells * 2**octave + 1)
        grid = rng.random((n, n), np.float32)
        out += weight * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        weight *= 0.5
    low, high = float(out.min()), float(out.max())
    return np.asarray((out - low) / (high - low + 1e-6), np.float32)


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur; sigma in pixels of a 256-pixel image."""
    if sigma < 0.3:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def depth_blur(image: Image, far: float, near: float, horizon: float) -> Image:
    """Depth of field: blur `far` above the horizon falls to blur `near` at the bottom edge."""
    weight = np.clip((Y - horizon) / max(1.0 - horizon, 0.1), 0, 1)
    return mix(blur(image, far), blur(image, near), np.asarray(weight, np.float32))


def spot(cx: float, cy: float, radius: float) -> Field:
    """A round glow of Gaussian fall-off."""
    return np.asarray(np.exp(-((X - cx) ** 2 + (Y - cy) ** 2) / radius**2), np.float32)


def disc(cx: float, cy: float, radius: float, softness: float = 0.008) -> Field:
    """A disc with a soft rim, as an out-of-focus light makes."""
    distance = np.sqrt((X - cx) ** 2 + (Y - cy) ** 2)
    return edge(np.asarray(radius - distance, np.float32), softness)


def stamp(
    image: Image,
    colour: Colour,
    centre: tuple[float, float],
    radius: float,
    rim: float,
    opacity: float,
) -> None:
    """Blend a disc into an image in place; only the disc's own window is computed."""
    reach = radius + 5 * rim
    left, right = (int(np.clip((centre[0] + s * reach) * SIZE, 0, SIZE)) for s in (-1, 1))
    top, bottom = (int(np.clip((centre[1] + s * reach) * SIZE, 0, SIZE)) for s in (-1, 1))
    if left >= right or top >= bottom:
        return
    window = (slice(top, bottom), slice(left, right))
    distance = np.sqrt((X[window] - centre[0]) ** 2 + (Y[window] - centre[1]) ** 2)
    mask = edge(np.asarray(radius - distance, np.float32), rim) * opacity
    image[window] = mix(image[window], colour, mask)


def jitter(rng: Rng, colour: Colour, amount: float) -> Colour:
    """A colour near the given one."""
    r, g, b = np.clip(np.asarray(colour) + rng.uniform(-amount, amount, 3), 0.0, 1.0)
    return float(r), float(g), float(b)


def lighter(colour: Colour, amount: float) -> Colour:
    """Toward white for a positive amount, toward black for a negative one."""
    goal = 1.0 if amount > 0 else 0.0
    r, g, b = (c + (goal - c) * abs(amount) for c in colour)
    return r, g, b


def floor_map(rng: Rng, horizon: float, spread: float = 1.0) -> tuple[Field, Field]:
    """Texture coordinates (pixels of a 256 tile, to wrap around) of a floor seen in perspective."""
    depth = 0.30 / (np.maximum(Y - horizon, 0.0) + 0.16)
    u = (X - 0.5) * depth * 1.6 * spread + float(rng.random())
    v = depth * 0.9 * spread + float(rng.random())
    return np.asarray(u * SIZE, np.float32), np.asarray(v * SIZE, np.float32)


def lay(tile: npt.NDArray[np.float32], coordinates: tuple[Field, Field]) -> npt.NDArray[np.float32]:
    """Look a tile up at texture coordinates, mirrored beyond its border."""
    u, v = coordinates
    mode = cv2.BORDER_REFLECT_101
    found = cv2.remap(
        tile, u % (2 * SIZE - 2), v % (2 * SIZE - 2), cv2.INTER_LINEAR, borderMode=mode
    )
    return np.asarray(found, np.float32)


def vignette(rng: Rng, image: Image, most: float = 0.25) -> Image:
    """Darken the corners a little, as lenses do."""
    r2 = (X - 0.5) ** 2 + (Y - 0.5) ** 2
    return np.asarray(image * (1.0 - rng.uniform(0.0, most) * 2.0 * r2)[..., None], np.float32)
