"""Pictures as the transformer sees them: tokens, each with a position.

A token is a patch of 2 x 2 latents, less the mean of the training's pictures, over their deviation.
Tokens are [1, tokens, channels], row by row of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from deployments.diffusion.compute.autoencoder import Autoencoder
from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.caching import Cache, digest
from deployments.diffusion.families.flux2.components import PATCH, Flux2Components
from deployments.diffusion.families.pictures import picture_tensor
from deployments.jobs import Mask, Pixels

_CACHED_PICTURES = 16
_REFERENCE_STEP = 10
"""Distance of a reference from the picture, and from the next, on the axis of time."""


def positions(layout: Sequence[int], token_side: int) -> torch.Tensor:
    """Where the tokens of a picture and of its references are.

    Args:
        layout: Heights and widths in pixels: the picture's, then each reference's.
        token_side: Pixels of a side for each token.

    Returns:
        int64 [tokens, 4]: time, row, column, and 0.
    """
    sizes = zip(layout[::2], layout[1::2], strict=True)
    return torch.cat(
        [
            torch.cartesian_prod(
                torch.tensor([place * _REFERENCE_STEP]),
                torch.arange(height // token_side),
                torch.arange(width // token_side),
                torch.arange(1),
            )
            for place, (height, width) in enumerate(sizes)
        ]
    )


def pack(patched: torch.Tensor) -> torch.Tensor:
    """Turn [1, channels, height, width] into tokens."""
    return patched.flatten(2).permute(0, 2, 1).contiguous()


def painted(mask: Mask, token_side: int) -> torch.Tensor:
    """What share of each token the model paints, as the stock pipeline counts it: 0 to 1.

    Of a mask, uint8 [height, width], from 128 painted, it makes float32 [1, tokens, 1].
    """
    whole = torch.from_numpy(np.ascontiguousarray(mask >= 128, dtype=np.float32))[None, None]
    size = tuple(side // token_side for side in mask.shape)
    return pack(torch.nn.functional.interpolate(whole, size=size, mode="bilinear"))


class PictureEncoder:
    """Encodes pictures to tokens, and keeps the last ones. One thread may encode at a time."""

    def __init__(self, parts: Flux2Components, autoencoder: Autoencoder) -> None:
        self._parts = parts
        self._autoencoder = autoencoder
        self._mean, self._deviation = parts.statistics
        self._pictures: Cache[torch.Tensor] = Cache(_CACHED_PICTURES)

    def encode(self, pixels: Pixels) -> torch.Tensor:
        """Make the tokens of a picture, uint8 [height, width, 3]; equal pixels share them."""
        return self._pictures.get(digest(pixels), lambda: self._encode(pixels))

    def decode(self, tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Decode the tokens of a picture of so many pixels to [1, 3, height, width], -1 to 1."""
        rows, columns = (side // self._parts.token_side for side in (height, width))
        grid = tokens.permute(0, 2, 1).reshape(1, -1, rows, columns)
        patched = grid * self._deviation + self._mean
        split = patched.reshape(1, -1, PATCH, PATCH, rows, columns).permute(0, 1, 4, 2, 5, 3)
        return self._autoencoder.decode(split.reshape(1, -1, rows * PATCH, columns * PATCH))

    def _encode(self, pixels: Pixels) -> torch.Tensor:
        picture = (2.0 * picture_tensor(pixels) - 1.0).to(self._parts.dtype)
        encoding = self._autoencoder.encode(to_device(picture, self._parts.device))
        # The distribution's middle, and not a sample: equal pictures have equal tokens.
        latents = encoding if isinstance(encoding, torch.Tensor) else encoding.mode()
        rows, columns = (side // PATCH for side in latents.shape[-2:])
        split = latents.reshape(1, -1, rows, PATCH, columns, PATCH)
        patched = split.permute(0, 1, 3, 5, 2, 4).reshape(1, -1, rows, columns)
        return pack((patched - self._mean) / self._deviation)
