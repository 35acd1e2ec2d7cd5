"""The modules of one FLUX.2 klein model, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from deployments.diffusion.weights.components import Components
from deployments.jobs import SIDE_STEP

PATCH = 2
"""Latents of a side in one token of the transformer."""

TEXT_LAYERS = (9, 18, 27)
"""The text encoder's hidden states that the transformer reads; 0 would be the embedding."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flux2Components(Components):
    """The modules of a model of this family.

    Attributes:
        transformer: Flux2Transformer2DModel.
        distilled: The weights were distilled to few steps and take no guidance.
        remembers: They read references alone and once, as klein KV does; see `references`.
        text_tokens: Those of every text: a shorter one is filled up, a longer one is cut.
    """

    transformer: Any
    distilled: bool
    remembers: bool = False
    text_tokens: int = 512

    @property
    def token_side(self) -> int:
        """Pixels of a side for each token of the transformer."""
        return PATCH * self.shrinks

    @property
    def token_channels(self) -> int:
        """Channels of a token."""
        return PATCH**2 * self.latent_channels

    @property
    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of patched latents in the training, [1, channels, 1, 1] each."""
        bn, eps = self.vae.bn, self.vae.config.batch_norm_eps
        deviation = torch.sqrt(bn.running_var.view(1, -1, 1, 1) + eps)
        return bn.running_mean.view(1, -1, 1, 1).to(self.dtype), deviation.to(self.dtype)


def misfits(parts: Flux2Components) -> Iterator[str]:
    """Say what the family cannot run, and which two modules do not fit each other.

    Yields:
        Clauses without a full stop; none when everything fits.
    """
    yield from _text_misfits(parts)
    network, patch = parts.transformer.config, tuple(parts.vae.config.patch_size)
    if patch != (PATCH, PATCH) or network.patch_size != 1:
        yield (
            f"the VAE's patch_size is {patch} and the transformer's {network.patch_size}, "
            f"and family flux2 takes {(PATCH, PATCH)} and 1"
        )
    channels = {network.in_channels, network.out_channels or network.in_channels}
    if channels != {parts.token_channels}:
        yield (
            f"the transformer has {' and '.join(map(str, sorted(channels)))} channels, "
            f"the VAE's patched latents {parts.token_channels}"
        )
    if network.guidance_embeds:
        yield (
            "the transformer is told the guidance (guidance_embeds), as that of FLUX.2 dev is, "
            "which family flux2 does not do"
        )
    if SIDE_STEP % parts.token_side:
        yield f"a token is {parts.token_side} pixels wide, and sides are multiples of {SIDE_STEP}"
    if parts.scheduler_config.get("stochastic_sampling"):
        yield "the scheduler's stochastic_sampling is set, which family flux2 does not do"


def _text_misfits(parts: Flux2Components) -> Iterator[str]:
    tokenizer, text = parts.tokenizers[0], parts.text_encoders[0].config
    if not tokenizer.chat_template:
        yield "the tokenizer has no chat template"
    if len(tokenizer) > text.vocab_size:
        yield f"the tokenizer has {len(tokenizer)} tokens, the text encoder {text.vocab_size}"
    if text.num_hidden_layers < TEXT_LAYERS[-1]:
        yield (
            f"the text encoder has {text.num_hidden_layers} layers, "
            f"and the transformer reads number {TEXT_LAYERS[-1]}"
        )
    width, reads = len(TEXT_LAYERS) * text.hidden_size, parts.transformer.config.joint_attention_dim
    if reads != width:
        yield f"the transformer reads text {reads} wide, its encoder writes {width}"
