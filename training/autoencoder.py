"""The autoencoder: 256x256 pixels to 8x8 latents of 128 channels and back.

It is diffusers' AutoencoderDC: its layers shuffle pixels into channels and back. Nearest-neighbour
decoders, such as AutoencoderTiny's, cannot draw the inside of a patch by its own latents alone.
Its encoder and the start of its decoder are computed (components.py, doubling.py); training only
teaches the decoder's residual blocks what a computed one leaves: rings at edges, seams between
patches.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderDC
from torch import nn

from training import components, critic, doubling, draws, loop, sheets
from training.crops import Crops, Pixels
from training.loop import Rng

_NOISE = 0.3  # of latents, at most: a denoiser's differ by so much from patch to patch
_CRITIC_FROM = 0.7  # of the steps
_CRITIC_WEIGHT = 0.01
_WHOLE_FROM = 0.9  # whole pictures at the end, so that borders weigh as they do in use
_FITTED = 400  # pictures that the components are computed from


class Pair(nn.Module):
    """The decoder and its critic, trained together."""

    def __init__(self, model: AutoencoderDC) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.critic = critic.build()


def _some(crops: Crops, seed: int, count: int) -> Pixels:
    return crops.draw(np.random.default_rng([seed, 1]), count, 256)


def prepare(folder: Path, crops: Crops, seed: int) -> AutoencoderDC:
    """Compute the autoencoder from pictures; saves folder/vae."""
    torch.manual_seed(seed)
    some = _some(crops, seed, _FITTED)
    model = doubling.doubled(components.fit(components.build(), some), some)
    model.save_pretrained(folder / "vae")
    return model


def edges(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean difference of two pictures' gradients at three scales."""
    total = y.new_zeros(())
    for scale in (1, 2, 4):
        if scale > 1:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        off = y - x
        total = total + off.diff(dim=-1).abs().mean() + off.diff(dim=-2).abs().mean()
    return total


def fidelity(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a decoded picture may not lose: its pixels, its edges, its tint."""
    tint = F.avg_pool2d(y, 8) - F.avg_pool2d(x, 8)
    off = y - x
    return off.abs().mean() + 4 * off.square().mean() + 0.5 * edges(y, x) + 2 * tint.square().mean()


def train(folder: Path, crops: Crops, plan: loop.Plan, every: int = 4) -> AutoencoderDC:
    """Teach the decoder; folder/vae holds its averaged weights after each checkpoint.

    Args:
        folder: with what prepare() saved.
        crops: to learn from.
        plan: length and pace.
        every: crops of 128x128 a step; a quarter as many whole pictures at the end.
    """
    model = AutoencoderDC.from_pretrained(folder / "vae").to(loop.device())
    model.requires_grad_(False)
    for part in model.decoder.modules():
        if components.is_block(part):
            part.requires_grad_(True)
    pair = Pair(model).to(memory_format=torch.channels_last)

    def loss_of(rng: Rng, step: int) -> torch.Tensor:
        done = step / plan.steps
        side, count = (128, every) if done < _WHOLE_FROM else (256, max(1, every // 4))
        x = components.signed(crops.draw(rng, count, side)).to(loop.device())
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            z = model.encoder(x)
            z = z + _NOISE * torch.rand(count, 1, 1, 1, device=z.device) * torch.randn_like(z)
        y = pair.decoder(z)
        loss = fidelity(y, x)
        if done >= _CRITIC_FROM:
            loss = loss + critic.loss(pair.critic, x, y)
            loss = loss + _CRITIC_WEIGHT * critic.blame(pair.critic, y)
        return loss

    def on_save(_: nn.Module, step: int) -> None:
        held = np.concatenate([np.asarray(c[:8]) for c in draws.load(folder / "draws", "held")])[:8]
        x = components.signed(held).to(loop.device())
        with torch.no_grad():
            y = model.decode(model.encode(x).latent).sample.clamp(-1, 1)
        both = torch.stack([x, y], 1).flatten(0, 1).add(1).div(2).permute(0, 2, 3, 1).cpu().numpy()
        label = f"step {step}, {-10 * float(((x - y) / 2).square().mean().log10()):.2f} dB"
        sheets.save(
            sheets.sheet(list(both), [label] * len(both), 4, 256),
            folder / "sheets" / "autoencoder.png",
        )
        model.save_pretrained(folder / "vae")

    loop.train("autoencoder", folder, plan, pair, loss_of, on_save)
    return model.eval()
