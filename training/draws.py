"""Rendered pictures in the colours and light of one draw each, ready to be read by every stage.

A chunk is `PART-NNN.npy`, uint8 [CHUNK, 256, 256, 3], with `PART-NNN.json` beside it: a caption
and what is shown for each. Chunks that are there are left alone.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.rendering.dataset import Part, Pictures
from training.rendering.looks import Shown

CHUNK = 200
_PARTS: tuple[Part, ...] = get_args(Part)
Pixels = npt.NDArray[np.uint8]


def write(rendered: Path, folder: Path, seed: int, count: int, part: Part = "draws") -> None:
    """Draw what is not drawn yet.

    Args:
        rendered: where `python -m training.rendering` wrote; what it adds later is not seen by
            chunks that are there.
        folder: where the draws go.
        seed: of the draws.
        count: of draws in all, rounded up to whole chunks.
        part: of the pictures, to draw from.

    Raises:
        FileNotFoundError: nothing has been rendered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(rendered, part)
    for index in tqdm(range(-(-count // CHUNK)), desc=part):
        path = folder / f"{part}-{index:03d}.npy"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, _PARTS.index(part), index])
        drawn = [pictures.draw(rng) for _ in range(CHUNK)]
        said = [{"caption": text, **asdict(shown)} for _, shown, text in drawn]
        path.with_suffix(".json").write_text(json.dumps(said) + "\n")
        pixels = np.stack([(picture * 255).round().astype(np.uint8) for picture, _, _ in drawn])
        unfinished = path.with_suffix(f".part{os.getpid()}")
        with unfinished.open("wb") as file:
            np.save(file, pixels)
        unfinished.replace(path)


def load(folder: Path, part: Part = "draws") -> list[Pixels]:
    """The chunks, read as they are used.

    Raises:
        FileNotFoundError: there are none.
    """
    found = [np.load(p, mmap_mode="r") for p in sorted(folder.glob(f"{part}-*.npy"))]
    if not found:
        raise FileNotFoundError(f"no {part} in {folder}")
    return found


def shown(folder: Path, part: Part = "draws") -> list[Shown]:
    """What each draw shows, in order."""
    out = []
    for path in sorted(folder.glob(f"{part}-*.json")):
        for said in json.loads(path.read_text()):
            said.pop("caption")
            out.append(Shown(**said))
    return out
