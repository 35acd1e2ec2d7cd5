"""Compiled networks: padding changes nothing, and each shape is compiled once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rows_cases import random_rows

from deployments.diffusion.compute.compiled_networks import CompiledNetworks, padded_count
from deployments.diffusion.compute.networks import TorchNetworks


@pytest.mark.parametrize(
    ("rows", "padded"), [(1, 1), (3, 3), (5, 6), (7, 8), (9, 12), (129, 192), (256, 256)]
)
def test_rows_are_padded_to_the_next_bucket(rows: int, padded: int) -> None:
    assert padded_count(rows) == padded


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_padded_rows_give_what_they_give_unpadded(
    flat_components: Callable[..., Any], family: str
) -> None:
    parts = flat_components(family=family, controlnet=True)
    networks = CompiledNetworks(parts.unet, parts.controlnet, backend="eager", graphs=False)
    rows = random_rows(parts, 7, control_rows=[0, 1, 3, 5, 6], control_scales=[1, 0.5, 0.2, 1.3, 2])
    expected = TorchNetworks(parts.unet, parts.controlnet).predict(rows)
    predicted = networks.predict(rows)
    assert predicted.shape == expected.shape
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-5)


# By default torch gives up after eight shapes, which would take longer to reach.
@torch._dynamo.config.patch(recompile_limit=2)
def test_one_bucket_is_compiled_once_and_many_shapes_are_compiled_all(
    flat_components: Callable[..., Any],
) -> None:
    flat = flat_components()
    graphs = []

    def counting(graph: Any, _: object) -> Any:
        graphs.append(graph)
        return graph

    networks = CompiledNetworks(flat.unet, None, backend=counting, graphs=False)
    for count in (5, 6, 5):
        networks.predict(random_rows(flat, count))
    assert len(graphs) == 1
    sides = range(4, 8)
    for side in sides:
        networks.predict(random_rows(flat, 1, side, side))
    assert len(graphs) == 1 + len(sides)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
# Compiled here, and not by processes of its own which would load torch first.
@torch._inductor.config.patch(compile_threads=1)
def test_inductor_gives_what_torch_gives(flat_components: Callable[..., Any]) -> None:
    flat = flat_components()
    networks = CompiledNetworks(flat.unet, None, graphs=False)
    rows = random_rows(flat, 5)
    expected = TorchNetworks(flat.unet, None).predict(rows)
    torch.testing.assert_close(networks.predict(rows), expected, rtol=0, atol=1e-5)
