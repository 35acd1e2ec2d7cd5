"""The modules of one loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from deployments.diffusion.weights.row_loras import RowLoras


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Components:
    """The modules of one model that every kind of model has, on one device.

    Attributes:
        tokenizers: One for each text encoder.
        text_encoders: What reads the texts; perhaps on the CPU, whatever the device is.
        vae: The autoencoder, in `dtype`, or in float32 where it would overflow.
        scheduler_config: The weights' own scheduler configuration.
        device: Where the other modules are.
        dtype: The type of their parameters.
        origin: Where the weights came from, for recipes.
        loras: The LoRAs beside the weights of the network and of the text encoders.
    """

    tokenizers: tuple[Any, ...]
    text_encoders: tuple[Any, ...]
    vae: Any
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    origin: str
    loras: RowLoras = field(default_factory=RowLoras)

    @property
    def latent_channels(self) -> int:
        """Channels of the autoencoder's latents."""
        return int(self.vae.config.latent_channels)

    @property
    def shrinks(self) -> int:
        """Pixels of a side for each of the latents."""
        config = self.vae.config
        # AutoencoderDC tells its encoder's levels and its decoder's apart; there are equally many.
        levels = config.get("block_out_channels") or config["encoder_block_out_channels"]
        return int(2 ** (len(levels) - 1))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UNetComponents(Components):
    """The modules of a model whose network is a UNet.

    Attributes:
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel that fits the UNet, or None.
        zeros_for_empty_prompt: An empty negative prompt stands for zeros, not for its encoding.
        aesthetics: The UNet is told an aesthetic score in place of the target size.
    """

    unet: Any
    controlnet: Any
    zeros_for_empty_prompt: bool = False
    aesthetics: bool = False

    @property
    def told_sizes(self) -> bool:
        """Whether the UNet is told the pooled text and sizes beside the text."""
        return bool(self.unet.config.addition_embed_type == "text_time")

    @property
    def inpainting(self) -> bool:
        """Whether the UNet takes latents, a mask and the masked photo's latents."""
        return bool(self.unet.config.in_channels == 2 * self.latent_channels + 1)
