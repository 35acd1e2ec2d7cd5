"""Perspective crops of the CC0 panoramas in npm's `@pmndrs/assets` (folder hdri/).

The files are 512x256 equirectangular half-float EXR in base64. They are tone-mapped once, before
any resampling, because a bright lamp or sun blended in linear light would bleed over its
neighbours.
"""

import base64
import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training import canvas
from training.canvas import Image, Rng

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class View:
    """How to look at a panorama: ranges in degrees, gains, exposure key, blur in pixels."""

    yaw: tuple[float, float] = (-180.0, 180.0)
    pitch: tuple[float, float] = (-12.0, 6.0)
    fov: tuple[float, float] = (55.0, 85.0)
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    key: float = 0.22
    blur: tuple[float, float] = (1.6, 4.0)


_INDOORS = (4.0, 7.0)  # rooms are full of small things that a soft backdrop loses

VIEWS: dict[str, View] = {
    "apartment": View((25, 105), (-10, 0), (62, 85), (1.02, 1.0, 0.98), 0.34, _INDOORS),
    "bridge": View(pitch=(-10, 6), key=0.24, fov=(60, 90)),
    "city": View(pitch=(-6, 10), key=0.22),
    "dawn": View(pitch=(-8, 8), key=0.24),
    "esplanade": View((10, 75), (-8, 2), (62, 85), key=0.26, blur=_INDOORS),
    "forest": View(pitch=(-4, 10), key=0.17, gain=(0.86, 1.08, 0.76)),
    "hall": View((20, 85), (-8, 2), (62, 85), key=0.26, blur=_INDOORS),
    "lab": View(pitch=(-10, 2), key=0.22),
    "lobby": View((-75, -20), (-8, 2), (62, 85), (0.98, 1.0, 1.05), 0.34, _INDOORS),
    "night": View(pitch=(-4, 10), key=0.20),
    "park": View(pitch=(-12, 8), key=0.26, gain=(1.0, 1.05, 0.95)),
    "sky": View(pitch=(-4, 24), key=0.30, gain=(0.98, 1.02, 1.08)),
    "studio": View(yaw=(-125, -30), pitch=(-12, 4), key=0.10, fov=(60, 90)),
    "sunrise": View(pitch=(-8, 8), key=0.26, gain=(1.06, 1.0, 0.94)),
    "sunset": View(pitch=(-6, 8), key=0.24, gain=(1.06, 0.98, 0.92)),
    "venice": View(yaw=(20, 150), pitch=(-10, 6), key=0.26),
    "warehouse": View(pitch=(-8, 6), key=0.20),
    "workshop": View((20, 60), (-8, 2), (62, 85), key=0.24, blur=_INDOORS),
}


def read(path: Path) -> Image:
    """A panorama of the package in linear light: float32 [256, 512, 3], 0 to 500."""
    import OpenEXR

    found = re.search(r"base64,([^']+)'", path.read_text())
    if found is None:
        raise ValueError(f"{path.name} holds no base64 data")
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(base64.b64decode(found.group(1)))
        file.flush()
        with OpenEXR.File(file.name) as exr:
            channels = exr.channels()
            if "RGB" in channels:
                pixels = channels["RGB"].pixels
            else:
                pixels = np.stack([channels[c].pixels for c in "RGB"], -1)
    limited = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=500.0, neginf=0.0)
    return np.asarray(np.clip(limited, 0.0, 500.0), np.float32)


def tone_map(linear: Image, key: float) -> Image:
    """Expose by the middle band's log-average and compress highlights (Reinhard 2002, extended).

    Args:
        linear: [H, W, 3], linear light, any range from 0.
        key: brightness, in linear light, that the log-average is mapped to.

    Returns:
        [H, W, 3] in 0..1, gamma 2.2.
    """
    luma = linear @ _LUMA
    band = luma[len(luma) // 4 : len(luma) * 3 // 4]
    scaled = luma * (key / float(np.exp(np.mean(np.log(band + 1e-3)))))
    white = 3.0
    mapped = scaled * (1.0 + scaled / white**2) / (1.0 + scaled)
    colour = linear * (np.minimum(mapped, 1.0) / (luma + 1e-6))[..., None]
    return np.asarray(np.clip(colour, 0.0, 1.0) ** (1 / 2.2), np.float32)


class Panoramas:
    """The tone-mapped panoramas, by file name without its ending."""

    def __init__(self, folder: Path) -> None:
        """Read every panorama of VIEWS.

        Args:
            folder: the package's hdri folder.

        Raises:
            FileNotFoundError: a panorama is missing.
        """
        self._images = {}
        for name, view in VIEWS.items():
            path = folder / f"{name}.exr.js"
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing: unpack npm's @pmndrs/assets 1.7.0")
            mapped = tone_map(read(path), view.key) * np.asarray(view.gain, np.float32)
            self._images[name] = np.clip(mapped, 0.0, 1.0)

    def crop(self, name: str, rng: Rng) -> Image:
        """A perspective view of one panorama: random direction, zoom, mirror, exposure and blur."""
        view = VIEWS[name]
        half = math.tan(math.radians(rng.uniform(*view.fov) / 2))
        yaw, pitch = math.radians(rng.uniform(*view.yaw)), math.radians(rng.uniform(*view.pitch))
        x, y = (2 * canvas.X - 1) * half, (1 - 2 * canvas.Y) * half
        length = np.sqrt(x * x + y * y + 1)
        up = (y * math.cos(pitch) + math.sin(pitch)) / length
        ahead = (math.cos(pitch) - y * math.sin(pitch)) / length
        longitude = np.arctan2(x / length, ahead) + yaw
        latitude = np.arcsin(np.clip(up, -1, 1))
        image = self._images[name]
        height, width = image.shape[:2]
        u = np.asarray((longitude / (2 * math.pi) + 0.5) % 1.0 * width - 0.5, np.float32)
        v = np.asarray((0.5 - latitude / math.pi) * height - 0.5, np.float32)
        out = cv2.remap(image, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
        if rng.random() < 0.5:
            out = out[:, ::-1]
        out = np.clip(out, 0, 1) ** rng.uniform(0.85, 1.15) * rng.uniform(0.92, 1.08)
        far = rng.uniform(*view.blur)
        horizon = 0.5 + math.tan(pitch) / (2 * half)
        blurred = canvas.depth_blur(np.ascontiguousarray(out, np.float32), far, far * 0.6, horizon)
        return np.asarray(np.clip(blurred, 0, 1), np.float32)
