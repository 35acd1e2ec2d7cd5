"""The times of a job: those of flow matching, shifted by the picture's size."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.families.flow_matching import Schedule
from deployments.diffusion.families.flux2.components import Flux2Components


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
