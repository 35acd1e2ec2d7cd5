from __future__ import annotations

from typing import Any

import diffusers
import pytest

from deployments.diffusion.families.sd.schedulers import RECIPES, create_scheduler, most_steps

CONFIG = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 500,
    "prediction_type": "v_prediction",
    "steps_offset": 1,
}


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_weights_were_trained_with_survives(name: Any) -> None:
    config = create_scheduler(name, CONFIG).config
    trained = set(CONFIG) - {"_class_name", "steps_offset"}
    assert {key: config[key] for key in trained} == {key: CONFIG[key] for key in trained}


@pytest.mark.parametrize("name", ["ddim", "lcm"])
def test_latents_are_not_clipped(name: Any) -> None:
    assert create_scheduler(name, CONFIG).config["clip_sample"] is False


def test_pndm_can_start_midway() -> None:
    assert create_scheduler("pndm", CONFIG).config["skip_prk_steps"] is True


@pytest.mark.parametrize(("name", "karras"), [("dpmpp_2m", False), ("dpmpp_2m_karras", True)])
def test_dpmpp_2m_has_two_noise_schedules(name: Any, karras: bool) -> None:
    scheduler = create_scheduler(name, {**CONFIG, "use_karras_sigmas": not karras})
    assert isinstance(scheduler, diffusers.DPMSolverMultistepScheduler)
    assert scheduler.config["use_karras_sigmas"] is karras
    assert scheduler.config["algorithm_type"] == "dpmsolver++"
    assert scheduler.config["solver_order"] == 2


def test_the_most_steps_are_those_of_the_training() -> None:
    assert most_steps(create_scheduler("euler", CONFIG)) == 500
    assert most_steps(create_scheduler("lcm", CONFIG)) == 50
