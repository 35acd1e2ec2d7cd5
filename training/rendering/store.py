"""Rendered pictures on disk: one compressed file each, complete or not there at all.

Scene 12 is `000012.npz`, seen from elsewhere `000012v1.npz` and so on. Each holds `colour`, float16
[H, W, 3] in linear light; `albedo`, uint8 [H, W, 3], 255 times the root of 0..1, so that dark
surfaces keep their steps; `weights`, uint8 [H, W, 4], 255 times 0..1; `shapes`, uint8 [H, W]; and
`facts`, JSON in UTF-8 as uint8: the scene's kind, seed and number, its light, surface and the like,
and which shape bears which number.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from training.rendering.engine import Rendered

_BRIGHTEST = 6e4  # below the greatest float16


def path_of(folder: Path, index: int, view: int = 0) -> Path:
    """Where a view of scene `index` is kept."""
    return folder / (f"{index:06d}v{view}.npz" if view else f"{index:06d}.npz")


def scene_of(path: Path) -> str:
    """What all views of a scene have in common in their names."""
    return path.stem.split("v")[0]


def save(path: Path, picture: Rendered, facts: dict[str, Any]) -> None:
    """Write a picture; whoever reads the folder meanwhile sees it whole or not at all."""
    text = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    part = path.with_suffix(f".part{os.getpid()}")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            colour=np.minimum(picture.colour, _BRIGHTEST).astype(np.float16),
            albedo=(np.sqrt(picture.albedo) * 255).round().astype(np.uint8),
            weights=(picture.weights * 255).round().astype(np.uint8),
            shapes=picture.shapes,
            facts=text,
        )
    part.replace(path)


def load(path: Path) -> tuple[Rendered, dict[str, Any]]:
    """A picture and its facts.

    Raises:
        ValueError: the file is damaged; its name is said.
    """
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            colour = file["colour"].astype(np.float32)
            albedo = (file["albedo"].astype(np.float32) / 255) ** 2
            weights = file["weights"].astype(np.float32) / 255
            picture = Rendered(colour, albedo, weights, file["shapes"])
            return picture, json.loads(file["facts"].tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is no rendered picture: {error}") from error
