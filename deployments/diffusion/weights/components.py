"""The modules of one loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The modules of one model, on one device.

    Attributes:
        tokenizers: CLIPTokenizer, one for each text encoder.
        text_encoders: CLIPTextModel, and of SDXL a CLIPTextModelWithProjection after it.
        vae: AutoencoderKL or AutoencoderTiny, in `dtype`; of SDXL in float32 where its
            configuration says that float16 overflows.
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel that fits the UNet, or None.
        scheduler_config: The weights' own scheduler configuration.
        device: Where the modules are.
        dtype: The type of their parameters.
        origin: Where the weights came from, for recipes.
        zeros_for_empty_prompt: An empty negative prompt stands for zeros, not for its encoding.
        aesthetics: The UNet is told an aesthetic score in place of the target size.
    """

    tokenizers: tuple[Any, ...]
    text_encoders: tuple[Any, ...]
    vae: Any
    unet: Any
    controlnet: Any
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    origin: str
    zeros_for_empty_prompt: bool = False
    aesthetics: bool = False

    @property
    def sdxl(self) -> bool:
        """Whether it is Stable Diffusion XL: two text encoders, and a UNet that is told sizes."""
        return len(self.text_encoders) == 2

    @property
    def latent_channels(self) -> int:
        """Channels of the autoencoder's latents."""
        return int(self.vae.config.latent_channels)

    @property
    def inpainting(self) -> bool:
        """Whether the UNet takes latents, a mask and the masked photo's latents."""
        return bool(self.unet.config.in_channels == 2 * self.latent_channels + 1)

    @property
    def shrinks(self) -> int:
        """Pixels of a side for each of the latents."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))
