"""The text-conditioned UNet and its text encoder, trained together on cached latents.

Predicts v (Salimans & Ho 2022) under Stable Diffusion's noise schedule. Half of the noise has a
random offset a channel, so that the model does not read a picture's overall colour off the noisy
input: the photo that image-to-image starts from would tint every backdrop otherwise.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from training import doubling, draws, latents, loop, reading, text
from training.components import Floats
from training.loop import Rng
from training.rendering import asking
from training.rendering.dataset import Part
from training.rendering.kinds import KINDS

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
}
_UNCONDITIONAL = 0.1
_OFFSET = 0.3
_LEAST = 0.02  # of the mean contrast; pure white is not learned from for ever
_FREE = 3.0  # times as often are those shown that come in any colour: they take longest
_FAINT = 4.5  # and of these the ones whose shapes differ little from their ground
_FAINT_KINDS = ("podium", "blocks", "arch", "window_light", "leaf_shadows", "plaster", "drapes")
_POOLING_HEADS = 8
READING_STEPS = 1_000
_WORDS = 40_000  # captions that the vocabulary is learned from


def build() -> UNet2DConditionModel:
    """An untrained UNet: attention at 8x8, where a picture of 256x256 begins.

    What a caption says as a whole scales and shifts every block, beside time. By attention alone,
    words of colour were learned in an hour, and no words of shape.
    """
    return UNet2DConditionModel(
        sample_size=256 // doubling.FACTOR,
        in_channels=doubling.LATENTS,
        out_channels=doubling.LATENTS,
        block_out_channels=(128, 192),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=text.HIDDEN,
        attention_head_dim=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=_POOLING_HEADS,
        resnet_time_scale_shift="scale_shift",
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


class Denoiser(nn.Module):
    """UNet and text encoder as one module to train."""

    def __init__(self, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel) -> None:
        """Build an untrained text encoder for an untrained UNet."""
        super().__init__()
        self.unet = unet
        self.text_encoder = text.build_encoder(tokenizer)

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Predict v [B, C, H, W] from noisy latents, timesteps [B] and token ids [B, LENGTH]."""
        words = self.text_encoder(ids).last_hidden_state
        velocity: torch.Tensor = self.unet(noisy, t, words, return_dict=False)[0]
        return velocity


def saying(drawn: Path, part: Part = "chosen") -> Callable[[Rng, int], str]:
    """Captions for the draws of a part by their places."""
    all_shown = draws.shown(drawn, part)
    return lambda rng, place: asking.caption(rng, all_shown[place])


def shares(drawn: Path) -> Floats:
    """How often each draw is learned, by its place; their sum is 1."""
    often = [_often(one.kind) for one in draws.shown(drawn, "chosen")]
    return np.asarray(often) / np.sum(often)


def _often(kind: str) -> float:
    if kind in _FAINT_KINDS:
        return _FAINT
    return _FREE if KINDS[kind].coloured else 1.0


def learn_tokenizer(folder: Path, say: Callable[[Rng, int], str], count: int) -> CLIPTokenizer:
    """The tokenizer of the work folder, learned from captions on first use."""
    if not (folder / "tokenizer" / "vocab.json").exists():
        rng = np.random.default_rng(count)
        said = [say(rng, int(rng.integers(count))) for _ in range(_WORDS)]
        text.learn_vocabulary(said, folder / "tokenizer")
    return text.load_tokenizer(folder / "tokenizer")


