"""The UNet and its text encoder, and the ControlNet, for the latents of 32 channels."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC, ControlNetModel, UNet2DConditionModel
from tqdm import tqdm
from transformers import CLIPTokenizer

from training import controlnet as small_controlnet
from training import denoiser as small
from training import loop, text
from training.canvas import Rng
from training.rendered import components, draws
from training.rendering import asking

_SIGNAL = 5.0  # times the noise: stronger signals weigh no more (min-SNR)
_WORDS = 40_000  # captions that the vocabulary is learned from


def build() -> UNet2DConditionModel:
    """An untrained UNet: attention at 8x8 only, where it is cheap."""
    return UNet2DConditionModel(
        sample_size=256 // components.FACTOR,
        in_channels=components.LATENTS,
        out_channels=components.LATENTS,
        block_out_channels=(96, 160),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=text.HIDDEN,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def saying(drawn: Path) -> Callable[[Rng, int], str]:
    """Captions for the draws by their places."""
    all_shown = draws.shown(drawn)
    return lambda rng, place: asking.caption(rng, all_shown[place])


def cache_latents(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode each chunk of draws once, whole and at half its size; kept in folder/latents.

    Returns:
        float16 [N, 32, 16, 16] and [N, 32, 8, 8].
    """
    kept = folder / "latents"
    kept.mkdir(exist_ok=True)
    model = AutoencoderDC.from_pretrained(folder / "vae").to(loop.device()).eval()
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for index, chunk in enumerate(tqdm(draws.load(folder / "draws"), desc="latents")):
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
    return torch.cat(found[0]), torch.cat(found[1])


def _encoded(model: AutoencoderDC, images: draws.Pixels) -> torch.Tensor:
    out = []
    with torch.no_grad():
        for part in components.signed(images).split(10):
            out.append(model.encode(part.to(loop.device())).latent.half().cpu())
    return torch.cat(out)


def learn_tokenizer(folder: Path, say: Callable[[Rng, int], str], count: int) -> CLIPTokenizer:
    """The tokenizer of the work folder, learned from captions on first use."""
    if not (folder / "tokenizer" / "vocab.json").exists():
        rng = np.random.default_rng(count)
        said = [say(rng, int(rng.integers(count))) for _ in range(_WORDS)]
        text.learn_vocabulary(said, folder / "tokenizer")
    return text.load_tokenizer(folder / "tokenizer")


def train(folder: Path, plan: loop.Plan, batch: int = 32) -> small.Denoiser:
    """Train on the draws; saves folder/unet and folder/text_encoder as it goes."""
    torch.manual_seed(plan.seed)
    say, latents = saying(folder / "draws"), cache_latents(folder)
    tokenizer = learn_tokenizer(folder, say, len(latents[0]))
    batches = small.Batches(say, tokenizer, *latents)
    return small.learn(folder, plan, small.Denoiser(tokenizer, build()), batches, batch, _SIGNAL)


def train_controlnet(folder: Path, plan: loop.Plan, batch: int = 16) -> ControlNetModel:
    """Train on the draws with the work folder's UNet; saves folder/controlnet."""
    latents = cache_latents(folder)
    tokenizer = text.load_tokenizer(folder / "tokenizer")
    batches = small.Batches(saying(folder / "draws"), tokenizer, *latents)
    return small_controlnet.learn(folder, plan, batches, draws.load(folder / "draws"), batch)
