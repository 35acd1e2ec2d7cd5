"""The autoencoder: 256x256 pixels to 16x16 latents of 12 channels and back.

Its encoder is linear and computed, not trained: the principal components of 16x16 patches, seen as
4x4 means of colour, written into the strided convolutions of diffusers' AutoencoderTiny. Such
latents are ready in seconds, smooth, and easy to generate. Only the decoder is trained. The
latents are scaled here to a spread of about one, so stock code needs no scaling factor.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from PIL import Image as Picture
from torch import nn

from training import loop, pictures, products, sheets
from training.canvas import Rng
from training.pictures import Pixels

CHANNELS = 12
FACTOR = 16
_PATCH = 48  # 4x4 means of three colours make a patch
_DECODER = 40
_EVENNESS = 0.7  # 0 keeps the components' own spreads, 1 makes all alike
_NOISE = 0.08


def build() -> AutoencoderTiny:
    """An autoencoder of the demo's shape, with neither half set."""
    return AutoencoderTiny(
        encoder_block_out_channels=(_PATCH,) * 5,
        decoder_block_out_channels=(_DECODER,) * 5,
        num_encoder_blocks=(0,) * 5,
        num_decoder_blocks=(2, 2, 1, 1, 0),
        latent_channels=CHANNELS,
    )


