"""Rendered pictures in the colours and light of one draw each, ready to be read by every stage.

A chunk is `draws-NNN.npy`, uint8 [CHUNK, 256, 256, 3], with `draws-NNN.json` beside it: a caption
and what is shown for each. Chunks that are there are left alone. Those of held-out pictures are
`held-NNN`.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.rendering.dataset import Pictures
from training.rendering.looks import Shown

CHUNK = 200
Pixels = npt.NDArray[np.uint8]


def write(rendered: Path, folder: Path, seed: int, count: int, held_out: bool = False) -> None:
    """Draw what is not drawn yet.

    Args:
        rendered: where `python -m training.rendering` wrote; what it adds later is not seen by
            chunks that are there.
        folder: where the draws go.
        seed: of the draws.
        count: of draws in all, rounded up to whole chunks.
        held_out: draw from the pictures for measuring.

    Raises:
        FileNotFoundError: nothing has been rendered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures, name = Pictures(rendered, held_out), _name(held_out)
    for index in tqdm(range(-(-count // CHUNK)), desc=name):
        path = folder / f"{name}-{index:03d}.npy"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, held_out, index])
        drawn = [pictures.draw(rng) for _ in range(CHUNK)]
        said = [{"caption": text, **asdict(shown)} for _, shown, text in drawn]
        path.with_suffix(".json").write_text(json.dumps(said) + "\n")
        pixels = np.stack([(picture * 255).round().astype(np.uint8) for picture, _, _ in drawn])
        part = path.with_suffix(f".part{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, pixels)
        part.replace(path)


def load(folder: Path, held_out: bool = False) -> list[Pixels]:
    """The chunks, read as they are used.

    Raises:
        FileNotFoundError: there are none.
    """
    name = _name(held_out)
    found = [np.load(p, mmap_mode="r") for p in sorted(folder.glob(f"{name}-*.npy"))]
    if not found:
        raise FileNotFoundError(f"no {name} in {folder}")
    return found


def shown(folder: Path, held_out: bool = False) -> list[Shown]:
    """What each draw shows, in order."""
    out = []
    for path in sorted(folder.glob(f"{_name(held_out)}-*.json")):
        for said in json.loads(path.read_text()):
            said.pop("caption")
            out.append(Shown(**said))
    return out


def _name(held_out: bool) -> str:
    return "held" if held_out else "draws"
