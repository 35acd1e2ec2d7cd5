"""LoRAs beside the weights: how they are loaded, what is refused, and what runs them."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from lora_cases import FILM, KINDS, PAINT, parts_of, save_lora, settings_of
from stepped import a_job, a_photo
from weights_cases import refusal

from deployments.diffusion.compute import capacity
from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.deployment import ModelReplica
from deployments.diffusion.engine import self_check as self_checking
from deployments.diffusion.engine.self_check import self_check
from deployments.diffusion.families.registry import family_of, load_components
from deployments.diffusion.weights import precision
from deployments.diffusion.weights.row_loras import RowLoraLayer
from deployments.diffusion.weights.sources import WeightsError
from deployments.errors import InvalidRequest
from deployments.jobs import OpenedPhoto
from deployments.loras import Lora
from deployments.settings import LoraSettings
from tests.tiny_flux2 import save_tiny_flux2
from tests.tiny_models import save_tiny_weights

FILE = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each family weights and both LoRAs; read only."""
    folder = tmp_path_factory.mktemp("chosen")
    for family in KINDS:
        if family == "flux2":
            save_tiny_flux2(folder / family / "cups")
        else:
            save_tiny_weights(folder / family / "cups", family=family)  # type: ignore[arg-type]
        for name in (FILM, PAINT):
            save_lora(family, name, folder / family)
    return folder


def chosen(folders: Path, family: str, name: str, **changes: Any) -> LoraSettings:
    given = {"weights": str(folders / family / name), "name": name, "per_request": True}
    return LoraSettings(**{**given, **changes})


def configured(folders: Path, family: str, *loras: LoraSettings, **changes: Any) -> Any:
    loras = loras or tuple(chosen(folders, family, name) for name in (FILM, PAINT))
    return settings_of(family, loras, weights=str(folders / family / "cups"), **changes)


def network_of(parts: Any) -> Any:
    return parts.transformer if hasattr(parts, "transformer") else parts.unet


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", KINDS)
def test_they_are_beside_weights_that_stay_as_they_are(
    folders: Path, family: str, dtype: str
) -> None:
    parts = load_components(configured(folders, family, dtype=dtype))
    assert parts.loras.names == (FILM, PAINT)
    beside = f"{FILM} = {FILM}/{FILE} with LoRA per request {PAINT} = {PAINT}/{FILE}"
    assert parts.origin == f"cups with LoRA per request {beside}"
    plain = parts_of(family, dtype=getattr(torch, dtype))
    pairs = [(network_of(parts), network_of(plain))]
    pairs += list(zip(parts.text_encoders, plain.text_encoders, strict=True))
    layers = 0
    for network, expected in pairs:
        found = {
            name.replace(".layer.", ".").removeprefix("layer."): tensor
            for name, tensor in network.state_dict().items()
            if ".terms." not in name
        }
        before = {
            name.replace(".layer.", "."): tensor for name, tensor in expected.state_dict().items()
        }
        assert found.keys() == before.keys()
        assert all(torch.equal(found[name], before[name]) for name in before)
        assert not any(one.training for one in network.modules())
        assert not getattr(network, "_hf_peft_config_loaded", False)
        assert not hasattr(network, "peft_config")
        layers += sum(isinstance(one, RowLoraLayer) for one in network.modules())
        assert {one.dtype for one in network.parameters()} == {getattr(torch, dtype)}
    assert layers >= 10


