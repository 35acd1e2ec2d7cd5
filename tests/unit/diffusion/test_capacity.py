"""Rows per forward pass, from configuration and from measured memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.compute.capacity import FEWEST_ROWS, Footprint, rows_capacity
from deployments.diffusion.families.sd.family import trial
from deployments.settings import MOST_ROWS, ModelSettings
from tests.tiny_models import tiny_components

GIB = 1 << 30


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(id="a", name="A", **changes)


@pytest.mark.parametrize(
    ("height", "width", "rows"),
    [(512, 512, 12), (256, 256, 12), (512, 768, 8), (1024, 1024, 3), (2048, 2048, 2)],
)
def test_larger_pictures_take_fewer_rows_in_proportion(
    components: Callable[..., Any], height: int, width: int, rows: int
) -> None:
    capacity = rows_capacity(trial(components(), 512), settings(size=512, max_rows=12))
    assert capacity(height, width) == rows


def test_sixteen_rows_stand_for_a_cpu(components: Callable[..., Any]) -> None:
    assert rows_capacity(trial(components(), 256), settings(size=256))(256, 256) == 16


def test_rows_fill_what_is_spare_after_the_fixed_part_and_the_autoencoder() -> None:
    # 1 GiB fixed and half a GiB for each row.
    footprint = Footprint(two=2 * GIB, four=3 * GIB, beside=1 * GIB)
    assert footprint.rows(7 * GIB, 1) == 10
    assert footprint.rows(7 * GIB, 0.5) == 24
    assert footprint.rows(7 * GIB, 2) == 3
    assert footprint.rows(7 * GIB, 100) == FEWEST_ROWS
    assert footprint.rows(7000 * GIB, 1) == MOST_ROWS


def test_a_pass_that_takes_no_more_for_more_rows_is_not_unbounded() -> None:
    assert Footprint(two=GIB, four=GIB, beside=0).rows(2 * GIB, 1) == MOST_ROWS


@given(
    row=st.integers(2**20, GIB),  # smaller ones drown in rounding
    fixed=st.integers(0, GIB),
    beside=st.integers(0, GIB),
    spare=st.integers(0, 100 * GIB),
    area=st.floats(0.05, 20),
)
def test_the_rows_fit(row: int, fixed: int, beside: int, spare: int, area: float) -> None:
    footprint = Footprint(two=fixed + 2 * row, four=fixed + 4 * row, beside=beside)
    rows = footprint.rows(spare, area)
    taken = (fixed + rows * row + beside) * area
    if rows > FEWEST_ROWS:
        assert taken <= spare * 1.001
    if rows < MOST_ROWS:
        assert spare <= (taken + row * area) * 1.001


@pytest.mark.skipif(not torch.cuda.is_available(), reason="measures a CUDA device's memory")
def test_a_cuda_devices_memory_is_measured() -> None:
    device = torch.device("cuda")
    parts = tiny_components(controlnet=True, dtype=torch.float16)
    for module in (parts.unet, parts.controlnet, parts.vae):
        module.to(device)
    capacity = rows_capacity(
        trial(dataclasses.replace(parts, device=device), 64), settings(size=64)
    )
    assert FEWEST_ROWS <= capacity(4096, 4096) <= capacity(64, 64) <= MOST_ROWS
