"""The sizing of k8s/README.md is what its script computes, of networks that are the real ones."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from deployments.config import read_config
from deployments.settings import AppArgs
from tests.k8s.manifests import K8S


@pytest.fixture(scope="module")
def sizing() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(K8S)
        return importlib.import_module("sizing")


@pytest.fixture(scope="module")
def costs(sizing: ModuleType) -> list:
    return sizing.costs()


@pytest.fixture(scope="module")
def editing(sizing: ModuleType) -> list:
    return sizing.costs(sizing.EDITING_CONFIG)


def test_the_editing_configuration_is_read_strictly(sizing: ModuleType) -> None:
    (application,) = read_config(sizing.EDITING_CONFIG)["applications"]
    (model,) = AppArgs.model_validate(application["args"]).models
    (deployed,) = application["deployments"]
    assert model.family == "flux2"
    assert len(model.revision or "") == 40, "a commit, not a branch"
    assert deployed["name"] == model.id
    assert deployed["ray_actor_options"]["num_gpus"] == 1


def test_an_editing_model_has_the_weights_that_were_published(editing: list) -> None:
    (klein,) = editing
    # Bytes of its three files in bfloat16, less their tables of contents.
    assert klein.parameters * 2 == pytest.approx(15_964e6, rel=1e-3)


def test_a_text_encoder_elsewhere_spares_gpu_memory(sizing: ModuleType, editing: list) -> None:
    (klein,) = editing
    spared = {
        place: sizing._spared(klein.model.model_copy(update={"text_encoder": place})) * 2 / 1e9
        for place in ("device", "int8", "cpu")
    }
    assert spared["device"] == 0
    assert 3.5 < spared["int8"] < 4.0
    assert 8.0 < spared["cpu"] < 8.2


def test_an_edit_is_one_row_and_a_guided_one_two(sizing: ModuleType, editing: list) -> None:
    (klein,) = editing
    base = klein.model.model_copy(update={"distilled": False})
    doubled = sizing._edit_operations(base) / klein.operations
    assert 1.9 < doubled < 2.0  # the autoencoder runs once


def test_the_gpu_configuration_is_read_strictly() -> None:
    (application,) = read_config(K8S / "overlays/gpu/serve_config.yaml")["applications"]
    models = application["args"]["models"]
    assert [model["id"] for model in models] == [
        "stable-diffusion",
        "controlnet",
        "stable-diffusion-small",
    ]
    for model in models:
        for key in ("revision", "vae_revision", "controlnet_revision"):
            assert len(model.get(key, "0" * 40)) == 40, "a commit, not a branch"
    deployed = {each["name"]: each for each in application["deployments"]}
    assert {"ingress", "studio", "storage", *(model["id"] for model in models)} <= set(deployed)
    gpus = [deployed[model["id"]]["ray_actor_options"]["num_gpus"] for model in models]
    # One GPU holds them all, and one more replica while it takes another's place.
    assert sum(gpus) + max(gpus) <= 1


@pytest.mark.parametrize(
    ("index", "parameters"),
    [
        # UNet + autoencoder + text encoders, as published; of an inpainting UNet the first
        # convolution reads five channels more.
        (0, 2_567_463_684 + 5 * 320 * 9 + 83_653_863 + 123_060_480 + 694_659_840),
        (2, 859_520_964 + 5 * 320 * 9 + 83_653_863 + 123_060_480),
    ],
)
def test_parameters_are_those_that_were_published(costs: list, index: int, parameters: int) -> None:
    assert costs[index].parameters == parameters


def test_a_controlnet_costs_more_than_none(costs: list) -> None:
    plain, controlled, small = costs
    assert 1.2e9 < controlled.parameters - plain.parameters < 1.3e9
    assert 1.2 < controlled.operations / plain.operations < 1.6
    assert small.operations < plain.operations / 5


def test_needs_grow_with_the_load(sizing: ModuleType, costs: list) -> None:
    one, many = sizing.need(1, costs[0]), sizing.need(100, costs[0])
    assert min(one.gpus.values()) >= 1
    for gpu in one.gpus:
        assert many.gpus[gpu] >= 90 * one.gpus[gpu] - 90
    assert many.bucket_mb == pytest.approx(100 * one.bucket_mb)
    assert many.studio > many.ingress >= many.storage >= 1


def test_the_readme_prints_the_tables(sizing: ModuleType, costs: list, editing: list) -> None:
    readme = (K8S / "README.md").read_text()
    for line in sizing.tables(costs, editing):
        assert line in readme.splitlines(), "copy the output of python k8s/sizing.py"
