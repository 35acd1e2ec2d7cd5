"""Texts for a transformer: hidden layers of a language model that reads them as a chat.

The arithmetic is that of diffusers' pipelines for FLUX.2 klein. One thread may use an encoder at a
time.
"""

from __future__ import annotations

import torch

from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.caching import Cache
from deployments.diffusion.weights.components import Components
from deployments.jobs import GenerationSettings

_CACHED_TEXTS = 16
"""One takes 8 MB with the published weights."""


class ChatTextEncoder:
    """Encodes the texts of jobs, and keeps the last ones.

    Args:
        parts: With the language model and its tokenizer, which has a chat template.
        layers: The hidden states that are read, beside each other; 0 would be the embedding.
        most: Tokens of every text: a shorter one is filled up, a longer one is cut.
    """

    def __init__(self, parts: Components, layers: tuple[int, ...], most: int) -> None:
        self._parts, self._layers, self._most = parts, layers, most
        self._texts: Cache[tuple[torch.Tensor, bool]] = Cache(_CACHED_TEXTS)

    def encode(self, settings: GenerationSettings) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Encode prompt and, with guidance, negative prompt.

        Returns:
            [rows, text tokens, width]: the prompt's, after the negative prompt's if guided; and
            sentences about texts that were cut.
        """
        texts = {"prompt": settings.prompt}
        if settings.guidance_scale > 1:
            texts = {"negative_prompt": settings.negative_prompt, **texts}
        read, warnings = [], []
        for field, text in texts.items():
            embedding, cut = self._texts.get(text, lambda text=text: self._encode(text))  # type: ignore[misc]
            read.append(embedding)
            if cut:
                read_of_it = f"the model reads {self._most} tokens"
                warnings.append(f"{field} was cut: {read_of_it}, with those around it")
        return torch.cat(read), tuple(warnings)

    def _encode(self, text: str) -> tuple[torch.Tensor, bool]:
        """[1, text tokens, width], and whether the text has more tokens."""
        parts = self._parts
        tokenizer, encoder = parts.tokenizers[0], parts.text_encoders[0]
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        options = {"padding": "max_length", "max_length": self._most, "return_tensors": "pt"}
        tokens = tokenizer(chat, truncation=True, **options)
        # The model without its head: nothing is to be written.
        read = encoder.model(
            input_ids=to_device(tokens.input_ids, encoder.device),
            attention_mask=to_device(tokens.attention_mask, encoder.device),
            output_hidden_states=True,
            use_cache=False,
        )
        embedding = torch.cat([read.hidden_states[layer] for layer in self._layers], dim=-1)
        whole = tokenizer(chat, verbose=False).input_ids
        return embedding.to(parts.device, parts.dtype), len(whole) > self._most
