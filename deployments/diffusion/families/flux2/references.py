"""What the transformer is shown beside the picture that it paints.

Weights of klein's KV kind read their references alone: what they make of them depends on neither
time nor text. So it is computed once for a photo, and remembered by all jobs that are shown it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch

from deployments.diffusion.compute.networks import within_memory
from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.caching import Cache, digest
from deployments.diffusion.families.flux2.components import Flux2Components
from deployments.diffusion.families.flux2.tokens import PictureEncoder, positions
from deployments.jobs import PreparedPhoto
from deployments.loras import Lora

_CACHED = 64


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The references of a job.

    Attributes:
        photo: The photo's tokens, [1, tokens, channels].
        tokens: Those that every step is given; none where they are remembered.
        positions: int64 [tokens, 4] of the picture's tokens and of these.
        memory: What is remembered, a Flux2KVCache; None with weights of another kind.
    """

    photo: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    memory: Any


class References:
    """Encodes references, and remembers those of the jobs that there are."""

    def __init__(self, parts: Flux2Components, pictures: PictureEncoder) -> None:
        self._parts, self._pictures = parts, pictures
        self._positions: Cache[torch.Tensor] = Cache(_CACHED)
        self._memories: WeakValueDictionary[Any, Any] = WeakValueDictionary()
        self._last: Any = None  # for the next turn of a conversation

    def show(self, photo: PreparedPhoto, lora: Lora | None) -> Shown:
        """Encode the photo and what is beside it, as a job with this LoRA sees them."""
        pictures, side = (photo.pixels, *photo.references), self._parts.token_side
        each = [self._pictures.encode(one) for one in pictures]
        layout, tokens = layout_of(photo), torch.cat(each, dim=1)
        places = self._positions.get(
            layout, lambda: to_device(positions(layout, side), self._parts.device)
        )
        if not self._parts.remembers:
            return Shown(each[0], tokens, places, None)
        own = each[0].shape[1]
        key = (*map(digest, pictures), lora)
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = self._read(tokens, places[own:], lora)
        self._last = memory
        return Shown(each[0], tokens[:, :0], places[:own], memory)

    def _read(self, tokens: torch.Tensor, places: torch.Tensor, lora: Lora | None) -> Any:  # noqa: ANN401 - diffusers is untyped
        """A Flux2KVCache of references; beside them stands one token of no text, and no picture."""
        parts = self._parts
        width = parts.transformer.config.joint_attention_dim
        text = torch.zeros(1, 1, width, dtype=tokens.dtype, device=tokens.device)

        def run() -> Any:  # noqa: ANN401 - diffusers is untyped
            return parts.transformer(
                hidden_states=tokens,
                timestep=torch.zeros(1, dtype=tokens.dtype, device=tokens.device),
                encoder_hidden_states=text,
                img_ids=places,
                txt_ids=torch.zeros(1, 4, dtype=places.dtype, device=places.device),
                kv_cache_mode="extract",
                num_ref_tokens=tokens.shape[1],
                return_dict=False,
            )[1]

        with parts.loras.given_to([lora]):
            return within_memory(run)


def layout_of(photo: PreparedPhoto) -> tuple[int, ...]:
    """Height and width of the picture, of itself as a reference, and of the further ones."""
    pictures = (photo.pixels, photo.pixels, *photo.references)
    return tuple(side for picture in pictures for side in picture.shape[:2])
