"""The times of a job: flow matching by Euler's method, shifted by the picture's size.

At time t a picture is t parts of noise and 1 - t of what is painted (Y. Lipman et al., "Flow
Matching for Generative Modeling", 2022).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.flux2.components import Flux2Components


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The steps of jobs with equal steps, strength and size, which share it.

    Attributes:
        times: Before each step and after the last, float32 [steps + 1], on the model's device.
        told: What the transformer is told at each step, [steps], in its type, on its device.
        steps: Number of steps.
    """

    times: torch.Tensor
    told: torch.Tensor
    steps: int

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, step: int) -> torch.Tensor:
        """Make clean tokens as noisy as they are before a step."""
        time = self.times.to(clean.dtype)[step]
        return time * noise + (1.0 - time) * clean

    def take(self, tokens: torch.Tensor, prediction: torch.Tensor, step: int) -> torch.Tensor:
        """Take a step, from single precision as the stock scheduler does."""
        length = self.times[step + 1] - self.times[step]
        return (tokens.to(torch.float32) + length * prediction).to(prediction.dtype)


def make_schedule(
    scheduler: Any,  # noqa: ANN401 - diffusers is untyped
    tokens: int,
    steps: int,
    taken: int,
    parts: Flux2Components,
) -> Schedule:
    """The last `taken` of the steps of a full run, for a picture of so many tokens.

    The scheduler, a FlowMatchEulerDiscreteScheduler, is not changed.
    """
    one = copy.deepcopy(scheduler)
    shift = compute_empirical_mu(image_seq_len=tokens, num_steps=steps)
    one.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=shift)
    times, told = (part[steps - taken :] for part in (one.sigmas, one.timesteps))
    told = told.to(parts.dtype) / 1000
    return Schedule(to_device(times, parts.device), to_device(told, parts.device), taken)