def _patches(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Rows of 48 numbers in 0..1 for every 16x16 patch of images [N, H, W, 3]."""
    n, h, w = images.shape[:3]
    size = (w // 4, h // 4)
    means = np.stack(
        [cv2.resize(i.astype(np.float32), size, interpolation=cv2.INTER_AREA) for i in images]
    )
    means = means.astype(np.float64) / 255
    # rows of 16, halves of 8, quarters of 4, as the two last strided layers order them
    split = means.reshape(n, h // 16, 2, 2, w // 16, 2, 2, 3)
    ordered = split.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return np.asarray(ordered.reshape(-1, _PATCH), np.float64)


def fit_encoder(model: AutoencoderTiny, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Write the principal components of the images' patches into the model's encoder.

    Args:
        model: made by build().
        images: uint8 [N, H, W, 3]; sides divisible by 16.

    Returns:
        The share of the patches' variance that each latent channel holds.
    """
    rows = _patches(images)
    centre = rows.mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows - centre, rowvar=False))
    spread = np.sqrt(values[::-1][:CHANNELS])
    scaled = spread ** (1 - _EVENNESS)
    scaled = scaled / np.sqrt((scaled**2).mean())
    matrix = (vectors[:, ::-1][:, :CHANNELS] / spread * scaled).T
    layers = model.encoder.layers
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for colour in range(3):
            layers[0].weight[colour, colour, 1, 1] = 1.0
            layers[1].weight[colour, colour, 1:, 1:] = 0.25
            layers[2].weight[colour, colour, 1:, 1:] = 0.25
        for layer, width in ((layers[3], 3), (layers[4], 12)):
            for place in range(4):
                for k in range(width):
                    layer.weight[place * width + k, k, 1 + place // 2, 1 + place % 2] = 1.0
        layers[5].weight[:, :, 1, 1] = torch.from_numpy(matrix).float()
        layers[5].bias.copy_(torch.from_numpy(-matrix @ centre).float())
    return values[::-1][:CHANNELS] / values.sum()


def encode(model: AutoencoderTiny, images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """What model.encoder gives for whole pictures [N, H, W, 3], at a fiftieth of the cost.

    The same up to rounding: the convolutions spend nearly all their work on zeros.
    """
    n, h, w = images.shape[:3]
    last = model.encoder.layers[-1]
    matrix, bias = last.weight[:, :, 1, 1].detach().cpu(), last.bias.detach().cpu()
    rows = torch.from_numpy(_patches(images)).float() @ matrix.T + bias
    latents: torch.Tensor = rows.reshape(n, h // FACTOR, w // FACTOR, CHANNELS)
    return latents.permute(0, 3, 1, 2)


def _keep_variance(decoder: nn.Module) -> None:
    """Start every layer with the variance kept and every residual block near identity.

    torch's default start shrinks the signal at each layer; without normalisation layers the first
    thousand steps would go into growing it back.
    """
    for layer in decoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in decoder.modules():
        if isinstance(layer, AutoencoderTinyBlock):
            first, _, second, _, last = layer.conv
            first.weight.data.mul_(2**0.5)
            second.weight.data.mul_(2**0.5)
            last.weight.data.mul_(0.2)
    final = [m for m in decoder.modules() if isinstance(m, nn.Conv2d)][-1]
    final.weight.data.mul_(0.3)
    if final.bias is not None:
        nn.init.constant_(final.bias, 0.5)


class Batches:
    """Random crops of pictures, some with pasted products, and of photographs."""

    def __init__(self, chunks: list[Pixels], photos: list[Path]) -> None:
        """Keep the chunks and read the photographs."""
        self._chunks = chunks
        self._photos = [np.asarray(Picture.open(p).convert("RGB")) for p in photos]

    def _one(self, rng: Rng, crop: int) -> Pixels:
        if self._photos and rng.random() < 0.12:
            source = self._photos[int(rng.integers(len(self._photos)))]
            side = int(min(source.shape[:2]) * rng.uniform(0.35, 1.0))
        else:
            chunk = self._chunks[int(rng.integers(len(self._chunks)))]
            source = np.asarray(chunk[int(rng.integers(len(chunk)))])
            if rng.random() < 0.25:
                source = products.paste(rng, source)
            side = min(256, int(crop * rng.uniform(1.0, 1.3)))
        y, x = (int(rng.integers(n - side + 1)) for n in source.shape[:2])
        cut = source[y : y + side, x : x + side]
        out = cv2.resize(cut, (crop, crop), interpolation=cv2.INTER_AREA)
        return np.asarray(out[:, ::-1] if rng.random() < 0.5 else out, np.uint8)

    def draw(self, rng: Rng, count: int, crop: int) -> npt.NDArray[np.uint8]:
        """[count, crop, crop, 3], uint8."""
        return np.stack([self._one(rng, crop) for _ in range(count)])


def _signed(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return pixels.to(loop.device()).float() / 127.5 - 1


def _detail(x: torch.Tensor) -> torch.Tensor:
    return x - F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def prepare(folder: Path, photos: list[Path], seed: int) -> AutoencoderTiny:
    """Compute the encoder from the pictures; saves folder/vae, its decoder not yet trained."""
    torch.manual_seed(seed)
    model = build()
    _keep_variance(model.decoder)
    batches = Batches(pictures.load(folder / "pictures")[0], photos)
    held = fit_encoder(model, batches.draw(np.random.default_rng([seed, 1]), 1200, 256))
    print("variance held by each channel:", np.round(held, 4), "all:", round(float(held.sum()), 4))
    model.save_pretrained(folder / "vae")
    return model


def train(folder: Path, photos: list[Path], plan: loop.Plan) -> AutoencoderTiny:
    """Train the decoder from noisy latents: L1 in pixels and detail, squared error in tint.

    Small crops at first, whole pictures in the last fifth.
    """
    model = AutoencoderTiny.from_pretrained(folder / "vae")
    model.to(loop.device(), memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    batches = Batches(pictures.load(folder / "pictures")[0], photos)

    def loss_of(rng: Rng, step: int) -> torch.Tensor:
        crop, count = (128, 6) if step < 0.8 * plan.steps else (256, 2)
        x = _signed(batches.draw(rng, count, crop)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            z = model.encoder(x)
            z = z + _NOISE * torch.rand(count, 1, 1, 1, device=z.device) * torch.randn_like(z) * 2
        with loop.half_precision():
            y = model.decoder(z).float()
        tint = F.avg_pool2d(y, FACTOR // 2) - F.avg_pool2d(x, FACTOR // 2)
        fine = (_detail(y) - _detail(x)).abs().mean()
        loss: torch.Tensor = (y - x).abs().mean() + 0.7 * fine + 2.0 * tint.square().mean()
        return loss

    def on_save(_: nn.Module, step: int) -> None:
        x = _signed(batches.draw(np.random.default_rng(5), 16, 256))
        with torch.no_grad():
            y = model(x).sample.clamp(-1, 1)
        both = torch.stack([x, y], 1).flatten(0, 1).add(1).div(2).permute(0, 2, 3, 1).cpu().numpy()
        labels = [f"step {step}", f"L1 {float((x - y).abs().mean()):.3f}"] * 16
        sheets.save(sheets.sheet(list(both), labels, 8), folder / "sheets" / "autoencoder.png")
        model.save_pretrained(folder / "vae")

    loop.train("autoencoder", folder, plan, model, loss_of, on_save)
    return model.eval()
