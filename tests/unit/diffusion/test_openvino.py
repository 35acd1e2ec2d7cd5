"""OpenVINO's networks against torch's."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from rows_cases import random_rows, take

pytest.importorskip("openvino", reason="openvino has no wheel for this processor")

from deployments.diffusion.compute.networks import Networks, TorchNetworks
from deployments.diffusion.compute.openvino_networks import OpenVINONetworks
from deployments.diffusion.weights.precision import native_bf16
from deployments.diffusion.weights.sources import WeightsError
from tests.tiny_models import tiny_components

KINDS: dict[str, dict[str, Any]] = {
    "sd": {"controlnet": True},
    "sdxl": {"family": "sdxl", "controlnet": True},
    "inpainting": {"inpainting": True, "controlnet": True},
    "pooled": {"pooled": True, "controlnet": True},
    "plain": {},
}
SIZES = [(8, 8), (6, 10), (7, 5)]

needs_bf16 = pytest.mark.skipif(
    not native_bf16(), reason="OpenVINO takes float32 on a processor without bfloat16"
)


@pytest.fixture(scope="module")
def converted(components: Callable[..., Any]) -> Callable[[str, bool], tuple[Any, Networks]]:
    """Components of a kind and what OpenVINO made of them, converted once each."""

    @cache
    def convert(kind: str, bf16: bool) -> tuple[Any, Networks]:
        parts = components(**KINDS[kind])
        return parts, OpenVINONetworks(parts, bf16=bf16, threads=1)

    return convert


@pytest.mark.parametrize("kind", KINDS)
def test_float32_gives_what_torch_gives_at_any_size_and_number_of_rows(
    converted: Callable[..., Any], kind: str
) -> None:
    parts, networks = converted(kind, False)
    torchs = TorchNetworks(parts.unet, parts.controlnet)
    for count, (height, width) in enumerate(SIZES, start=2):
        controlled = {} if parts.controlnet is None else {"control_rows": [0, count - 1]}
        for options in ({}, controlled):
            rows = random_rows(parts, count, height, width, **options)
            expected = torchs.predict(rows)
            torch.testing.assert_close(networks.predict(rows), expected, rtol=0, atol=2e-5)


def test_control_scales_count(converted: Callable[..., Any]) -> None:
    parts, networks = converted("sd", False)
    rows = random_rows(parts, 3, control_rows=[0, 2], control_scales=[0.3, 1.7])
    expected = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    torch.testing.assert_close(networks.predict(rows), expected, rtol=0, atol=2e-5)
    unscaled = dataclasses.replace(rows, control_scales=(1.0, 1.0))
    assert (networks.predict(unscaled) - expected).abs().max() > 1e-3


@needs_bf16
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_near_torch_and_is_not_float32(
    converted: Callable[..., Any], kind: str
) -> None:
    parts, networks = converted(kind, True)
    rows = random_rows(parts, 3, control_rows=[] if parts.controlnet is None else [1])
    exact = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    difference = (networks.predict(rows) - exact).abs()
    assert 1e-4 < difference.max() < 0.1


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=needs_bf16)])
def test_a_row_is_the_same_to_the_last_bit_whatever_is_beside_it(
    converted: Callable[..., Any], bf16: bool
) -> None:
    parts, networks = converted("sd", bf16)
    rows = random_rows(parts, 8, control_rows=[1, 2, 5], control_scales=[0.5, 1.0, 1.5])
    together = networks.predict(rows)
    for place in (0, 1, 5, 7):
        assert torch.equal(networks.predict(take(rows, place))[0], together[place])


def test_a_prediction_stays_when_the_next_pass_runs(converted: Callable[..., Any]) -> None:
    parts, networks = converted("plain", False)
    first = networks.predict(random_rows(parts, 2))
    kept = first.clone()
    networks.predict(dataclasses.replace(random_rows(parts, 2), timesteps=torch.zeros(2)))
    assert torch.equal(first, kept)


def test_half_precision_modules_are_converted_and_answer_in_their_own_type() -> None:
    parts = tiny_components(controlnet=True, dtype=torch.bfloat16)
    networks = OpenVINONetworks(parts, bf16=False, threads=1)
    rows = random_rows(parts, 2, control_rows=[1])
    expected = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    predicted = networks.predict(rows)
    assert predicted.dtype == torch.bfloat16
    torch.testing.assert_close(predicted, expected, rtol=0, atol=0.05)
    assert parts.unet.dtype == torch.bfloat16


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=needs_bf16)])
def test_released_modules_are_empty_and_the_networks_still_run(
    converted: Callable[..., Any], bf16: bool
) -> None:
    whole, kept = converted("sd", bf16)
    parts = tiny_components(**KINDS["sd"])
    networks = OpenVINONetworks(parts, bf16=bf16, threads=1, release=True)

    embedding = parts.controlnet.controlnet_cond_embedding
    assert all(one.is_meta for one in parts.unet.parameters())
    for name, parameter in parts.controlnet.named_parameters():
        assert parameter.is_meta != name.startswith("controlnet_cond_embedding")
    assert embedding(torch.zeros(1, 3, 64, 64)).isfinite().all()
    assert parts.unet.config.in_channels == whole.unet.config.in_channels
    # Two more shapes, which are packed from what OpenVINO kept.
    for height, width in SIZES:
        rows = random_rows(whole, 2, height, width, control_rows=[0])
        torch.testing.assert_close(
            networks.predict(rows), kept.predict(rows), rtol=0, atol=0.02 if bf16 else 1e-6
        )


def test_conversion_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.modules.get("openvino_telemetry", ...) is None:  # another test has stopped it
        monkeypatch.delitem(sys.modules, "openvino_telemetry")
    telemetry = pytest.importorskip("openvino_telemetry")

    def report(*_: object, **__: object) -> None:
        raise AssertionError("telemetry was started")

    monkeypatch.setattr(telemetry.Telemetry, "init", report)
    monkeypatch.setattr(telemetry.Telemetry, "send_event", report)
    OpenVINONetworks(tiny_components(), bf16=False, threads=1)


def test_an_operation_that_openvino_lacks_is_named() -> None:
    class Bessel(torch.nn.Module):
        def forward(self, tensor: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(tensor)

    parts = tiny_components()
    unet = copy.deepcopy(parts.unet)
    unet.conv_act = Bessel()
    with pytest.raises(WeightsError, match=r"cannot run the UNet .*bessel_j0"):
        OpenVINONetworks(dataclasses.replace(parts, unet=unet), bf16=False, threads=1)
