"""Checks by their configurations whether loaded modules fit a family of UNets and each other."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.diffusion.weights.components import UNetComponents

_UNKNOWN_CONDITIONS = (
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)
"""Inputs that a UNet's configuration can ask for and that no family gives."""
_SHARED_WITH_CONTROLNET = (
    "block_out_channels",
    "layers_per_block",
    "cross_attention_dim",
    "addition_embed_type",
    "addition_time_embed_dim",
    "projection_class_embeddings_input_dim",
)
_UNKNOWN_SCALINGS = ("latents_mean", "latents_std", "shift_factor")


def misfits(
    parts: UNetComponents, family: str, conditions: tuple[str | None, ...]
) -> Iterator[str]:
    """Say what the family cannot run, and which two modules do not fit each other.

    Args:
        parts: All modules.
        family: Its name.
        conditions: What `addition_embed_type` may be in the UNets that it runs.

    Yields:
        Clauses without a full stop; none when everything fits.
    """
    yield from _text_misfits(parts)
    yield from _unet_misfits(parts, family, conditions)
    yield from _vae_misfits(parts, family)
    if parts.controlnet is not None:
        yield from _controlnet_misfits(parts, family)


def _text_misfits(parts: UNetComponents) -> Iterator[str]:
    lengths = [tokenizer.model_max_length for tokenizer in parts.tokenizers]
    for tokenizer, encoder, length in zip(
        parts.tokenizers, parts.text_encoders, lengths, strict=True
    ):
        text = encoder.config
        if length > text.max_position_embeddings:
            yield (
                f"the tokenizer gives up to {length} tokens, "
                f"the text encoder reads {text.max_position_embeddings}"
            )
        if len(tokenizer) > text.vocab_size:
            yield f"the tokenizer has {len(tokenizer)} tokens, the text encoder {text.vocab_size}"
    if len(set(lengths)) > 1:
        yield f"the tokenizers give up to {lengths[0]} and {lengths[1]} tokens, not equally many"
    width = sum(encoder.config.hidden_size for encoder in parts.text_encoders)
    reads = parts.unet.config.cross_attention_dim
    if reads != width:
        writers = "its encoder writes" if len(parts.text_encoders) == 1 else "its encoders write"
        yield f"the UNet reads text {reads} wide, {writers} {width}"


def _unet_misfits(
    parts: UNetComponents, family: str, conditions: tuple[str | None, ...]
) -> Iterator[str]:
    unet, latents = parts.unet.config, parts.latent_channels
    if latents != unet.out_channels:
        yield f"the VAE has {latents} latent channels, the UNet {unet.out_channels}"
    if unet.in_channels != latents and not parts.inpainting:
        yield (
            f"the UNet has {unet.in_channels} input channels, and family {family} "
            f"takes {latents}, or {2 * latents + 1} for inpainting"
        )
    for key in _UNKNOWN_CONDITIONS:
        if unet.get(key) is not None:
            yield f"the UNet needs {key}, which family {family} does not give"
    if unet.addition_embed_type not in conditions:
        taken = " or ".join(str(one) for one in conditions)
        yield (
            f"the UNet's addition_embed_type is {unet.addition_embed_type}, "
            f"and family {family} takes {taken}"
        )


def _vae_misfits(parts: UNetComponents, family: str) -> Iterator[str]:
    for key in _UNKNOWN_SCALINGS:
        if parts.vae.config.get(key):
            yield f"the VAE's {key} is set, and family {family} takes scaling_factor alone"


def _controlnet_misfits(parts: UNetComponents, family: str) -> Iterator[str]:
    unet, control = parts.unet.config, parts.controlnet.config
    if control.in_channels != parts.latent_channels:
        yield (
            f"the ControlNet has {control.in_channels} input channels, "
            f"the latents {parts.latent_channels}"
        )
    for key in _SHARED_WITH_CONTROLNET:
        if control.get(key) != unet.get(key):
            yield f"{key} is {control.get(key)} in the ControlNet and {unet.get(key)} in the UNet"
    if control.global_pool_conditions:
        yield f"the ControlNet pools its conditions, which family {family} does not do"
    if control.conditioning_channels != 3:
        yield f"the ControlNet takes {control.conditioning_channels} channels of control map, not 3"
    shrinks = 2 ** (len(control.conditioning_embedding_out_channels) - 1)
    if shrinks != parts.shrinks:
        yield f"the ControlNet shrinks by {shrinks}, the VAE by {parts.shrinks}"
