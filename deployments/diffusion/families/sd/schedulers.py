"""Schedulers by the names of the catalog, built from the scheduler configuration of the weights.

What is built here is a pattern: the model gives every job a copy of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffusers
from diffusers.configuration_utils import ConfigMixin

RECIPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # Clipping to -1..1 is meant for pixels. It is the default without a setting.
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
    # PNDM begins with Runge-Kutta steps, and image to image begins in the middle of a run.
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
}
"""Class and settings by the name in the catalog; `family.toml` lists the names."""


def create_scheduler(name: str, config: Mapping[str, Any]) -> ConfigMixin:
    """Build a sampler that fits the weights.

    Args:
        name: The sampler.
        config: The weights' scheduler configuration. The settings of the training stay: the noise
            schedule, the prediction type, the number of training steps.

    Returns:
        A diffusers scheduler on which `set_timesteps` was not called yet.
    """
    class_name, options = RECIPES[name]
    scheduler: ConfigMixin = getattr(diffusers, class_name).from_config(dict(config), **options)
    return scheduler


def most_steps(scheduler: ConfigMixin) -> int:
    """The largest number of steps a sampler can be set to."""
    # LCM takes its steps from those that it was distilled from, the others from the training's.
    lcm = isinstance(scheduler, diffusers.LCMScheduler)
    return int(scheduler.config["original_inference_steps" if lcm else "num_train_timesteps"])
