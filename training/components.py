"""The principal components of patches, written into an AutoencoderDC.

A patch of 16x16 pixels in 32 components keeps, in the squared error, about all that so few numbers
can. They are not learned but computed, in seconds, and so are the latents: smooth, and the same
for ever. The layers of AutoencoderDC hold them nearly exactly; patches of 4x4 and 8x8 pixels in
components of their own are the steps between.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_dc import ResBlock
from torch import nn

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Layer: TypeAlias = Any
"""A part of diffusers' own, which has no types."""

LATENTS = 32
SCALE = 3.0  # of latents beside noise: most of a set differs little from its mean colour
FACTOR = 16
ENCODER = (16, 16, 64, 128, 128)
DECODER = (36, 36, 48, 64, 128)
ENCODER_LAYERS = (0, 1, 1, 1, 0)
DECODER_LAYERS = (0, 1, 2, 3, 2)
_FOUR, _EIGHT = 40, 56  # components of a patch of 4x4, of 8x8 pixels in the decoder
EVENNESS = 0.7  # 0 keeps the components' own spreads, 1 makes all alike
_LIFT = 3.0  # keeps what is drawn in the straight part of the last activation
_ANCHOR = 30.0  # so large that the last normalisation hardly depends on the picture
_PATCHES = 40_000  # enough for covariances of 768 numbers


def build() -> AutoencoderDC:
    """An autoencoder of the right shape, in which no residual block does anything yet."""
    return build_with(LATENTS, ENCODER, DECODER, ENCODER_LAYERS, DECODER_LAYERS)


def build_with(
    latents: int,
    encoder: tuple[int, ...],
    decoder: tuple[int, ...],
    encoder_layers: tuple[int, ...],
    decoder_layers: tuple[int, ...],
) -> AutoencoderDC:
    """One of these channels of latents, and channels and residual blocks of each level."""
    model = AutoencoderDC(
        latent_channels=latents,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=encoder,
        decoder_block_out_channels=decoder,
        encoder_layers_per_block=encoder_layers,
        decoder_layers_per_block=decoder_layers,
        encoder_qkv_multiscales=((),) * len(encoder),
        decoder_qkv_multiscales=((),) * len(decoder),
        encoder_out_shortcut=False,
        decoder_in_shortcut=False,
        scaling_factor=SCALE,
    )
    for part in model.modules():
        if is_block(part):
            nn.init.zeros_(part.norm.weight)
            nn.init.zeros_(part.norm.bias)
    for part in model.encoder.modules():
        if is_block(part):  # never trained
            for parameter in part.parameters():
                nn.init.zeros_(parameter)
    return model


def is_block(part: Layer) -> bool:
    """Whether a module is a residual block: what is trained."""
    return isinstance(part, ResBlock)


def signed(images: Pixels) -> torch.Tensor:
    """Pictures [N, H, W, 3] as the model takes them: float32 [N, 3, H, W], -1 to 1."""
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)  # files are read-only
    return pixels.float() / 127.5 - 1


def rows(features: torch.Tensor) -> Floats:
    """Features [N, C, H, W] as rows of C numbers, one for each place."""
    return np.asarray(features.permute(0, 2, 3, 1).flatten(0, 2), np.float64)


