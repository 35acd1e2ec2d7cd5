"""The family `sdxl`: how it differs from `sd`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.families.sd.family import (
    CONTROLNETS,
    PARTS,
    TOKENIZERS,
    UNetFamily,
    text_encoders,
    vae_dtype,
)
from deployments.diffusion.families.sdxl.texts import PooledPromptEncoder
from deployments.diffusion.weights.blueprint import Blueprint, LoadedParts
from deployments.diffusion.weights.components import UNetComponents
from deployments.diffusion.weights.sources import Source, WeightsError

_PARTS = {
    **PARTS,
    "tokenizer_2": TOKENIZERS,
    "text_encoder_2": {"CLIPTextModelWithProjection": transformers.CLIPTextModelWithProjection},
}


def _check_index(source: Source, index: Mapping[str, Any]) -> None:
    first, second = text_encoders(source, index)
    if first and not second:
        raise WeightsError(
            f"family: {source.name} has no text_encoder_2, which SDXL has; set family: sd"
        )


def _vae_dtype(kind: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    # Its own autoencoder overflows in float16; its class says so unless its configuration does.
    overflows = config.get("force_upcast", kind == "AutoencoderKL")
    if dtype == torch.float16 and overflows:
        return torch.float32
    return vae_dtype(kind, config, dtype)


class _StableDiffusionXL(UNetFamily):
    def assemble(self, loaded: LoadedParts) -> UNetComponents:
        """See `Family`; what the index does not say is the default of this family's pipelines."""
        return replace(
            super().assemble(loaded),
            zeros_for_empty_prompt=bool(loaded.index.get("force_zeros_for_empty_prompt", True)),
            aesthetics=bool(loaded.index.get("requires_aesthetics_score", False)),
        )

    def misfits(self, parts: UNetComponents) -> Iterator[str]:
        """See `Family`."""
        yield from super().misfits(parts)
        unet = parts.unet.config
        numbers = 5 if parts.aesthetics else 6
        pooled = parts.text_encoders[1].config.projection_dim
        given = numbers * unet.addition_time_embed_dim + pooled
        if unet.projection_class_embeddings_input_dim != given:
            yield (
                f"the UNet's added conditions are {unet.projection_class_embeddings_input_dim} "
                f"wide; {numbers} numbers and the pooled text make {given}"
            )

    def adaptable(self, parts: UNetComponents) -> tuple[Any, Sequence[torch.nn.Module]]:
        """See `Family`."""
        first, second = parts.text_encoders
        stock: Any = diffusers
        pipeline = stock.StableDiffusionXLPipeline(
            text_encoder=first,
            text_encoder_2=second,
            unet=parts.unet,
            add_watermarker=False,
            **dict.fromkeys(("vae", "tokenizer", "tokenizer_2", "scheduler")),
        )
        return pipeline, [parts.unet, first, second]


FAMILY = _StableDiffusionXL(
    "sdxl",
    Blueprint(_PARTS, CONTROLNETS, _vae_dtype, _check_index),
    ("text_time",),
    PooledPromptEncoder,
)
