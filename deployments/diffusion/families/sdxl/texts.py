"""Texts of Stable Diffusion XL: two encoders, a pooled text, and the numbers that the UNet is told.

The arithmetic is that of diffusers' pipelines for StableDiffusionXL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.sd.conditioning import EncodedText, PromptEncoder
from deployments.loras import Lora

_AESTHETIC_SCORES = (2.5, 6.0)
"""Scores that the pipelines give a UNet that asks: of the negative prompt, of the prompt."""


class PooledPromptEncoder(PromptEncoder):
    """Encodes texts by two encoders."""

    def embed(self, field: str, text: str, lora: Lora | None) -> EncodedText:
        """Encode a text, or find it; an empty negative prompt may stand for zeros."""
        encoded = super().embed(field, text, lora)
        zeros = self.components.zeros_for_empty_prompt
        if not zeros or field != "negative_prompt" or text:
            return encoded
        return replace(
            encoded,
            embedding=torch.zeros_like(encoded.embedding),
            pooled=torch.zeros_like(encoded.pooled),
        )

    def added(
        self, encoded: Sequence[EncodedText], height: int, width: int
    ) -> Mapping[str, torch.Tensor]:
        """Make `text_embeds` and `time_ids`.

        The numbers are the size, the corner of the crop (there is none), and again the size, or the
        aesthetic score.
        """
        parts, size = self.components, (height, width)
        ends = [(score,) for score in _AESTHETIC_SCORES] if parts.aesthetics else [size, size]
        ids = [(*size, 0, 0, *end) for end in ends[-len(encoded) :]]
        numbers = torch.tensor(ids, dtype=encoded[0].embedding.dtype)
        return {
            "text_embeds": torch.cat([one.pooled for one in encoded]),
            "time_ids": to_device(numbers, parts.device),
        }

    def read(self, encoder: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401 - transformers builds it
        """Read tokens [1, tokens]: the layer before the last, and the encoder's pooled text."""
        read = encoder(tokens, output_hidden_states=True)
        return read.hidden_states[-2], read[0]
