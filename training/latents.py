"""The latents of the chosen draws, encoded once."""

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC
from tqdm import tqdm

from training import components, draws, loop


def cached(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode each chunk of draws once, whole and at half its size; kept in folder/latents.

    Returns:
        float16 [N, 32, 16, 16] and [N, 32, 8, 8], scaled as pipelines do.
    """
    kept = folder / "latents"
    kept.mkdir(exist_ok=True)
    model = AutoencoderDC.from_pretrained(folder / "vae").to(loop.device()).eval()
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for index, chunk in enumerate(tqdm(draws.load(folder / "draws", "chosen"), desc="latents")):
        path = kept / f"{index:03d}.pt"
        if not path.exists():
            halves = [
                cv2.resize(i, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for i in chunk
            ]
            both = [_encoded(model, np.asarray(chunk)), _encoded(model, np.stack(halves))]
            torch.save(both, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        for part, latents in zip(found, torch.load(path, weights_only=True), strict=True):
            part.append(latents)
    scale = model.config.scaling_factor
    return torch.cat(found[0]) * scale, torch.cat(found[1]) * scale


def _encoded(model: AutoencoderDC, images: draws.Pixels) -> torch.Tensor:
    out = []
    with torch.no_grad():
        for part in components.signed(images).split(10):
            out.append(model.encode(part.to(loop.device())).latent.half().cpu())
    return torch.cat(out)