class Batches:
    """Random latents with fresh captions and fresh noise.

    Args:
        say: a caption for what is at a place.
        tokenizer: of the captions.
        cached: latents [N, C, H, W], in order of the places.
        even: all channels count alike; see `loss`.
    """

    def __init__(
        self,
        say: Callable[[Rng, int], str],
        tokenizer: CLIPTokenizer,
        cached: torch.Tensor,
        even: bool = False,
    ) -> None:
        self.latents, self.say, self.tokenizer = cached, say, tokenizer
        self.variance = float(cached.float().var())
        self.contrast = _contrast(cached)
        spread = torch.cat([one.float() for one in cached.split(500)]).var((0, 2, 3))
        spread = torch.ones_like(spread) if even else spread
        self.visible = (spread / spread.mean())[:, None, None]
        self.schedule = DDPMScheduler(**SCHEDULE)

    def captions(self, rng: Rng, picked: list[int]) -> torch.Tensor:
        """Token ids of one caption a picture; some are empty, for guidance."""
        words = ["" if rng.random() < _UNCONDITIONAL else self.say(rng, i) for i in picked]
        text.set_merge_dropout(self.tokenizer, 0.1 if rng.random() < 0.3 else None)
        ids = text.encode(self.tokenizer, words)
        text.set_merge_dropout(self.tokenizer, None)
        return ids.to(loop.device())

    def loss(self, off: torch.Tensor, t: torch.Tensor, picked: list[int]) -> torch.Tensor:
        """The loss of errors of v [B, C, H, W] at timesteps [B]: as Karras et al. 2022 weigh them.

        They weigh by the variance of the data. Here a picture's shapes count by its own: a leaf's
        shadow on a wall differs a hundred times less from its mean colour than a forest does, and
        would not be learned beside one. Mean colours, of which captions seldom say enough, count
        by the variance of all.

        Channels count by their variance, too: the more of it one has, the more levels of colour
        its unit stands for (see `doubling`), and the eye sees patches of the wrong colour first.
        Edges are in those that have little of it.

        Args:
            off: predicted less true.
            t: timesteps.
            picked: places of the pictures.
        """
        kept = self.schedule.alphas_cumprod.to(t.device)[t]
        own = self.contrast[picked].to(t.device)
        off = off * self.visible.to(off.device).sqrt()
        colour = off.mean((2, 3), keepdim=True)
        form = (off - colour).square().flatten(1).mean(1)
        tint = colour.square().flatten(1).mean(1)
        weighed = form * (kept + (1 - kept) / own) + tint * (kept + (1 - kept) / self.variance)
        return weighed.mean()

    def noised(
        self, latents: torch.Tensor, least: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Noisy latents, their timesteps from `least` to 999 and the v to predict."""
        count = len(latents)
        t = torch.randint(least, 1000, (count,), device=latents.device)
        noise = torch.randn_like(latents)
        tinted = (torch.rand(count, 1, 1, 1, device=latents.device) < 0.5) * _OFFSET
        noise = noise + tinted * torch.randn(count, latents.shape[1], 1, 1, device=latents.device)
        noisy = self.schedule.add_noise(latents, noise, t)
        return noisy, t, self.schedule.get_velocity(latents, noise, t)


def train(
    folder: Path, plan: loop.Plan, batch: int = 64, reading_steps: int = READING_STEPS
) -> Denoiser:
    """Train on the draws; saves folder/unet and folder/text_encoder as it goes.

    Args:
        folder: the work folder. A UNet and a text encoder that are there are trained on.
        plan: length and pace.
        batch: pictures of a step.
        reading_steps: of a new text encoder before, see `reading`.
    """
    torch.manual_seed(plan.seed)
    say, cached = saying(folder / "draws"), latents.cached(folder)
    count, often = len(cached), shares(folder / "draws")
    tokenizer = learn_tokenizer(folder, say, count)
    batches = Batches(say, tokenizer, cached)
    model = Denoiser(tokenizer, build())
    if not (folder / "unet").exists():
        lessons = loop.Plan(reading_steps, 1e-3, plan.seed, warmup=50, average=0.98)
        reading.teach(folder, model.text_encoder, model.unet.add_embedding, tokenizer, lessons)
    else:
        model.unet = UNet2DConditionModel.from_pretrained(folder / "unet").train()
        model.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").train()
    model = model.to(loop.device())

    def loss_of(rng: Rng, step: int) -> torch.Tensor:
        picked = rng.choice(count, batch, p=often).tolist()
        clean = batches.latents[picked].float().to(loop.device())
        clean = clean.contiguous(memory_format=torch.channels_last)  # 1.25 times as fast
        noisy, t, velocity = batches.noised(clean)
        ids = batches.captions(rng, picked)
        with loop.half_precision():
            predicted = model(noisy, t, ids)
        return batches.loss(predicted.float() - velocity, t, picked)

    def on_save(_: nn.Module, step: int) -> None:
        model.unet.save_pretrained(folder / "unet")
        model.text_encoder.save_pretrained(folder / "text_encoder")

    loop.train("denoiser", folder, plan, model, loss_of, on_save, _is_matrix)
    return model.eval()


def _contrast(latents: torch.Tensor) -> torch.Tensor:
    """The variance of each picture's latents [N, C, H, W] about their mean colour, [N]."""
    own = torch.cat([part.float().var((2, 3)).mean(1) for part in latents.split(500)])
    return own.clamp(min=_LEAST * float(own.mean()))


def _is_matrix(name: str) -> bool:
    edges = ("conv_in.", "conv_out.", "time_embedding.", "add_embedding.")
    return name.startswith("unet.") and not any(edge in name for edge in edges)
