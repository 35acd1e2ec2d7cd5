"""Tiny diffusion models of the real classes, made in code: random numbers, true file layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
import transformers

from deployments.diffusion.families.sd.conditioning import PromptEncoder
from deployments.diffusion.families.sdxl.texts import PooledPromptEncoder
from deployments.diffusion.weights.components import UNetComponents

TOKENS = 16
"""Tokens the tiny text encoder reads; more are cut off."""

Family = Literal["sd", "sdxl"]
Vae = Literal["kl", "tiny", "dc"]
_POOLING_HEADS = 4


def tiny_components(
    *,
    family: Family = "sd",
    inpainting: bool = False,
    controlnet: bool = False,
    pooled: bool = False,
    vae: Vae = "kl",
    dtype: torch.dtype = torch.float32,
) -> UNetComponents:
    """Build modules in memory; a module has equal weights whatever is built beside it.

    Args:
        family: With one text encoder, or with SDXL's two and the conditions its UNet takes.
        inpainting: With a UNet of nine channels: latents, mask and masked latents.
        controlnet: With a ControlNet whose residuals are not zero.
        pooled: With networks of family sd that add the whole text to the time.
        vae: AutoencoderKL, AutoencoderTiny or AutoencoderDC.
        dtype: What they compute in.
    """
    encoders = [_seeded(_text_encoder, transformers.CLIPTextModel)]
    if family == "sdxl":
        encoders.append(_seeded(_text_encoder, transformers.CLIPTextModelWithProjection))
    unet, autoencoder = _seeded(_unet, family, inpainting, pooled), _seeded(_vae, family, vae)
    control = _seeded(_controlnet, family, pooled) if controlnet else None
    modules = [autoencoder, unet, control]
    vae, unet, control_net = (
        None if module is None else module.to(dtype).eval() for module in modules
    )
    return UNetComponents(
        tokenizers=(_tokenizer(), _tokenizer(padding="!"))[: len(encoders)],
        text_encoders=tuple(encoder.to(dtype).eval() for encoder in encoders),
        vae=vae,
        unet=unet,
        controlnet=control_net,
        scheduler_config=_scheduler(family).config,
        device=torch.device("cpu"),
        dtype=dtype,
        origin="tiny",
        zeros_for_empty_prompt=family == "sdxl",
    )


def prompts_of(parts: UNetComponents) -> PromptEncoder:
    """What encodes texts for components of either family."""
    return PooledPromptEncoder(parts) if parts.told_sizes else PromptEncoder(parts)


def save_tiny_weights(
    folder: Path, *, family: Family = "sd", inpainting: bool = False, vae: Vae = "kl"
) -> None:
    """Write the folder that the family's stock pipeline writes with `save_pretrained`."""
    parts = tiny_components(family=family, inpainting=inpainting, vae=vae)
    options: dict[str, Any] = {
        "vae": parts.vae,
        "text_encoder": parts.text_encoders[0],
        "tokenizer": parts.tokenizers[0],
        "unet": parts.unet,
        "scheduler": _scheduler(family),
    }
    if family == "sdxl":
        second = {"text_encoder_2": parts.text_encoders[1], "tokenizer_2": parts.tokenizers[1]}
        kind = (
            diffusers.StableDiffusionXLInpaintPipeline
            if inpainting
            else diffusers.StableDiffusionXLPipeline
        )
        pipeline = kind(**options, **second)
    else:
        kind = (
            diffusers.StableDiffusionInpaintPipeline
            if inpainting
            else diffusers.StableDiffusionPipeline
        )
        pipeline = kind(
            **options, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.save_pretrained(folder)


def save_tiny_controlnet(folder: Path, family: Family = "sd") -> None:
    """Write the folder that `ControlNetModel.save_pretrained` writes."""
    tiny_components(family=family, controlnet=True).controlnet.save_pretrained(folder)


def _seeded(build: Callable[..., Any], *options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*options)


def _tokenizer(padding: str = "<|endoftext|>") -> Any:
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
    return transformers.CLIPTokenizer(
        vocab=vocabulary, merges=merges, model_max_length=TOKENS, pad_token=padding
    )


def _text_encoder(kind: Any) -> Any:
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
        projection_dim=32,
    )
    return kind(config)


def _unet(family: Family, inpainting: bool, pooled: bool) -> Any:
    options: dict[str, Any] = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
    }
    if pooled:
        options |= {
            "addition_embed_type": "text",
            "addition_embed_type_num_heads": _POOLING_HEADS,
            "resnet_time_scale_shift": "scale_shift",
        }
    if family == "sdxl":
        options = {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 64,
            "transformer_layers_per_block": (1, 2),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            # Six numbers of sizes and crops, and the pooled text.
            "projection_class_embeddings_input_dim": 6 * 8 + 32,
        }
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=9 if inpainting else 4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        **options,
    )


def _vae(family: Family, kind: Vae) -> Any:
    if kind == "tiny":
        return diffusers.AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    if kind == "dc":
        made = diffusers.AutoencoderDC(
            latent_channels=4,
            encoder_block_types="ResBlock",
            decoder_block_types="ResBlock",
            encoder_block_out_channels=(8, 8, 16, 16),
            decoder_block_out_channels=(8, 8, 16, 16),
            encoder_layers_per_block=(1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1),
            encoder_qkv_multiscales=((),) * 4,
            decoder_qkv_multiscales=((),) * 4,
        )
        # By this name diffusers' pipelines ask for the levels, which this class calls otherwise.
        made.register_to_config(block_out_channels=(8, 8, 16, 16))
        return made
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.13025 if family == "sdxl" else 0.18215,
    )


def _controlnet(family: Family, pooled: bool) -> Any:
    # Beside an inpainting UNet, too, a ControlNet sees the latents alone.
    copied = diffusers.ControlNetModel.from_unet(_unet(family, inpainting=False, pooled=pooled))
    # from_unet forgets the heads.
    control = diffusers.ControlNetModel.from_config(
        copied.config, addition_embed_type_num_heads=_POOLING_HEADS
    )
    control.load_state_dict(copied.state_dict())
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


def _scheduler(family: Family) -> Any:
    """The scheduler configuration of Stable Diffusion 1.5, or of SDXL."""
    training: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    }
    if family == "sdxl":
        return diffusers.EulerDiscreteScheduler(**training, timestep_spacing="leading")
    return diffusers.PNDMScheduler(**training, set_alpha_to_one=False, skip_prk_steps=True)
