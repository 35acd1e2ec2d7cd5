"""Samplers by the names of the catalog, built from the scheduler configuration of the weights.

Knows no jobs: it builds the pattern of which the model gives every job a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffusers
from diffusers.configuration_utils import ConfigMixin

from deployments.settings import SchedulerName

_RECIPES: Mapping[SchedulerName, tuple[str, Mapping[str, Any]]] = {
    # Clipping to -1..1 is for pixels, and the default where a configuration does not say.
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": False},
    ),
    "dpmpp_2m_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    "lcm": ("LCMScheduler", {"clip_sample": False}),
    "unipc": ("UniPCMultistepScheduler", {}),
    # The Runge-Kutta start of PNDM cannot be entered midway, which is where image to image begins.
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
}


def create_scheduler(name: SchedulerName, config: Mapping[str, Any]) -> ConfigMixin:
    """Build a sampler that fits the weights.

    Args:
        name: The sampler.
        config: The weights' scheduler configuration. What describes the training survives: the
            noise schedule, the prediction type, the number of training steps.

    Returns:
        A diffusers scheduler on which `set_timesteps` was not yet called.
    """
    class_name, options = _RECIPES[name]
    scheduler: ConfigMixin = getattr(diffusers, class_name).from_config(dict(config), **options)
    return scheduler


def most_steps(scheduler: ConfigMixin) -> int:
    """The largest number of steps a sampler can be set to."""
    # LCM picks its steps out of those it was distilled from; others out of the training's.
    lcm = isinstance(scheduler, diffusers.LCMScheduler)
    return int(scheduler.config["original_inference_steps" if lcm else "num_train_timesteps"])
