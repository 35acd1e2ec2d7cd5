"""An autoencoder that shrinks by 16, made into one that shrinks by 32: exactly, and for ever.

Four neighbouring latents of 32 channels become one of 128, turned to their principal components.
Nothing is lost, and a denoiser has a quarter of the places to work at, each with all that there is
to know of its shapes: the narrow grid costs four times as much, and learned layouts far slower.
"""

import numpy as np
import torch
from diffusers import AutoencoderDC
from torch import nn

from training import components
from training.components import Floats, Layer, Pixels

LATENTS = 4 * components.LATENTS
FACTOR = 2 * components.FACTOR
_EVENNESS = 0.75  # 0 keeps the components' own spreads in pixels, 1 makes all alike
_ASIDE = 64.0  # so large that a shortcut beside a layer hardly counts, and float16 holds it


def build() -> AutoencoderDC:
    """An autoencoder of the right shape, with untrained weights."""
    wide = components.DECODER[-1]
    return components.build_with(
        LATENTS,
        encoder=(*components.ENCODER, wide),
        decoder=(*components.DECODER, LATENTS),
        encoder_layers=(*components.ENCODER_LAYERS[:-1], 1, 0),
        decoder_layers=(*components.DECODER_LAYERS, 0),
    )


def doubled(model: AutoencoderDC, images: Pixels) -> AutoencoderDC:
    """Make an autoencoder with one more level, that decodes as the given one does.

    Args:
        model: as components.build makes it, with any weights.
        images: uint8 [N, H, W, 3], whose components are found; sides divisible by 32; a few
            hundred of 256x256.

    Returns:
        Another model. Of what the given one encodes and decodes it gives the same picture, up to
        rounding.
    """
    new = build()
    with torch.no_grad():
        _take(model, new)
        narrow = torch.cat([model.encoder(part) for part in components.signed(images).split(8)])
        four = components.rows(nn.functional.pixel_unshuffle(narrow, 2))
        turn, middle = _turned(four)
        _set_encoder(model, new, images, (four - middle) @ turn.T)
        _set_decoder(model, new, turn, middle)
    return new


def _turned(four: Floats) -> tuple[Floats, Floats]:
    """The matrix [128, 128] from four latents to one and their mean [128].

    The given latents are evened out already; their own spreads in pixels tell by how much.
    """
    middle = four.mean(0)
    channels = np.sqrt(four.reshape(len(four), -1, 4).var((0, 2)))
    lift = channels ** (1 / (1 - components.EVENNESS) - 1)  # back to pixels, all by one factor
    lift = np.repeat(lift / lift[0], 4)
    values, vectors = np.linalg.eigh(np.cov((four - middle) * lift, rowvar=False))
    spread = np.sqrt(np.maximum(values[::-1], 1e-12))
    scale = spread ** (1 - _EVENNESS)
    scale = scale / np.sqrt((scale**2).mean())
    turn = vectors[:, ::-1].T * (scale / spread)[:, None] * lift[None]
    return turn, middle


def _take(model: AutoencoderDC, new: AutoencoderDC) -> None:
    """Copy all layers but the last of one half and the first of the other."""
    for parameter in new.parameters():
        nn.init.zeros_(parameter)
    ours, theirs = new.encoder, model.encoder
    ours.conv_in.load_state_dict(theirs.conv_in.state_dict())
    for level, given in zip(ours.down_blocks, theirs.down_blocks[:-1], strict=False):
        level.load_state_dict(given.state_dict())
    ours, theirs = new.decoder, model.decoder
    *levels, inner = theirs.up_blocks
    for level, given in zip(ours.up_blocks, levels, strict=False):
        level.load_state_dict(given.state_dict())
    for block, given in zip(ours.up_blocks[len(levels)][1:], inner, strict=True):
        block.load_state_dict(given.state_dict())
    ours.norm_out.load_state_dict(theirs.norm_out.state_dict())
    ours.conv_out.load_state_dict(theirs.conv_out.state_dict())


def _set_encoder(model: AutoencoderDC, new: AutoencoderDC, images: Pixels, wanted: Floats) -> None:
    down: Layer = new.encoder.down_blocks[-2][-1]
    last = model.encoder.conv_out
    down.conv.weight.copy_(_ASIDE * last.weight)
    down.conv.bias.copy_(_ASIDE * last.bias)
    seen = []
    for part in components.signed(images).split(8):
        x = new.encoder.conv_in(part)
        for level in new.encoder.down_blocks:
            x = level(x)
        seen.append(components.rows(x))
    components.write(new.encoder.conv_out, *components.fitted(np.concatenate(seen), wanted))


def _set_decoder(model: AutoencoderDC, new: AutoencoderDC, turn: Floats, middle: Floats) -> None:
    components.write(new.decoder.conv_in, np.linalg.inv(turn), middle)
    up: Layer = new.decoder.up_blocks[-2][0]
    first = model.decoder.conv_in  # 3x3 latents, of which four lie in each place
    wide, into = first.weight.shape[:2]
    weight = torch.zeros_like(up.conv.weight)
    for place in range(4):
        for ky in range(3):
            for kx in range(3):
                y, x = place // 2 + ky - 1, place % 2 + kx - 1
                of = torch.arange(into) * 4 + (y % 2) * 2 + x % 2
                weight[place::4, of, y // 2 + 1, x // 2 + 1] += first.weight[:, :, ky, kx]
    out = torch.arange(4 * wide)
    weight[out, out // up.repeats, 1, 1] -= 1  # its shortcut
    up.conv.weight.copy_(weight)
    up.conv.bias.copy_(first.bias.repeat_interleave(4))
