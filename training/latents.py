"""The latents of the draws, encoded once."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC
from tqdm import tqdm

from training import components, draws, loop
from training.rendering.dataset import Part


def cached(folder: Path, part: Part = "chosen") -> torch.Tensor:
    """Encode each chunk of a part of the draws once; kept in folder/latents.

    Returns:
        float16 [N, 128, 8, 8], scaled as pipelines do.
    """
    kept = folder / "latents"
    kept.mkdir(exist_ok=True)
    model = AutoencoderDC.from_pretrained(folder / "vae").to(loop.device()).eval()
    found = []
    for index, chunk in enumerate(tqdm(draws.load(folder / "draws", part), desc="latents")):
        path = kept / f"{part}-{index:03d}.pt"
        if not path.exists():
            torch.save(_encoded(model, np.asarray(chunk)), path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        found.append(torch.load(path, weights_only=True))
    return torch.cat(found) * model.config.scaling_factor


def _encoded(model: AutoencoderDC, images: draws.Pixels) -> torch.Tensor:
    out = []
    with torch.no_grad():
        for part in components.signed(images).split(10):
            out.append(model.encode(part.to(loop.device())).latent.half().cpu())
    return torch.cat(out)
