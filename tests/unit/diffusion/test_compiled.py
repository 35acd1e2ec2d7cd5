"""Compiled networks: padding changes nothing, and each shape is compiled once."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from rows_cases import random_rows

from deployments.diffusion.compute.compiled_networks import CompiledNetworks, padded_count
from deployments.diffusion.compute.networks import TorchNetworks
from tests.tiny_models import tiny_components


@pytest.fixture(scope="module")
def flat() -> Any:
    """A UNet of one level, which is compiled soon."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8,),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=32,
            attention_head_dim=4,
            down_block_types=("DownBlock2D",),
            mid_block_type=None,
            up_block_types=("UpBlock2D",),
        )
    return dataclasses.replace(tiny_components(), unet=unet.eval())


@pytest.mark.parametrize(
    ("rows", "padded"), [(1, 1), (3, 3), (5, 6), (7, 8), (9, 12), (129, 192), (256, 256)]
)
def test_rows_are_padded_to_the_next_bucket(rows: int, padded: int) -> None:
    assert padded_count(rows) == padded


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_padded_rows_give_what_they_give_unpadded(
    components: Callable[..., Any], family: str
) -> None:
    parts = components(family=family, controlnet=True)
    networks = CompiledNetworks(parts.unet, parts.controlnet, backend="eager", graphs=False)
    rows = random_rows(parts, 7, control_rows=[0, 1, 3, 5, 6], control_scales=[1, 0.5, 0.2, 1.3, 2])
    expected = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    predicted = networks.predict(rows)
    assert predicted.shape == expected.shape
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-5)


def test_one_bucket_is_compiled_once_and_many_shapes_are_compiled_all(flat: Any) -> None:
    graphs = []

    def counting(graph: Any, _: object) -> Any:
        graphs.append(graph)
        return graph

    networks = CompiledNetworks(flat.unet, None, backend=counting, graphs=False)
    for count in (5, 6, 5):
        networks.predict(random_rows(flat, count))
    assert len(graphs) == 1
    sides = range(4, 14)
    for side in sides:
        networks.predict(random_rows(flat, 1, side, side))
    assert len(graphs) == 1 + len(sides)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inductor_gives_what_torch_gives(flat: Any) -> None:
    networks = CompiledNetworks(flat.unet, None, graphs=False)
    rows = random_rows(flat, 5)
    expected = TorchNetworks(flat.unet, None).predict(rows)
    torch.testing.assert_close(networks.predict(rows), expected, rtol=0, atol=1e-5)
