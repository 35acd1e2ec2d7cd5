"""A ControlNet on canny edges, trained from the finished UNet, which stays frozen.

It learns from all scenes, not from the chosen ones, whose edges the UNet knows without it.

The pictures' edges are found at random thresholds; a part of the maps is wiped in random boxes,
because a product's edges alone (with nothing around) is what the service will often give it.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from training import denoiser, draws, latents, loop, text
from training.draws import Pixels
from training.loop import Rng

_CONDITION = (8, 16, 24, 48, 64, 96)  # five halvings: 256 pixels to 8 latents
_LEAST = 400  # timestep: where less noise is, the picture shows its edges itself


def build(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that starts as a copy of the UNet's first half."""
    copied = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=_CONDITION)
    heads = unet.config.addition_embed_type_num_heads  # which from_unet forgets
    model = ControlNetModel.from_config(copied.config, addition_embed_type_num_heads=heads)
    model.load_state_dict(copied.state_dict())
    return model


def edges(rng: Rng, picture: Pixels) -> Pixels:
    """Canny edges [H, W] of a picture, 0 or 255, at random thresholds, some boxes wiped."""
    low = float(rng.uniform(8, 45))
    out = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), low, low * rng.uniform(1.8, 3.0))
    if rng.random() < 0.3:
        height, width = out.shape
        for _ in range(int(rng.integers(1, 4))):
            y, x = int(rng.integers(height)), int(rng.integers(width))
            out[y : y + int(rng.integers(30, 140)), x : x + int(rng.integers(30, 140))] = 0
    return np.asarray(out, np.uint8)


def train(folder: Path, plan: loop.Plan, batch: int = 32) -> ControlNetModel:
    """Train with the work folder's draws, UNet and text encoder; saves folder/controlnet.

    Args:
        folder: the work folder. A ControlNet that is there is trained on.
        plan: length and pace.
        batch: pictures a step.
    """
    tokenizer = text.load_tokenizer(folder / "tokenizer")
    chunks = draws.load(folder / "draws")
    say = denoiser.saying(folder / "draws", "draws")
    batches = denoiser.Batches(say, tokenizer, latents.cached(folder, "draws"), even=True)
    torch.manual_seed(plan.seed)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").to(loop.device())
    unet.requires_grad_(False)
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").to(loop.device())
    encoder.requires_grad_(False)
    model = build(unet)
    if (folder / "controlnet").exists():
        model = ControlNetModel.from_pretrained(folder / "controlnet").train()
    model = model.to(loop.device())
    model.requires_grad_(True)
    size, count = len(chunks[0]), len(batches.latents)

    def loss_of(rng: Rng, _: int) -> torch.Tensor:
        picked = rng.integers(count, size=batch).tolist()
        maps = [edges(rng, np.asarray(chunks[i // size][i % size])) for i in picked]
        control = torch.from_numpy(np.stack(maps)).float().div(255).to(loop.device())
        control = control[:, None].expand(-1, 3, -1, -1)
        clean = batches.latents[picked].float().to(loop.device())
        clean = clean.contiguous(memory_format=torch.channels_last)
        noisy, t, velocity = batches.noised(clean, _LEAST)
        with loop.half_precision():
            words = encoder(batches.captions(rng, picked)).last_hidden_state
            down, middle = model(noisy, t, words, control, return_dict=False)
            predicted = unet(
                noisy,
                t,
                words,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
                return_dict=False,
            )[0]
        return batches.loss(predicted.float() - velocity, t, picked)

    def on_save(_: nn.Module, step: int) -> None:
        model.save_pretrained(folder / "controlnet")

    loop.train("controlnet", folder, plan, model, loss_of, on_save, _is_matrix)
    return model.eval()


def _is_matrix(name: str) -> bool:
    edges = ("conv_in.", "conv_out.", "time_embedding.", "add_embedding.", "controlnet_")
    return not any(edge in name for edge in edges)
