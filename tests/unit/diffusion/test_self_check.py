"""What a replica sees of its model before it takes requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from deployments.diffusion.deployment import ModelReplica
from deployments.diffusion.engine import self_check as module
from deployments.diffusion.engine.self_check import self_check
from deployments.diffusion.families.registry import family_of
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_models import save_tiny_weights, tiny_components

CPU = torch.device("cpu")
KINDS = ["sd", "sdxl", "flux2"]


class Damaged:
    """A model whose predictions are not what they should be."""

    def __init__(self, model: Any, damage: Any) -> None:
        self._model, self._damage = model, damage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, batch: Any) -> list[torch.Tensor]:
        return self._damage(self._model.predict, batch)


def swapped(predict: Any, batch: Any) -> list[torch.Tensor]:
    return predict(batch)[::-1]


def nearer(predict: Any, batch: Any) -> list[torch.Tensor]:
    """Rows together leak a fifth of each into the others."""
    found = predict(batch)
    return [0.8 * one + 0.2 * found[-1] for one in found]


def not_finite(predict: Any, batch: Any) -> list[torch.Tensor]:
    found = predict(batch)
    return [*found[:-1], found[-1] * torch.nan]


def off(predict: Any, batch: Any) -> list[torch.Tensor]:
    return [1.2 * one for one in predict(batch)]


def settings(family: str = "sd", **changes: Any) -> ModelSettings:
    fixed = {"device": "cpu", "backend": "torch", "dtype": "float32", "size": 64, "threads": 1}
    return ModelSettings(id="cups", name="Cups", family=family, **(fixed | changes))


def model_of(family: str, dtype: torch.dtype = torch.float32) -> Any:
    if family == "flux2":
        parts: Any = tiny_flux2(dtype=dtype)
    else:
        parts = tiny_components(family=family, dtype=dtype)
    return family_of(settings(family)).create_model(parts, settings(family)).model


def check(model: Any, plain: Any = None, dtype: torch.dtype = torch.float32) -> None:
    self_check(model, plain, settings(), CPU, dtype)


@pytest.fixture(autouse=True)
def on_the_cpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKED", ("cpu",))


@pytest.mark.parametrize("family", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_pass(family: str, dtype: torch.dtype) -> None:
    model = model_of(family, dtype)
    check(model, dtype=dtype)
    check(model, model, dtype)


@pytest.mark.parametrize("family", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("damage", [swapped, nearer])
def test_rows_that_mix_are_found(family: str, dtype: torch.dtype, damage: Any) -> None:
    with pytest.raises(WeightsError, match=r"^dtype: two rows of model cups .* more than rounding"):
        check(Damaged(model_of(family, dtype), damage), dtype=dtype)


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [(torch.float16, "bfloat16 or float32"), (torch.bfloat16, "float32")],
)
def test_numbers_that_are_not_finite_name_the_dtype(dtype: torch.dtype, advice: str) -> None:
    number = str(dtype).removeprefix("torch.")
    said = f"^dtype: model cups .* not finite in {number} on cpu; set dtype: {advice}$"
    with pytest.raises(WeightsError, match=said):
        check(Damaged(model_of("sd"), not_finite), dtype=dtype)


@pytest.mark.parametrize("damage", [swapped, off, not_finite])
def test_a_compiled_path_that_is_off_names_compile(damage: Any) -> None:
    plain = model_of("sd")
    with pytest.raises(WeightsError, match=r"^compile: the compiled networks of model cups"):
        check(Damaged(plain, damage), plain)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_model_has_a_plain_one_beside_it() -> None:
    family = family_of(settings())
    assert family.create_model(tiny_components(), settings()).plain is None
    compiled = family.create_model(tiny_components(), settings(compile=True))
    assert compiled.plain is not None
    assert compiled.plain is not compiled.model


def test_a_replica_fails_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cups"
    save_tiny_weights(folder)
    own = settings(weights=str(folder))
    ModelReplica(own).__del__()
    monkeypatch.setattr(module, "ROUNDING", {torch.float32: -1.0})
    with pytest.raises(WeightsError, match=r"^dtype: two rows"):
        ModelReplica(own)
    monkeypatch.setattr(module, "CHECKED", ("cuda",))
    ModelReplica(own).__del__()
