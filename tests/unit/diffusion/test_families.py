"""Families of models: what their folders say before and after their code is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployments.diffusion.families.registry import family_of
from deployments.diffusion.families.sd.schedulers import RECIPES
from deployments.family_traits import FAMILIES
from deployments.settings import ModelSettings


@pytest.mark.parametrize("name", FAMILIES)
def test_every_folder_has_a_family_that_takes_what_the_family_says(name: str) -> None:
    family = family_of(ModelSettings(id="a", name="A", family=name))
    assert {"vae"} <= family.blueprint.parts.keys()
    assert bool(family.blueprint.controlnets) == FAMILIES[name].controlnet


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_the_samplers_in_the_file_are_those_of_the_code(name: str) -> None:
    assert FAMILIES[name].schedulers == tuple(RECIPES)


def test_flux2_has_one_sampler_and_its_own_defaults() -> None:
    assert FAMILIES["flux2"].schedulers == ("flow_euler",)
    klein = ModelSettings(id="a", name="A", family="flux2")
    assert (klein.scheduler, klein.steps, klein.size) == ("flow_euler", 4, 1024)
    assert (klein.guidance_scale, klein.strength, klein.distilled) == (1.0, 1.0, True)
    base = ModelSettings(id="a", name="A", family="flux2", distilled=False, guidance_scale=4.0)
    assert not base.distilled


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scheduler": "dpm"}, "scheduler 'dpm' of model 'a' is none of family sd, which has ddim"),
        ({"distilled": True}, "distilled of model 'a': family sd does not take it"),
        ({"text_encoder": "cpu"}, "text_encoder of model 'a': family sd does not take it"),
        (
            {"family": "flux2", "controlnet": "owner/name"},
            "controlnet of model 'a': family flux2 does not take it",
        ),
        (
            {"family": "flux2", "control_scale": 0.5},
            "control_scale of model 'a': family flux2 does not take it",
        ),
        ({"family": "flux2", "vae": "demo"}, "vae of model 'a': family flux2 does not take it"),
        (
            {"family": "flux2", "backend": "openvino"},
            "backend openvino of model 'a': family flux2 does not take it",
        ),
        (
            {"family": "flux2", "compile": True},
            "compile of model 'a': family flux2 does not take it",
        ),
        (
            {"family": "flux2", "guidance_scale": 4.0},
            "guidance_scale 4 of model 'a' is over 1, and distilled weights take no guidance",
        ),
        ({"family": "zimage"}, "family 'zimage' is not known; known families: "),
    ],
)
def test_what_a_family_does_not_take_is_refused_by_name(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match="Value error") as caught:
        ModelSettings.model_validate({"id": "a", "name": "A", **changes})
    assert told in str(caught.value)


def test_settings_of_every_family_are_read_without_torch() -> None:
    code = (
        "import sys\n"
        "from deployments.settings import ModelSettings\n"
        "from deployments.family_traits import FAMILIES\n"
        "for name in FAMILIES: ModelSettings(id='a', name='A', family=name)\n"
        "assert FAMILIES and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
