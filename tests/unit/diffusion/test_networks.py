"""Torch's networks against the stock modules, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rows_cases import random_rows, take

from deployments.diffusion.compute.networks import OutOfMemory, TorchNetworks, within_memory


@torch.inference_mode()
def stock(parts: Any, rows: Any, maps: torch.Tensor | None, scale: float) -> torch.Tensor:
    """What the modules give when called as the stock ControlNet pipelines call them."""
    added = rows.added or None
    residuals: dict[str, Any] = {}
    if maps is not None:
        down, middle = parts.controlnet(
            rows.control_sample,
            rows.timesteps,
            encoder_hidden_states=rows.embeddings,
            controlnet_cond=maps,
            conditioning_scale=scale,
            added_cond_kwargs=added,
            return_dict=False,
        )
        residuals = {
            "down_block_additional_residuals": down,
            "mid_block_additional_residual": middle,
        }
    predicted: torch.Tensor = parts.unet(
        rows.sample,
        rows.timesteps,
        encoder_hidden_states=rows.embeddings,
        added_cond_kwargs=added,
        return_dict=False,
        **residuals,
    )[0]
    return predicted


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "kind", [{"family": "sd"}, {"family": "sdxl"}, {"inpainting": True}], ids=str
)
def test_controlled_rows_give_the_stock_modules_bits(
    components: Callable[..., Any], kind: dict[str, Any], dtype: torch.dtype, scale: float
) -> None:
    parts = components(controlnet=True, dtype=dtype, **kind)
    maps = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(3)).to(dtype)
    rows = random_rows(parts, 3, control_rows=range(3), control_scales=[scale] * 3)
    with torch.inference_mode():
        rows = replace(rows, control=parts.controlnet.controlnet_cond_embedding(maps))

    predicted = TorchNetworks(parts.unet, parts.controlnet).predict(rows)

    assert torch.equal(predicted, stock(parts, rows, maps, scale))
    assert not torch.equal(predicted, stock(parts, rows, None, scale))


def test_rows_without_a_controlnet_give_the_stock_unets_bits(
    components: Callable[..., Any],
) -> None:
    parts = components(controlnet=True)
    rows = random_rows(parts, 2)
    predicted = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    assert torch.equal(predicted, stock(parts, rows, None, 1.0))


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_each_row_of_a_mixed_pass_is_as_by_itself(
    components: Callable[..., Any], family: str
) -> None:
    parts = components(family=family, controlnet=True, dtype=torch.float64)
    networks = TorchNetworks(parts.unet, parts.controlnet)
    rows = random_rows(parts, 4, control_rows=[1, 3], control_scales=[0.4, 1.6])

    together = networks.predict(rows)

    for place in range(4):
        alone = networks.predict(take(rows, place))
        torch.testing.assert_close(together[place : place + 1], alone, rtol=0, atol=1e-12)


def test_the_controlnet_given_is_not_changed(components: Callable[..., Any]) -> None:
    parts = components(controlnet=True)
    embedding = parts.controlnet.controlnet_cond_embedding
    TorchNetworks(parts.unet, parts.controlnet)
    assert parts.controlnet.controlnet_cond_embedding is embedding


def test_a_pass_that_does_not_fit_is_out_of_memory_and_a_smaller_one_still_runs(
    components: Callable[..., Any],
) -> None:
    parts = components()
    networks = TorchNetworks(parts.unet, None)
    rows = random_rows(parts, 1)
    huge = replace(rows, sample=rows.sample[:, :, :1, :1].expand(1, 4, 1 << 24, 1 << 24))
    with pytest.raises(OutOfMemory):
        networks.predict(huge)
    assert networks.predict(rows).isfinite().all()


def test_pythons_own_memory_error_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        within_memory(lambda: bytearray(1 << 60))


def test_other_failures_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="must match the size"):
        within_memory(lambda: torch.zeros(2) + torch.zeros(3))
