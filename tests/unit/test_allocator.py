"""The allocator's settings reach every model replica, wherever its options come from."""

from __future__ import annotations

from pathlib import Path

import yaml

from deployments.app import ALLOCATOR, build
from deployments.settings import AppArgs

SHIPPED = Path(__file__).parents[2] / "serve_config.yaml"


def models(application: object) -> dict[str, object]:
    """The bound deployments of the models; Serve has no public way to look at them."""
    *_, found = application._bound_deployment.init_args
    return found


def test_a_model_without_options_of_its_own_has_them() -> None:
    for model in models(build(AppArgs())).values():
        options = model._bound_deployment.ray_actor_options
        assert options["runtime_env"]["env_vars"] == dict(ALLOCATOR)


def test_the_shipped_file_names_them_where_it_replaces_a_model_s_options() -> None:
    application = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["applications"][0]
    ids = {model["id"] for model in application["args"]["models"]}
    overridden = [one for one in application["deployments"] if one["name"] in ids]
    assert len(overridden) == 2
    for one in overridden:
        assert one["ray_actor_options"]["runtime_env"]["env_vars"] == dict(ALLOCATOR)
