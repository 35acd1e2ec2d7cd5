"""What runs a model's autoencoder: photos in, latents or their distribution out, and back.

Latents are not scaled here.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

Encoding = DiagonalGaussianDistribution | torch.Tensor
"""A photo's distribution of latents (AutoencoderKL), or its latents (the other classes)."""


class Autoencoder(Protocol):
    """An autoencoder on any backend.

    Two threads may use it at the same time: one encodes, one decodes.
    """

    def encode(self, picture: torch.Tensor) -> Encoding:
        """Encode a photo.

        Args:
            picture: [1, 3, height, width], -1 to 1, in the autoencoder's dtype and on its device.

        Returns:
            Latents [1, channels, height / f, width / f] or a distribution of them, not scaled.
            Later calls do not change them.
        """
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents.

        Args:
            latents: [1, channels, height / f, width / f], not scaled, in the autoencoder's dtype
                and on its device.

        Returns:
            [1, 3, height, width], about -1 to 1. Later calls do not change it.
        """
        ...


class TorchAutoencoder:
    """The module as it is, run by torch.

    Args:
        vae: AutoencoderKL, AutoencoderTiny or AutoencoderDC.
    """

    def __init__(self, vae: Any) -> None:  # noqa: ANN401 - diffusers is untyped
        self._vae = vae

    def encode(self, picture: torch.Tensor) -> Encoding:
        """Encode a photo; see `Autoencoder`."""
        # The one thing that is encoded has another name in each class.
        encoding: Encoding = self._vae.encode(picture, return_dict=False)[0]
        return encoding

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents; see `Autoencoder`."""
        decoded: torch.Tensor = self._vae.decode(latents, return_dict=False)[0]
        return decoded
