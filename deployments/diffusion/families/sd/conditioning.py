"""The inputs of the networks: prompts and photos, encoded once and kept for the next images.

The arithmetic and its order are those of diffusers' pipelines for image to image and inpainting, so
a seed gives the same image here. One thread may use an encoder at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from deployments.diffusion.compute.autoencoder import Autoencoder, Encoding
from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.caching import Cache
from deployments.diffusion.families.pictures import picture_tensor
from deployments.diffusion.families.sd.control_maps import of_kept
from deployments.diffusion.families.sd.denoising import Conditioning
from deployments.diffusion.weights.components import UNetComponents
from deployments.jobs import ImageJob, Pixels, PreparedPhoto
from deployments.loras import Lora

_CACHED_PROMPTS = 64
_STOCK_SHRINKS = 8
"""Up to this the stock pipelines' mask is taken, which asks one pixel of each latent. Of a coarser
latent that would keep much of the old background: it is kept where all of its pixels are.
"""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """An encoded text.

    Attributes:
        embedding: [1, tokens, width].
        pooled: [1, width] of the last encoder where its text is pooled.
        cut_after: Number of tokens that are read of a text that has more; None for others.
    """

    embedding: torch.Tensor
    pooled: torch.Tensor
    cut_after: int | None


class PromptEncoder:
    """Encodes the texts of jobs.

    Args:
        components: The loaded modules.
    """

    def __init__(self, components: UNetComponents) -> None:
        self.components = components
        self._texts: Cache[EncodedText] = Cache(_CACHED_PROMPTS)

    def encode(self, job: ImageJob, height: int, width: int) -> Conditioning:
        """Encode prompt and, with guidance, negative prompt.

        Args:
            job: The texts, whether it is guided, and its LoRA.
            height: Of the picture, in pixels.
            width: The same.
        """
        settings = job.settings
        texts = {"prompt": settings.prompt}
        if settings.guidance_scale > 1:
            texts = {"negative_prompt": settings.negative_prompt, **texts}
        lora = self.components.loras.of_texts(settings.lora)
        encoded = {field: self.embed(field, text, lora) for field, text in texts.items()}
        warnings = [
            f"{field} was cut after {one.cut_after} tokens: the model reads no more"
            for field, one in encoded.items()
            if one.cut_after is not None
        ]
        return Conditioning(
            torch.cat([one.embedding for one in encoded.values()]),
            self.added(list(encoded.values()), height, width),
            tuple(warnings),
        )

    def embed(self, field: str, text: str, lora: Lora | None) -> EncodedText:
        """Encode the text of `prompt` or `negative_prompt`, or find it.

        Args:
            field: Its name.
            text: The text.
            lora: The LoRA that changes the encoders; None without.
        """

        def encode() -> EncodedText:
            with self.components.loras.given_to([lora]):
                return self._encode(text)

        return self._texts.get((text, lora), encode)

    def added(
        self, encoded: Sequence[EncodedText], height: int, width: int
    ) -> Mapping[str, torch.Tensor]:
        """Make the further inputs of the UNet, a row for each text; a picture's size is given."""
        return {}

    def read(self, encoder: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401 - transformers builds it
        """Read tokens [1, tokens]: the embedding, and the pooled text or any other tensor."""
        read = encoder(tokens)
        return read[0], read[0]

    def _encode(self, text: str) -> EncodedText:
        parts = self.components
        hidden, kept, cut = [], [], False
        pooled = torch.empty(0)
        for tokenizer, encoder in zip(parts.tokenizers, parts.text_encoders, strict=True):
            room = tokenizer.model_max_length
            tokens = tokenizer(
                text, padding="max_length", max_length=room, truncation=True, return_tensors="pt"
            )
            whole = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
            kept.append(room - tokenizer.num_special_tokens_to_add())
            cut = cut or len(whole) > kept[-1]
            embedding, pooled = self.read(encoder, to_device(tokens.input_ids, parts.device))
            hidden.append(embedding)
        return EncodedText(torch.cat(hidden, dim=-1), pooled, min(kept) if cut else None)


class EncodedPhoto:
    """A photo's encodings, before anything random. Each is made when it is first needed.

    Args:
        components: The loaded modules.
        autoencoder: What runs their autoencoder.
        control_map: uint8 [height, width, 3] to the same: what the ControlNet is shown.
        photo: The picture and its mask.
    """

    def __init__(
        self,
        components: UNetComponents,
        autoencoder: Autoencoder,
        control_map: Callable[[Pixels], Pixels],
        photo: PreparedPhoto,
    ) -> None:
        self._components = components
        self._autoencoder = autoencoder
        self._control_map = control_map
        self._pixels, self._mask = photo.pixels, photo.mask

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """[1, channels, height / f, width / f], where f is what the autoencoder shrinks by."""
        parts, (height, width) = self._components, self._pixels.shape[:2]
        return (1, parts.latent_channels, height // parts.shrinks, width // parts.shrinks)

    @cached_property
    def mask(self) -> torch.Tensor:
        """[1, 1, height / f, width / f]: 1 where the model paints, 0 where the photo is kept."""
        parts, painted = self._components, self._painted()
        if parts.shrinks > _STOCK_SHRINKS:
            height, width = self.latent_shape[2:]
            blocks = painted.reshape(height, parts.shrinks, width, -1)
            painted = np.asarray(blocks.any(axis=(1, 3)))
        else:
            painted = painted[:: parts.shrinks, :: parts.shrinks]
        mask = torch.from_numpy(np.ascontiguousarray(painted, dtype=np.float32))
        return to_device(mask[None, None].to(parts.dtype), parts.device)

    @cached_property
    def control(self) -> torch.Tensor:
        """The control map as the ControlNet embeds it, [1, channels, height / f, width / f]."""
        parts = self._components
        shown = self._control_map(self._pixels)
        if self._mask is not None:
            shown = of_kept(shown, self._mask)
        shown_tensor = to_device(picture_tensor(shown).contiguous().to(parts.dtype), parts.device)
        embedded: torch.Tensor = parts.controlnet.controlnet_cond_embedding(shown_tensor)
        return embedded

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Draw latents of the photo from the autoencoder's distribution, scaled for the UNet."""
        return self._draw(self._picture, generator)

    def draw_masked(self, generator: torch.Generator) -> torch.Tensor:
        """Draw latents in the same way of the photo with grey where the model paints."""
        return self._draw(self._masked_picture, generator)

    def skip_draw(self, generator: torch.Generator) -> None:
        """Advance the generator as a draw does, where the latents are not used."""
        if not isinstance(self._picture, torch.Tensor):
            torch.randn(self.latent_shape, generator=generator, dtype=self._components.vae.dtype)

    @cached_property
    def _picture(self) -> Encoding:
        return self._encode(2.0 * picture_tensor(self._pixels) - 1.0)

    @cached_property
    def _masked_picture(self) -> Encoding:
        kept = torch.from_numpy(~self._painted())
        return self._encode((2.0 * picture_tensor(self._pixels) - 1.0) * kept)

    def _painted(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        if self._mask is None:
            return np.ones(self._pixels.shape[:2], dtype=np.bool_)
        return np.asarray(self._mask >= 128)

    def _encode(self, picture: torch.Tensor) -> Encoding:
        dtype = self._components.vae.dtype
        return self._autoencoder.encode(to_device(picture.to(dtype), self._components.device))

    def _draw(self, encoding: Encoding, generator: torch.Generator) -> torch.Tensor:
        latents = encoding if isinstance(encoding, torch.Tensor) else encoding.sample(generator)
        factor: float = self._components.vae.config.scaling_factor
        return factor * latents.to(self._components.dtype)
