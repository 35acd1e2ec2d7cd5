"""The autoencoder on a CPU through OpenVINO, converted from the torch module in memory.

Encoder and decoder are separate networks, so that two threads can run them at the same time. torch
draws from the distribution of AutoencoderKL.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from deployments.diffusion.compute.autoencoder import Encoding
from deployments.diffusion.compute.networks import within_memory
from deployments.diffusion.compute.openvino_compilation import CompiledNetwork
from deployments.diffusion.weights.components import Components


class OpenVINOAutoencoder:
    """An autoencoder compiled for this processor, for any size of picture.

    Args:
        components: The model; its modules are on the CPU.
        bf16: Compute in bfloat16, else in float32. Inputs and outputs have the autoencoder's dtype.
        threads: Threads of a forward pass.
        release: Free the weights of `components.vae`. It cannot run afterwards, and keeps its
            configuration and dtype.

    Raises:
        WeightsError: OpenVINO cannot run this autoencoder.
    """

    def __init__(
        self, components: Components, *, bf16: bool, threads: int, release: bool = False
    ) -> None:
        vae = components.vae
        self._dtype = vae.dtype
        encoder = _Encoder(vae)
        self._random = encoder.random
        # The sides differ and are odd in latents: such a trace takes every size.
        height, width = 5, 7
        picture = torch.zeros(1, 3, height * components.shrinks, width * components.shrinks)
        latents = torch.zeros(1, components.latent_channels, height, width)
        self._encoder = CompiledNetwork(
            "VAE's encoder",
            encoder,
            [picture],
            bf16=bf16,
            threads=threads,
            release=[vae.encoder] if release else [],
        )
        self._decoder = CompiledNetwork(
            "VAE's decoder",
            _Decoder(vae),
            [latents],
            bf16=bf16,
            threads=threads,
            release=[vae.decoder] if release else [],
        )

    @torch.inference_mode()
    def encode(self, picture: torch.Tensor) -> Encoding:
        """Encode a photo; see `Autoencoder`.

        Raises:
            OutOfMemory: It did not fit.
        """
        encoded = within_memory(lambda: self._run(self._encoder, picture))
        return DiagonalGaussianDistribution(encoded) if self._random else encoded

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents; see `Autoencoder`.

        Raises:
            OutOfMemory: It did not fit.
        """
        return within_memory(lambda: self._run(self._decoder, latents))

    def _run(self, network: CompiledNetwork, tensor: torch.Tensor) -> torch.Tensor:
        # The next run writes into the same memory.
        return network([tensor])[0].to(self._dtype, copy=True)


class _Encoder(torch.nn.Module):
    """The part of an autoencoder from photos to latents, or to their mean and log variance."""

    def __init__(self, vae: Any) -> None:  # noqa: ANN401 - diffusers is untyped
        super().__init__()
        self._vae = vae
        self.random = hasattr(vae, "quant_conv")

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        encoded = self._vae.encode(picture, return_dict=False)[0]
        made: torch.Tensor = encoded.parameters if self.random else encoded
        return made


class _Decoder(torch.nn.Module):
    """The part of an autoencoder from latents to photos."""

    def __init__(self, vae: Any) -> None:  # noqa: ANN401 - diffusers is untyped
        super().__init__()
        self._vae = vae

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self._vae.decode(latents, return_dict=False)[0]
        return decoded
