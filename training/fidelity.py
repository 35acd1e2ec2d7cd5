"""What the autoencoder reaches on pictures it never saw."""

import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC

from training import components, draws
from training.crops import Pixels, squares

_FRAME = 8  # pixels along the border


def decibels(off: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio [N] of differences [N, ...] of pictures of -1 to 1."""
    each = (off / 2).square().flatten(1).mean(1).clamp(min=1e-8)
    return -10 * each.log10()


def frame(off: torch.Tensor) -> float:
    """Mean squared difference along the border, over that of all; 1 is no frame."""
    square = off.square().mean(1)
    inner = torch.zeros_like(square, dtype=torch.bool)
    inner[:, _FRAME:-_FRAME, _FRAME:-_FRAME] = True
    return float(square[~inner].mean() / square.mean().clamp(min=1e-12))


def decoded(model: AutoencoderDC, images: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of -1 to 1 and what is left of them, [N, 3, H, W] each."""
    x, out = components.signed(images), []
    with torch.no_grad():
        for part in x.split(4):
            out.append(model.decode(model.encode(part).latent).sample.clamp(-1, 1))
    return x, torch.cat(out)


def measure(vae: Path, drawn: Path, photos: list[Path]) -> dict[str, float]:
    """Decibels on held-out draws and photographs, mean and least, frames, seconds of a decode."""
    model = AutoencoderDC.from_pretrained(vae).eval()
    held = np.concatenate([np.asarray(c) for c in draws.load(drawn, "held")])
    x, y = decoded(model, held)
    found: dict[str, float] = {}

    def say(name: str, off: torch.Tensor) -> None:
        each = decibels(off)
        found[f"{name}_db"], found[f"{name}_least_db"] = float(each.mean()), float(each.min())
        found[f"{name}_frame"] = frame(off)

    say("renders", x - y)
    if photos:
        for side in (256, 384):
            images = np.concatenate([squares(p, 1 + i, 6, side) for i, p in enumerate(photos)])
            x, y = decoded(model, images)
            say(f"photos_{side}", x - y)
    with torch.no_grad():
        latents = model.encode(components.signed(held[:1])).latent
        began = time.process_time()
        for _ in range(5):
            model.decode(latents)
    found["decode_cpu_s"] = (time.process_time() - began) / 5
    return {name: round(value, 4) for name, value in found.items()}
