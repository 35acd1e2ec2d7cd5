"""Which networks a model's settings choose, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rows_cases import random_rows

from deployments.diffusion.compute import backend_choice
from deployments.diffusion.compute.backend_choice import create_networks
from deployments.diffusion.compute.compiled_networks import CompiledNetworks
from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.weights import precision
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings

has_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None,
    reason="openvino has no wheel for this processor",
)


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(id="cups", name="Cups", **changes)


def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_choice.importlib.util, "find_spec", lambda name: None)


@has_openvino
@pytest.mark.parametrize(
    ("native", "dtype", "bf16"),
    [
        (True, "auto", True),
        (False, "auto", False),
        (True, "float32", False),
        (False, "bfloat16", True),
    ],
)
def test_auto_takes_openvino_on_a_cpu_and_bfloat16_where_it_is_native(
    flat_components: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    native: bool,
    dtype: str,
    bf16: bool,
) -> None:
    monkeypatch.setattr(precision, "native_bf16", lambda: native)
    caplog.set_level(logging.INFO)
    networks = create_networks(flat_components(), settings(dtype=dtype))
    assert type(networks).__name__ == "OpenVINONetworks"
    named = "bfloat16" if bf16 else "float32"
    assert f"model cups runs its networks with OpenVINO in {named}" in caplog.text


# torch's own, when its compiler is imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"backend": "torch"}, TorchNetworks, "torch in float32: as configured"),
        ({"compile": True}, CompiledNetworks, "torch, compiled, in float32: compile asks"),
        ({"dtype": "float16"}, TorchNetworks, "torch in float32: dtype is float16"),
    ],
)
def test_torch_is_taken_with_a_logged_reason(
    components: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    kind: type,
    reason: str,
) -> None:
    caplog.set_level(logging.INFO)
    assert type(create_networks(components(), settings(**changes))) is kind
    assert reason in caplog.text


def test_auto_says_when_openvino_is_not_installed(
    components: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    without_openvino(monkeypatch)
    caplog.set_level(logging.INFO)
    assert type(create_networks(components(), settings())) is TorchNetworks
    assert "the package openvino is not installed" in caplog.text


@has_openvino
@pytest.mark.parametrize(
    ("changes", "told"),
    [({"compile": True}, "compile"), ({"dtype": "float16"}, "dtype float16")],
)
def test_openvino_refuses_settings_it_cannot_honour(
    components: Callable[..., Any], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(WeightsError, match=f"model cups has .*{told}"):
        create_networks(components(), settings(backend="openvino", **changes))


def test_openvino_is_refused_where_it_is_not_installed(
    components: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_openvino(monkeypatch)
    with pytest.raises(WeightsError, match="openvino is not installed"):
        create_networks(components(), settings(backend="openvino"))


def test_openvino_is_refused_on_another_device(components: Callable[..., Any]) -> None:
    parts = dataclasses.replace(components(), device=torch.device("cuda"))
    with pytest.raises(WeightsError, match="its device is cuda"):
        create_networks(parts, settings(backend="openvino"))


@has_openvino
def test_only_on_request_are_the_modules_weights_given_free(
    flat_components: Callable[..., Any],
) -> None:
    parts = flat_components()
    create_networks(parts, settings())
    assert TorchNetworks(parts.unet, None).predict(random_rows(parts, 1)).isfinite().all()
