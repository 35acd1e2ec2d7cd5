"""The text-conditioned UNet and its text encoder, trained together on cached latents.

Predicts v (Salimans & Ho 2022) under Stable Diffusion's noise schedule. Half of the noise has a
random offset a channel, so that the model does not read a picture's overall colour off the noisy
input: the photo that image-to-image starts from would tint every backdrop otherwise.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from torch import nn
from tqdm import tqdm
from transformers import CLIPTokenizer

from training import autoencoder, loop, pictures, text
from training.canvas import Rng
from training.captions import Spec, caption, corpus

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
_UNCONDITIONAL = 0.1
_OFFSET = 0.2
_SMALL_PART = 0.35  # of the steps: words, colours and layout are learned at a quarter of the cost


def build() -> UNet2DConditionModel:
    """An untrained UNet of the demo's shape: attention at 8x8 only, where it is cheap."""
    return UNet2DConditionModel(
        sample_size=256 // autoencoder.FACTOR,
        in_channels=autoencoder.CHANNELS,
        out_channels=autoencoder.CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=text.HIDDEN,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


class Denoiser(nn.Module):
    """UNet and text encoder as one module to train."""

    def __init__(self, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel) -> None:
        """Build an untrained text encoder for an untrained UNet."""
        super().__init__()
        self.unet = unet
        self.text_encoder = text.build_encoder(tokenizer)

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Predict v [B, C, 16, 16] from noisy latents, timesteps [B] and token ids [B, LENGTH]."""
        words = self.text_encoder(ids).last_hidden_state
        velocity: torch.Tensor = self.unet(noisy, t, words, return_dict=False)[0]
        return velocity


def cache_latents(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode all pictures once, whole and at half their size; kept in folder/latents.pt.

    Returns:
        float16 [N, C, 16, 16] and [N, C, 8, 8].
    """
    path = folder / "latents.pt"
    if path.exists():
        whole, half = torch.load(path, weights_only=True)
        return whole, half
    vae = AutoencoderTiny.from_pretrained(folder / "vae")
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for chunk in tqdm(pictures.load(folder / "pictures")[0], desc="latents", unit="chunk"):
        for first in range(0, len(chunk), 50):
            large = np.array(chunk[first : first + 50])
            small = [cv2.resize(i, (128, 128), interpolation=cv2.INTER_AREA) for i in large]
            found[0].append(autoencoder.encode(vae, large).half())
            found[1].append(autoencoder.encode(vae, np.stack(small)).half())
    latents = (torch.cat(found[0]), torch.cat(found[1]))
    torch.save(latents, path)
    return latents


def learn_tokenizer(folder: Path, specs: list[Spec], seed: int) -> CLIPTokenizer:
    """The tokenizer of the work folder, learned on first use."""
    if not (folder / "tokenizer" / "vocab.json").exists():
        text.learn_vocabulary(corpus(seed, 30_000, specs), folder / "tokenizer")
    return text.load_tokenizer(folder / "tokenizer")


class Batches:
    """Random latents with fresh captions and fresh noise.

    Args:
        say: a caption for what is at a place.
        tokenizer: of the captions.
        latents: at every size that there is, in order of the places.
    """

    def __init__(
        self, say: Callable[[Rng, int], str], tokenizer: CLIPTokenizer, *latents: torch.Tensor
    ) -> None:
        self.latents, self.say, self.tokenizer = latents, say, tokenizer
        self.schedule = DDPMScheduler(**SCHEDULE)

    def captions(self, rng: Rng, picked: list[int]) -> torch.Tensor:
        """Token ids of one caption a picture; some are empty, for guidance."""
        words = ["" if rng.random() < _UNCONDITIONAL else self.say(rng, i) for i in picked]
        text.set_merge_dropout(self.tokenizer, 0.1 if rng.random() < 0.3 else None)
        ids = text.encode(self.tokenizer, words)
        text.set_merge_dropout(self.tokenizer, None)
        return ids.to(loop.device())

    def weight(self, t: torch.Tensor, limit: float | None) -> torch.Tensor:
        """What the losses at timesteps [B] count, about 1 on average.

        The error of the picture counts as min-SNR has it where there is little noise (Hang et al.
        2023), and that of v where there is much: there layout and colours are decided.
        """
        if limit is None:
            return torch.ones_like(t, dtype=torch.float32)
        noise = 1 - self.schedule.alphas_cumprod.to(t.device)
        weights = (limit * noise).clamp(max=1)
        return (weights / weights.mean())[t]

    def noised(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Noisy latents, their timesteps and the v to predict."""
        count = len(latents)
        t = torch.randint(0, 1000, (count,), device=latents.device)
        noise = torch.randn_like(latents)
        tinted = (torch.rand(count, 1, 1, 1, device=latents.device) < 0.5) * _OFFSET
        noise = noise + tinted * torch.randn(count, latents.shape[1], 1, 1, device=latents.device)
        noisy = self.schedule.add_noise(latents, noise, t)
        return noisy, t, self.schedule.get_velocity(latents, noise, t)


def train(folder: Path, plan: loop.Plan, batch: int = 32) -> Denoiser:
    """Train on the work folder's pictures; saves folder/unet and folder/text_encoder as it goes.

    The first part is trained on pictures of half the size, twice as many a step.
    """
    torch.manual_seed(plan.seed)
    specs = pictures.load(folder / "pictures")[1]
    tokenizer = learn_tokenizer(folder, specs, plan.seed)
    batches = Batches(saying(specs), tokenizer, *cache_latents(folder))
    return learn(folder, plan, Denoiser(tokenizer, build()), batches, batch)


def saying(specs: list[Spec]) -> Callable[[Rng, int], str]:
    """Captions of the specs by their places."""
    return lambda rng, place: caption(rng, specs[place])


def learn(
    folder: Path,
    plan: loop.Plan,
    model: Denoiser,
    batches: Batches,
    batch: int = 32,
    limit: float | None = None,
) -> Denoiser:
    """Train a model on batches; saves folder/unet and folder/text_encoder as it goes.

    Args:
        folder: the work folder.
        plan: length and pace.
        model: untrained.
        batches: with latents whole and at half the size.
        batch: whole latents of a step.
        limit: of the signal's strength over the noise's by which a loss is weighed; None weighs
            all alike.
    """
    model = model.to(loop.device())
    count = len(batches.latents[0])

    def loss_of(rng: Rng, step: int) -> torch.Tensor:
        small = step < _SMALL_PART * plan.steps
        picked = rng.integers(count, size=2 * batch if small else batch).tolist()
        latents = batches.latents[int(small)][picked].float().to(loop.device())
        latents = latents.contiguous(memory_format=torch.channels_last)  # 1.25 times as fast
        noisy, t, velocity = batches.noised(latents)
        ids = batches.captions(rng, picked)
        with loop.half_precision():
            predicted = model(noisy, t, ids)
        off = (predicted.float() - velocity).square().flatten(1).mean(1)
        return (off * batches.weight(t, limit)).mean()

    def on_save(_: nn.Module, step: int) -> None:
        model.unet.save_pretrained(folder / "unet")
        model.text_encoder.save_pretrained(folder / "text_encoder")

    loop.train("denoiser", folder, plan, model, loss_of, on_save, _is_matrix)
    return model.eval()


def _is_matrix(name: str) -> bool:
    edges = ("conv_in.", "conv_out.", "time_embedding.")
    return name.startswith("unet.") and not any(edge in name for edge in edges)
