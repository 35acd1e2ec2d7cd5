"""A tiny FLUX.2 klein of the real classes, made in code: random numbers, true file layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.families.flux2.components import Flux2Components

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""A chat template of the text encoder's kind."""

REMEMBERING = "Flux2KleinKVPipeline"
_LATENT_CHANNELS = 4
_MOST_TOKENS = 1024
_TEXT_WIDTH = 16


def tiny_flux2(
    *, distilled: bool = True, remembers: bool = False, dtype: torch.dtype = torch.float32
) -> Flux2Components:
    """Build modules in memory, always with equal weights.

    Args:
        distilled: As distilled weights say of themselves.
        remembers: As klein KV does of what it is shown.
        dtype: What they compute in.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _tokenizer()
        text_encoder = _text_encoder(len(tokenizer), tokenizer.pad_token_id)
        transformer, vae = _transformer(), _vae()
    parts = Flux2Components(
        tokenizers=(tokenizer,),
        text_encoders=(text_encoder.to(dtype).eval(),),
        vae=vae.to(dtype).eval(),
        transformer=transformer.to(dtype).eval(),
        distilled=distilled,
        remembers=remembers,
        scheduler_config=_scheduler().config,
        device=torch.device("cpu"),
        dtype=dtype,
        origin="tiny",
    )
    if remembers:
        stock_pipeline(REMEMBERING, parts)  # sets the attention that reads references alone
    return parts


def save_tiny_flux2(folder: Path, *, distilled: bool = True, remembers: bool = False) -> None:
    """Write the folder that the stock pipeline's `save_pretrained` writes."""
    parts = tiny_flux2(distilled=distilled, remembers=remembers)
    name = REMEMBERING if remembers else "Flux2KleinPipeline"
    stock_pipeline(name, parts).save_pretrained(folder)


def stock_pipeline(name: str, parts: Flux2Components) -> Any:
    """The stock pipeline of a name with these modules."""
    return getattr(diffusers, name)(
        scheduler=_scheduler(),
        vae=parts.vae,
        text_encoder=parts.text_encoders[0],
        tokenizer=parts.tokenizers[0],
        transformer=parts.transformer,
        is_distilled=parts.distilled,
    )


def _tokenizer() -> Any:
    # The alphabet of byte-level tokenizers: a printable character for every byte.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(byte) for byte in printable]
    alphabet += [chr(256 + place) for place in range(256 - len(printable))]
    tokens = [*alphabet, "fo", "for", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = transformers.Qwen2Tokenizer(
        vocab={token: place for place, token in enumerate(tokens)},
        merges=[("f", "o"), ("fo", "r")],
        model_max_length=_MOST_TOKENS,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def _text_encoder(vocabulary: int, padding: int) -> Any:
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=_TEXT_WIDTH,
            intermediate_size=24,
            num_hidden_layers=28,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=_MOST_TOKENS,
            pad_token_id=padding,
            tie_word_embeddings=True,
            # Else a tiny model writes nearly the same of every text.
            initializer_range=0.3,
        )
    )


def _transformer() -> Any:
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=4 * _LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * _TEXT_WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    # Else times and texts are hardly seen.
    for name, parameter in transformer.named_parameters():
        if "modulation" in name or "time_guidance" in name or "context_embedder" in name:
            parameter.data *= 3
    return transformer


def _vae() -> Any:
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=_LATENT_CHANNELS,
        sample_size=64,
    )
    # Statistics of a training that the stock pipelines apply.
    torch.nn.init.normal_(vae.bn.running_mean, std=0.3)
    torch.nn.init.uniform_(vae.bn.running_var, 0.5, 2.0)
    return vae


def _scheduler() -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
