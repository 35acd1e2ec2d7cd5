"""The composition root: which deployments there are, and what they start without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.serve import Application, Deployment

from deployments.app import build
from deployments.settings import AppArgs

CHECKOUT = Path(__file__).parents[2]


def deployments(node: object) -> Iterator[Deployment]:
    """Every deployment of an application, as Serve finds them: in the arguments of the others."""
    match node:
        case Application():
            # Serve has no public way to look into an application that is not running.
            bound = node._bound_deployment
            yield bound
            yield from deployments([*bound.init_args, *bound.init_kwargs.values()])
        case list() | tuple():
            for item in node:
                yield from deployments(item)
        case dict():
            yield from deployments(list(node.values()))


def composed(**args: object) -> dict[str, Deployment]:
    found = list(deployments(build(AppArgs.model_validate(args))))
    by_name = {deployment.name: deployment for deployment in found}
    assert len(by_name) == len(found)
    return by_name


def test_the_default_application():
    by_name = composed()
    assert list(by_name) == [
        "ingress", "studio", "storage", "admission", "stable-diffusion", "controlnet",
    ]  # fmt: skip
    classes = {name: by_name[name].func_or_class.__name__ for name in by_name}
    assert classes == {
        "ingress": "Ingress",
        "studio": "Studio",
        "storage": "Storage",
        "admission": "OnlyAdmission",
        "stable-diffusion": "ModelReplica",
        "controlnet": "ModelReplica",
    }


def test_each_model_gets_its_own_deployment_and_settings():
    models = [{"id": f"m{n}", "name": "M", "max_rows": 8, "max_waiting": n} for n in (1, 2, 3)]
    by_name = composed(models=models)
    assert set(by_name) == {"ingress", "admission", "studio", "storage", "m1", "m2", "m3"}
    for n in (1, 2, 3):
        (settings,) = by_name[f"m{n}"].init_args
        assert settings.id == f"m{n}"
        # All that its engine holds may be there at once; more is Serve's to refuse.
        assert by_name[f"m{n}"].max_ongoing_requests == n + 2 * 4 * 8 + 16


@pytest.mark.parametrize(
    ("finder", "resources"),
    [
        ({"separate": True}, {"CPU": 1}),
        ({"device": "cuda"}, {"CPU": 1, "GPU": 0.25}),
        ({"device": "cuda", "separate": False}, None),
        ({}, None),
    ],
)
def test_the_finder_has_a_deployment_of_its_own_where_it_is_asked_for(finder, resources):
    by_name = composed(studio={"finder": finder})
    assert ("finder" in by_name) == (resources is not None)
    studio = by_name["studio"]
    assert (studio.init_kwargs["remote_finder"] is not None) == (resources is not None)
    if resources is not None:
        told = by_name["finder"]._replica_config.resource_dict
        assert {name: told[name] for name in resources} == resources
        (settings,) = by_name["finder"].init_args
        assert settings.model_dump(exclude_unset=True) == finder


def test_the_arguments_reach_their_deployments():
    store = {"kind": "filesystem", "path": "elsewhere"}
    by_name = composed(
        storage={"store": store, "retention_s": 60, "sweep_interval_s": 5},
        ingress={"deadline_s": 7},
    )
    settings, retention_s, interval_s = by_name["storage"].init_args
    assert (settings.path, retention_s, interval_s) == ("elsewhere", 60, 5)
    assert by_name["ingress"].init_args[0].ingress.deadline_s == 7
    # A replica that is asked to stop may finish what it holds.
    for name in ("ingress", "studio", "storage", "stable-diffusion", "controlnet"):
        assert by_name[name]._deployment_config.graceful_shutdown_timeout_s == 7
        # And another is there before.
        assert by_name[name]._deployment_config.max_surge_percent == 100


def test_one_replica_counts_for_all():
    by_name = composed(ingress={"max_waiting_images": 9})
    admission = by_name["admission"]
    (limits,) = admission.init_args
    assert limits == {"stable-diffusion": 9, "controlnet": 9}
    config = admission._deployment_config
    assert (config.num_replicas, config.autoscaling_config) == (1, None)
    # Two at a time, in an update, would count apart.
    assert not config.max_surge_percent


@pytest.mark.parametrize(
    "module",
    ["deployments.app", "deployments.ingress.deployment", "deployments.studio.deployment",
     "storage.deployment", "deployments.admission.deployment", "deployments.config",
     "deployments.launch"],
)  # fmt: skip
def test_only_models_load_torch(module):
    heavy = ("torch", "diffusers", "transformers", "accelerate")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", done.stdout


@pytest.mark.parametrize("module", [
    "storage.deployment", "deployments.admission.deployment", "deployments.ingress.http.api",
])  # fmt: skip
def test_only_the_deployment_files_load_ray(module):
    code = f"import sys, {module}; print('ray' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_model_with_a_wrong_name_of_weights_says_so_before_torch_is_loaded():
    code = (
        "import sys\n"
        "from deployments.diffusion.deployment import ModelReplica\n"
        "from deployments.settings import ModelSettings\n"
        "try:\n"
        "    ModelReplica(ModelSettings(id='m', name='M', weights='./nowhere'))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "WeightsMissing weights: the folder ./nowhere does not exist False\n"
