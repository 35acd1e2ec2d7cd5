"""What the autoencoder learns from: crops of draws, of the panoramas and of photographs."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from training import draws, panoramas, products
from training.loop import Rng

Pixels = npt.NDArray[np.uint8]
_PHOTO, _PANORAMA, _PRODUCT = 0.15, 0.1, 0.15  # shares of crops


def photo(path: Path) -> Pixels:
    """A photograph, uint8 [H, W, 3].

    Raises:
        OSError: it cannot be read.
    """
    return np.asarray(Image.open(path).convert("RGB"))


def squares(path: Path, seed: int, count: int, side: int = 256) -> Pixels:
    """Squares of a photograph, uint8 [count, side, side, 3], shrunk from 0.6 to 1 of its side."""
    rng, source = np.random.default_rng(seed), photo(path)
    out = [_shrunk(rng, source, side, 0.6) for _ in range(count)]
    return np.stack(out)


def _cut(rng: Rng, source: Pixels, side: int) -> Pixels:
    y, x = (int(rng.integers(n - side + 1)) for n in source.shape[:2])
    return source[y : y + side, x : x + side]


def _shrunk(rng: Rng, source: Pixels, side: int, least: float) -> Pixels:
    most = min(source.shape[:2])
    wide = max(min(side, most), int(most * rng.uniform(least, 1.0)))
    cut = _cut(rng, source, wide)
    return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


class Crops:
    """Random crops.

    Args:
        folder: of the draws.
        hdri: npm's @pmndrs/assets' folder of panoramas, or None to do without.
        photos: CC0 photographs.
    """

    def __init__(self, folder: Path, hdri: Path | None, photos: list[Path]) -> None:
        self._draws = draws.load(folder)
        self._photos = [photo(path) for path in photos]
        self._panoramas: list[Pixels] = []
        if hdri is not None:
            for name, key in panoramas.KEYS.items():
                mapped = panoramas.tone_map(panoramas.read(hdri / f"{name}.exr.js"), key)
                self._panoramas.append((mapped * 255).round().astype(np.uint8))

    def _one(self, rng: Rng, side: int) -> Pixels:
        sort = rng.random()
        if self._photos and sort < _PHOTO:
            out = _shrunk(
                rng, self._photos[int(rng.integers(len(self._photos)))], side, 0.35 * side / 256
            )
        elif self._panoramas and sort > 1 - _PANORAMA:
            source = self._panoramas[int(rng.integers(len(self._panoramas)))]
            out = _cut(rng, source, min(side, len(source)))
        else:
            chunk = self._draws[int(rng.integers(len(self._draws)))]
            source = np.asarray(chunk[int(rng.integers(len(chunk)))])
            if rng.random() < _PRODUCT:
                source = products.paste(rng, source)
            out = _cut(rng, source, min(side, len(source)))
        return out[:, ::-1] if rng.random() < 0.5 else out

    def draw(self, rng: Rng, count: int, side: int) -> Pixels:
        """[count, side, side, 3], uint8; sides up to 256."""
        return np.stack([self._one(rng, side) for _ in range(count)])