def patches(images: Pixels, side: int) -> Floats:
    """Every patch of `side`, as a row of side * side * 3 numbers of -1 to 1."""
    n, h, w = images.shape[:3]
    cut = images.reshape(n, h // side, side, w // side, side, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.asarray(cut.reshape(-1, side * side * 3), np.float64) / 127.5 - 1


def _principal(rows: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Mean, the first components [count, D] and their spreads."""
    step = max(1, len(rows) // _PATCHES)
    some = rows[::step]
    values, vectors = np.linalg.eigh(np.cov(some, rowvar=False))
    spread = np.sqrt(np.maximum(values[::-1][:count], 1e-12))
    return some.mean(0), vectors[:, ::-1][:, :count].T, spread


def fitted(rows: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """The matrix and the shift that give `wanted` from rows with the least squared error."""
    centre, middle = rows.mean(0), wanted.mean(0)
    x = rows - centre
    ridge = 1e-7 * float((x**2).sum()) / x.shape[1] * np.eye(x.shape[1])
    matrix = np.linalg.solve(x.T @ x + ridge, x.T @ (wanted - middle)).T
    return matrix, middle - matrix @ centre


def write(layer: Layer, matrix: Floats, shift: Floats | float = 0.0) -> None:
    """Make a 3x3 convolution the matrix, alike at every place; what is left of it becomes 0."""
    out, into = matrix.shape
    with torch.no_grad():
        nn.init.zeros_(layer.weight)
        layer.weight[:out, :into, 1, 1] = torch.from_numpy(np.ascontiguousarray(matrix)).float()
        nn.init.zeros_(layer.bias)
        layer.bias[:out] = torch.as_tensor(shift).float()


def _fit_encoder(model: AutoencoderDC, images: Pixels) -> Floats:
    """Set the encoder; returns the latents of the images' patches [N, 32]."""
    stem, levels, last = model.encoder.conv_in, model.encoder.down_blocks, model.encoder.conv_out
    write(stem.conv, np.eye(3))
    write(levels[1][1].conv, np.zeros((1, 1)))  # its shortcut already keeps all
    x = stem(signed(images))
    for level in (1, 2, 3):
        x = levels[level][0](x)
        down = levels[level][1]
        if level > 1:
            centre, basis, _ = _principal(rows(x), down.conv.out_channels)
            write(down.conv, basis, -basis @ centre)
        x = down(x)
    pixels = patches(images, FACTOR)
    centre, basis, spread = _principal(pixels, LATENTS)
    scale = spread ** (1 - EVENNESS)
    scale = scale / np.sqrt((scale**2).mean())
    wanted = (pixels - centre) @ (basis / spread[:, None] * scale[:, None]).T
    write(last, *fitted(rows(x), wanted))
    return rows(last(x))


def _quarters(side: int) -> Iterator[npt.NDArray[np.int64]]:
    """Which numbers of a patch of `side` are its upper left, upper right and lower quarters."""
    at = np.arange(side * side * 3).reshape(side, side, 3)
    half = side // 2
    for y in (0, half):
        for x in (0, half):
            yield at[y : y + half, x : x + half].ravel()


def _up(block: Layer, parts: list[tuple[Floats, Floats]], into: int) -> None:
    """Let an up-block give each quarter of a patch by its own matrix and shift."""
    conv = block.conv
    full = np.zeros((conv.out_channels, into))
    shift = np.zeros(conv.out_channels)
    for place, (matrix, constant) in enumerate(parts):
        for row in range(len(matrix)):
            full[row * 4 + place, : matrix.shape[1]] = matrix[row]
            shift[row * 4 + place] = constant[row]
    if block.shortcut:
        full[np.arange(len(full)), np.arange(len(full)) // block.repeats] -= 1
    write(conv, full, shift)


def _fit_decoder(model: AutoencoderDC, images: Pixels, latents: Floats) -> None:
    """Set the decoder to the best linear guess at a patch by its latents alone."""
    decoder = model.decoder
    whole, shift = fitted(latents, patches(images, 16))
    write(decoder.conv_in, np.eye(LATENTS))
    matrix, constant = whole, shift
    for level, side, count in ((3, 8, _EIGHT), (2, 4, _FOUR)):
        centre, basis, spread = _principal(patches(images, side), count)
        size = float(np.sqrt((spread**2).mean()))
        parts = []
        for at in _quarters(2 * side):
            parts.append((basis @ matrix[at] / size, basis @ (constant[at] - centre) / size))
        _up(decoder.up_blocks[level][0], parts, DECODER[level + 1])
        matrix, constant = basis.T * size, centre
    parts = []
    for at in _quarters(4):  # two by two pixels, as the last shuffle orders them
        order = np.asarray(at).reshape(4, 3).T.ravel()
        parts.append((matrix[order], constant[order]))
    parts = [(np.vstack([m, np.zeros((1, m.shape[1]))]), np.append(c, _ANCHOR)) for m, c in parts]
    _up(decoder.up_blocks[1][0], parts, DECODER[2])
    with torch.no_grad():
        decoder.norm_out.weight.fill_(_ANCHOR / DECODER[1] ** 0.5)
        decoder.norm_out.bias.fill_(_LIFT)
    write(decoder.conv_out.conv, np.eye(12), -_LIFT)


def fit(model: AutoencoderDC, images: Pixels) -> AutoencoderDC:
    """Set both halves by the pictures' principal components.

    Args:
        model: made by build().
        images: uint8 [N, H, W, 3]; sides divisible by 16; a few hundred of 256x256.
    """
    with torch.no_grad():
        latents = _fit_encoder(model, images)
        _fit_decoder(model, images, latents)
    return model
