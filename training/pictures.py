"""The training pictures: rendered once, kept on disk in chunks, read by every later stage.

A chunk is `pictures-NNN.npy`, uint8 [CHUNK, 256, 256, 3], with the Specs beside it; its generator
is seeded by its number, so a broken-off run goes on at the first missing chunk and the pictures do
not depend on the number of workers.
"""

import json
import multiprocessing
import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.captions import Spec
from training.scenes import Catalogue

CHUNK = 500
Pixels = npt.NDArray[np.uint8]


def _render_chunk(assets: Path, folder: Path, seed: int, index: int) -> int:
    cv2.setNumThreads(1)
    catalogue = Catalogue(assets)
    rng = np.random.default_rng([seed, index])
    pixels = np.empty((CHUNK, 256, 256, 3), np.uint8)
    specs = []
    for i in range(CHUNK):
        image, spec = catalogue.sample(rng)
        pixels[i] = (image * 255).round()
        specs.append(asdict(spec))
    (folder / f"pictures-{index:03d}.json").write_text(json.dumps(specs))
    part = folder / f"part-{index:03d}.npy"
    np.save(part, pixels)
    part.rename(folder / f"pictures-{index:03d}.npy")
    return index


def render(assets: Path, folder: Path, seed: int, count: int) -> None:
    """Render `count` pictures (rounded up to whole chunks) that are not there yet.

    Args:
        assets: the unpacked @pmndrs/assets package.
        folder: where the chunks go.
        seed: of the pictures.
        count: how many pictures in all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chunks = -(-count // CHUNK)
    missing = [i for i in range(chunks) if not (folder / f"pictures-{i:03d}.npy").exists()]
    with multiprocessing.get_context("spawn").Pool(min(8, os.cpu_count() or 1)) as pool:
        waiting = [pool.apply_async(_render_chunk, (assets, folder, seed, i)) for i in missing]
        for result in tqdm(waiting, desc="pictures", unit="chunk"):
            result.get()


def load(folder: Path) -> tuple[list[Pixels], list[Spec]]:
    """All rendered chunks, memory-mapped, and the Specs of all their pictures in order."""
    paths = sorted(folder.glob("pictures-*.npy"))
    if not paths:
        raise FileNotFoundError(f"no pictures in {folder}: run the stage 'pictures' first")
    specs = [Spec(**s) for p in paths for s in json.loads(p.with_suffix(".json").read_text())]
    return [np.load(p, mmap_mode="r") for p in paths], specs
