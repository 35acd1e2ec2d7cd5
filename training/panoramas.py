"""The CC0 panoramas in npm's `@pmndrs/assets` (folder hdri/).

The files are 512x256 equirectangular half-float EXR in base64. They are tone-mapped once, before
any resampling, because a bright lamp or sun blended in linear light would bleed over its
neighbours.
"""

import base64
import re
import tempfile
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.float32]
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


KEYS: dict[str, float] = {
    "apartment": 0.34, "bridge": 0.24, "city": 0.22, "dawn": 0.24, "esplanade": 0.26,
    "forest": 0.17, "hall": 0.26, "lab": 0.22, "lobby": 0.34, "night": 0.2, "park": 0.26,
    "sky": 0.3, "studio": 0.1, "sunrise": 0.26, "sunset": 0.24, "venice": 0.26,
    "warehouse": 0.2, "workshop": 0.24,
}  # fmt: skip
"""Brightness, in linear light, that each panorama's log-average is mapped to."""


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
