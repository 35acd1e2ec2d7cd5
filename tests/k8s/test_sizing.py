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
def network_costs() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(K8S)
        return importlib.import_module("network_costs")


@pytest.fixture(scope="module")
def costs(network_costs: ModuleType) -> list:
    return network_costs.costs()


@pytest.fixture(scope="module")
def editing(network_costs: ModuleType) -> list:
    return network_costs.costs(network_costs.EDITING_CONFIG)


def test_the_editing_configuration_is_read_strictly(network_costs: ModuleType) -> None:
    (application,) = read_config(network_costs.EDITING_CONFIG)["applications"]
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


def test_a_text_encoder_elsewhere_spares_gpu_memory(
    network_costs: ModuleType, editing: list
) -> None:
    (klein,) = editing
    spared = {
        place: network_costs._spared(klein.model.model_copy(update={"text_encoder": place}))
        * 2
        / 1e9
        for place in ("device", "int8", "cpu")
    }
    assert spared["device"] == 0
    assert 3.5 < spared["int8"] < 4.0
    assert 8.0 < spared["cpu"] < 8.2


def test_an_edit_is_one_row_and_a_guided_one_two(network_costs: ModuleType, editing: list) -> None:
    (klein,) = editing
    base = klein.model.model_copy(update={"distilled": False})
    doubled = network_costs._edit_operations(base) / klein.operations
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


def test_what_ends_first_stands_first_and_grows_with_its_limit(
    sizing: ModuleType, costs: list
) -> None:
    found = sizing.limits(costs[0], "H100")
    reached = [images for _, _, images in found]
    assert reached == sorted(reached)
    assert found[0][:2] == ("`stable-diffusion`", "8 replicas")
    assert reached[0] == pytest.approx(0.7 * 8 * costs[0].images_per_s("H100"))
    names = {name for name, _, _ in found}
    assert names == {"`stable-diffusion`", "`admission`", "`ingress`", "`studio`", "`storage`"}
    slower = {name: images for name, _, images in sizing.limits(costs[0], "L4")}
    assert slower["`stable-diffusion`"] < reached[0]
    assert slower["`studio`"] == {name: images for name, _, images in found}["`studio`"]


def test_the_readme_prints_the_tables(sizing: ModuleType, costs: list, editing: list) -> None:
    readme = (K8S / "README.md").read_text()
    for line in sizing.tables(costs, editing):
        assert line in readme.splitlines(), "copy the output of python k8s/sizing.py"