@pytest.mark.parametrize("family", KINDS)
def test_one_may_be_fused_and_another_chosen(folders: Path, family: str) -> None:
    fused = LoraSettings(weights=str(folders / family / PAINT), scale=0.5)
    both = load_components(configured(folders, family, fused, chosen(folders, family, FILM)))
    assert both.origin == (
        f"cups with LoRA {PAINT}/{FILE} x 0.5 with LoRA per request {FILM} = {FILM}/{FILE}"
    )
    assert both.loras.names == (FILM,)
    alone = load_components(configured(folders, family, fused))
    run = [family_of(settings_of(family)).create_model(one, settings_of(family)) for one in
           (both, alone)]  # fmt: skip
    job, photo = a_job(guidance_scale=1.0), a_photo()
    mixed, only_fused = (one.model.predict([one.model.prepare(job, photo)])[0] for one in run)
    assert torch.equal(mixed, only_fused)
    with_film = run[0].model.prepare(a_job(guidance_scale=1.0, lora=Lora(FILM, 1.0)), photo)
    assert (run[0].model.predict([with_film])[0] - mixed).abs().max() > 1e-2


@pytest.mark.parametrize("family", KINDS)
def test_a_job_with_an_unknown_one_is_refused(folders: Path, family: str) -> None:
    settings = configured(folders, family)
    model = family_of(settings).create_model(load_components(settings), settings).model
    known = a_job(guidance_scale=1.0, lora=Lora(PAINT, -2.0))
    assert model.check(known, a_photo()).rows == 1
    with pytest.raises(InvalidRequest, match=rf"^lora: .* no LoRA 'other': it has {FILM}, {PAINT}"):
        model.check(a_job(guidance_scale=1.0, lora=Lora("other", 1.0)), a_photo())
    plain = family_of(settings).create_model(parts_of(family), settings_of(family)).model
    with pytest.raises(InvalidRequest, match=r"^lora: .* no LoRA 'film': it has none"):
        plain.check(a_job(guidance_scale=1.0, lora=Lora(FILM, 1.0)), a_photo())


def refused(folders: Path, lora: LoraSettings, family: str = "sd") -> str:
    return refusal(folders / family / "cups", family=family, loras=(lora,))


def broken(folders: Path, folder: Path, change: Any) -> LoraSettings:
    tensors = safetensors.torch.load_file(folders / "sd" / FILM / FILE)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / FILE)
    return LoraSettings(weights=str(folder), name=FILM, per_request=True)


def test_a_missing_file_is_refused(folders: Path, tmp_path: Path) -> None:
    lora = LoraSettings(weights=str(tmp_path), name=FILM, per_request=True)
    assert refused(folders, lora) == f"loras: {tmp_path} has no {FILE}"


@pytest.mark.parametrize(("family", "other"), [("sd", "sdxl"), ("sdxl", "flux2"), ("flux2", "sd")])
def test_one_of_another_family_is_refused(folders: Path, family: str, other: str) -> None:
    lora = chosen(folders, other, FILM)
    assert refused(folders, lora, family).startswith(
        f"loras: {folders / other / FILM} does not fit these weights: "
    )


def test_one_that_is_not_finite_is_refused(folders: Path, tmp_path: Path) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        next(iter(tensors.values()))[0, 0] = torch.inf

    lora = broken(folders, tmp_path, spoil)
    assert refused(folders, lora) == f"loras: {FILE} of {tmp_path} holds NaN or infinity"


def test_a_dora_is_refused(folders: Path, tmp_path: Path) -> None:
    lora = broken(folders, tmp_path, lambda tensors: tensors.update(dora_scale=torch.ones(1)))
    assert refused(folders, lora) == (
        f"loras: {FILE} of {tmp_path} is a DoRA, which cannot stand beside weights"
    )


def test_one_with_a_tensor_for_no_layer_is_refused(folders: Path, tmp_path: Path) -> None:
    def misplace(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "mid_block" in name]:
            tensors[name.replace("mid_block", "end_block")] = tensors.pop(name)

    assert "they have layers for " in refused(folders, broken(folders, tmp_path, misplace))


def test_torch_runs_them_where_openvino_would_run(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision.importlib.util, "find_spec", lambda name: object())
    settings = configured(folders, "sd")
    assert not precision.runs_openvino(settings, "cpu")
    assert precision.runs_openvino(settings.model_copy(update={"loras": ()}), "cpu")
    made = family_of(settings).create_model(load_components(settings), settings)
    assert isinstance(made.model._networks, TorchNetworks)


