"""Tiny diffusion models of the real classes, made in code: random numbers, true file layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
import transformers

from deployments.diffusion.loading import Components

TOKENS = 16
"""Tokens the tiny text encoder reads; more are cut off."""

Vae = Literal["kl", "tiny"]


def tiny_components(
    *, controlnet: bool = False, vae: Vae = "kl", dtype: torch.dtype = torch.float32
) -> Components:
    """Build modules in memory; equal calls give equal weights.

    Args:
        controlnet: With a ControlNet whose residuals are not zero.
        vae: AutoencoderKL, or AutoencoderTiny.
        dtype: What they compute in.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text_encoder, unet, autoencoder = _text_encoder(), _unet(), _vae(vae)
        control = _controlnet(unet) if controlnet else None
    modules = [text_encoder, autoencoder, unet, control]
    return Components(
        _tokenizer(),
        *(None if module is None else module.to(dtype).eval() for module in modules),
        scheduler_config=_scheduler().config,
        device=torch.device("cpu"),
        dtype=dtype,
        origin="tiny",
    )


def save_tiny_weights(folder: Path, *, vae: Vae = "kl") -> None:
    """Write the folder that `StableDiffusionPipeline.save_pretrained` writes."""
    parts = tiny_components(vae=vae)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


def save_tiny_controlnet(folder: Path) -> None:
    """Write the folder that `ControlNetModel.save_pretrained` writes."""
    tiny_components(controlnet=True).controlnet.save_pretrained(folder)


def _tokenizer() -> Any:
    # CLIP's alphabet: a printable character for every byte, alone and at the end of a word.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(byte) for byte in printable] + [
        chr(256 + place) for place in range(256 - len(printable))
    ]
    merges = [("f", "o"), ("fo", "r"), ("e", "s"), ("es", "t</w>"), ("for", "est</w>")]
    tokens = [
        *alphabet,
        *(f"{character}</w>" for character in alphabet),
        *("".join(pair) for pair in merges),
    ]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)


def _text_encoder() -> Any:
    tokenizer = _tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.CLIPTextModel(config)


def _unet() -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def _vae(kind: Vae) -> Any:
    if kind == "tiny":
        return diffusers.AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def _controlnet(unet: Any) -> Any:
    control = diffusers.ControlNetModel.from_unet(unet)
    # A fresh ControlNet ends in zeros and changes nothing; this one shall.
    ends = [
        *control.controlnet_down_blocks,
        control.controlnet_mid_block,
        control.controlnet_cond_embedding.conv_out,
    ]
    for end in ends:
        for parameter in end.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    return control


def _scheduler() -> Any:
    """Stable Diffusion 1.5's own scheduler configuration."""
    return diffusers.PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
    )
