"""The latents of the chosen draws, encoded once in every shape that is learned."""

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC
from tqdm import tqdm

from training import components, doubling, draws, loop

SHAPES = ((8, 8), (7, 10), (10, 7), (7, 9), (9, 7), (6, 11), (11, 6))
"""Rows and columns of latents: squares first, then about 3:2, 4:3 and 16:9, lying and standing."""


def cut(picture: draws.Pixels, shape: tuple[int, int]) -> draws.Pixels:
    """The middle of a square picture [S, S, 3] in the shape of so many latents, made as large."""
    height, width = (doubling.FACTOR * one for one in shape)
    side = picture.shape[0]
    rows, columns = (round(side * one / max(height, width)) for one in (height, width))
    top, left = (side - rows) // 2, (side - columns) // 2
    part = picture[top : top + rows, left : left + columns]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC))


def cached(folder: Path) -> tuple[torch.Tensor, ...]:
    """Encode each chunk of draws once; kept in folder/latents.

    Returns:
        For each of SHAPES float16 [N, 128, rows, columns], scaled as pipelines do.
    """
    kept = folder / "latents"
    kept.mkdir(exist_ok=True)
    model = AutoencoderDC.from_pretrained(folder / "vae").to(loop.device()).eval()
    found: tuple[list[torch.Tensor], ...] = tuple([] for _ in SHAPES)
    for index, chunk in enumerate(tqdm(draws.load(folder / "draws", "chosen"), desc="latents")):
        path = kept / f"{index:03d}.pt"
        if not path.exists():
            every = [
                _encoded(model, np.stack([cut(np.asarray(i), shape) for i in chunk]))
                for shape in SHAPES
            ]
            torch.save(every, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        for part, latents in zip(found, torch.load(path, weights_only=True), strict=True):
            part.append(latents)
    scale = model.config.scaling_factor
    return tuple(torch.cat(part) * scale for part in found)


def _encoded(model: AutoencoderDC, images: draws.Pixels) -> torch.Tensor:
    out = []
    with torch.no_grad():
        for part in components.signed(images).split(10):
            out.append(model.encode(part.to(loop.device())).latent.half().cpu())
    return torch.cat(out)