@pytest.mark.parametrize("family", KINDS)
def test_memory_is_measured_with_the_largest(
    folders: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(folders, family)
    parts = load_components(settings)
    sizes = [parts.loras._loaded[name].numbers for name in (FILM, PAINT)]
    largest = (FILM, PAINT)[sizes.index(max(sizes))]
    assert parts.loras.largest == Lora(largest, 1.0)
    seen: list[Any] = []
    layer = RowLoraLayer.forward

    def watched(self: RowLoraLayer, rows: torch.Tensor) -> torch.Tensor:
        seen.extend(self._loras.runs(len(rows)))
        return layer(self, rows)

    monkeypatch.setattr(RowLoraLayer, "forward", watched)
    module = __import__(family_of(settings).create_model.__module__, fromlist=["trial"])
    trial = (module._trial if family == "flux2" else module.trial)(parts, 64)
    assert isinstance(trial, capacity.Trial)
    trial.forward(3)()
    adapter = parts.loras._loaded[largest].adapter
    assert seen
    assert all((run.adapter, run.rows) == (adapter, slice(0, 3)) for run in seen)


@pytest.mark.parametrize("family", KINDS)
def test_the_check_at_the_start_has_rows_with_loras(
    folders: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_checking, "CHECKED", ("cpu",))
    settings = configured(folders, family)
    model = family_of(settings).create_model(load_components(settings), settings).model
    given: list[Any] = []
    prepare = model.prepare
    monkeypatch.setattr(
        model, "prepare", lambda job, photo: given.append(job.settings.lora) or prepare(job, photo)
    )
    cpu, dtype = torch.device("cpu"), torch.float32
    self_check(model, None, settings, cpu, dtype)
    assert given == [Lora(FILM, 1.0), Lora(PAINT, 1.0)]

    def all_to_the_first(self: Any, rows: Any) -> Any:
        name = next((one.name for one in rows if one is not None), None)
        return runs(self, [one and Lora(name or one.name, one.scale) for one in rows])

    runs = type(model_loras(model))._runs
    monkeypatch.setattr(type(model_loras(model)), "_runs", all_to_the_first)
    with pytest.raises(WeightsError, match="two rows of model cups in one forward"):
        self_check(model, None, settings, cpu, dtype)


def model_loras(model: Any) -> Any:
    return (model._parts if hasattr(model, "_parts") else model._components).loras


async def test_a_replica_makes_images_with_them(folders: Path) -> None:
    settings = configured(folders, "sd")
    replica, plain = (ModelReplica(one) for one in (settings, without_loras(settings)))

    async def make(replica: ModelReplica, lora: Lora | None) -> Any:
        job = a_job(guidance_scale=3.0, lora=lora)
        (image,) = [one async for one in replica.generate(job, OpenedPhoto(a_photo(), None), False)]
        return image

    try:
        chosen = [None, Lora(FILM, 1.0), Lora(FILM, -1.0), Lora(PAINT, 1.0)]
        images = await asyncio.gather(*(make(replica, lora) for lora in chosen))
        expected = await make(plain, None)
        with pytest.raises(InvalidRequest, match=r"^lora: this model has no LoRA 'other'"):
            await make(replica, Lora("other", 1.0))
    finally:
        replica.__del__()
        plain.__del__()
    # In float32 another batch size may move a value across the edge between two pixel values.
    assert np.abs(images[0].pixels.astype(int) - expected.pixels).max() <= 1
    for one, other in itertools.combinations(images, 2):
        assert np.abs(one.pixels.astype(int) - other.pixels).max() > 8
    assert f"with LoRA per request {FILM} = {FILM}/{FILE}" in images[0].weights


def without_loras(settings: Any) -> Any:
    return settings.model_copy(update={"loras": (), "backend": "torch"})
