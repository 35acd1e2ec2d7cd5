"""Models of the real sizes with random weights: as slow as trained ones, and no download."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.weights.components import UNetComponents
from tests.tiny_models import tiny_components

SD_UNET = {"sample_size": 64, "cross_attention_dim": 768}
"""Of Stable Diffusion 1.5; the rest is diffusers' default."""

SDXL_UNET = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}

KLEIN_TRANSFORMER = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}
"""Of FLUX.2 klein 4B; the rest is diffusers' default."""

SD_AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
}


@torch.no_grad()
def random_network(
    kind: Any,
    config: dict[str, Any],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Any:
    """Build a diffusers network whose activations keep about the variance they come with."""
    with torch.device("meta"):
        network = kind(**config)
    network = network.to(dtype).to_empty(device=device).eval()
    generator = torch.Generator(device).manual_seed(0)
    for module in network.modules():
        norm = isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                bound = (3 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-bound, bound, generator=generator)
            else:
                parameter.fill_(1.0 if norm and name == "weight" else 0.0)
    return network


def sd_components(autoencoder: Any, unet: Any) -> UNetComponents:
    """Complete a UNet of Stable Diffusion 1.5's size with a text encoder of its size."""
    tiny = tiny_components()
    tokenizer = copy.deepcopy(tiny.tokenizers[0])
    tokenizer.model_max_length = 77
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return dataclasses.replace(
        tiny, tokenizers=(tokenizer,), text_encoders=(text.eval(),), vae=autoencoder, unet=unet
    )


def tiny_autoencoder() -> Any:
    """AutoencoderTiny of diffusers' default size, the one of the published tiny autoencoders."""
    return diffusers.AutoencoderTiny().eval()
