"""A job of Stable Diffusion between two of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from deployments.diffusion.compute.sampling import Sampler
from deployments.diffusion.families.pictures import Frame
from deployments.loras import Lora


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """A job's texts, encoded.

    Attributes:
        embeddings: [rows, tokens, width]: the prompt's, after the negative prompt's if guided.
        added: Further inputs of the UNet, by name, [rows, ...]; often none.
        warnings: Sentences about texts that were cut.
    """

    embeddings: torch.Tensor
    added: Mapping[str, torch.Tensor]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of the photo when the UNet has no input for a mask.

    Attributes:
        mask: [1, 1, height / f, width / f], 1 where the model paints.
        clean: The photo's latents, [1, channels, height / f, width / f].
        noise: The job's first noise, like `clean`.
    """

    mask: torch.Tensor
    clean: torch.Tensor
    noise: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """What a ControlNet adds to a job.

    Attributes:
        embedded: The control map, embedded: [1, channels, height / f, width / f].
        scale: How strongly it counts.
        steps: For each step whether it counts at all.
    """

    embedded: torch.Tensor
    scale: float
    steps: tuple[bool, ...]


@dataclass(slots=True, eq=False)
class PhotoDenoising:
    """One job between two of its steps.

    Latents are [1, channels, height / f, width / f], where f is what the autoencoder shrinks by.

    Attributes:
        frame: Where the picture lies in what is painted.
        sampler: The job's own; it remembers earlier steps.
        timesteps: What the networks are told at each step, float32 [steps], on their device.
        latents: The picture so far.
        conditioning: The encoded texts.
        guidance_scale: Weight of the prompt against the negative prompt.
        inpainting: [1, 1 + channels, height / f, width / f]: the mask and the masked photo's
            latents, for a UNet that takes them; else None.
        kept: What is put back after each step; None without a mask, or where the UNet takes it.
        control: What a ControlNet adds; None where it adds nothing.
        lora: Of its rows; None without.
        step: Number of steps done.
    """

    frame: Frame
    sampler: Sampler
    timesteps: torch.Tensor
    latents: torch.Tensor
    conditioning: Conditioning
    guidance_scale: float
    inpainting: torch.Tensor | None
    kept: Kept | None
    control: Control | None
    lora: Lora | None = None
    step: int = 0

    @property
    def rows(self) -> int:
        """Rows of a forward pass that this job takes."""
        return self.conditioning.embeddings.shape[0]

    @property
    def steps(self) -> int:
        """Number of steps this job takes in all."""
        return len(self.timesteps)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what the model could not honour."""
        return self.conditioning.warnings
