"""FLUX.2 klein: a job beside others gives what the stock diffusers pipeline gives alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from stepped import Listener
from stock_flux2 import DISTILLED, JOBS, PHOTOS, TOLERANCE, difference, run_staggered

from deployments.diffusion.families.flux2 import schedule
from deployments.diffusion.families.flux2.model import Flux2Klein
from tests.tiny_flux2 import tiny_flux2

parts_of = cache(tiny_flux2)


class Instead:
    """A transformer whose input is changed before it sees it."""

    def __init__(self, transformer: Any, change: Callable[..., dict[str, Any]]) -> None:
        self.config = transformer.config
        self._transformer = transformer
        self._change = change

    def __call__(self, **given: Any) -> Any:
        return self._transformer(**{**given, **self._change(**given)})


class RowByRow(Instead):
    """A transformer that sees each row alone, as in the stock pipelines."""

    def __call__(self, **given: Any) -> Any:
        each = ("hidden_states", "timestep", "encoder_hidden_states")
        rows = [
            self._transformer(**{**given, **{name: given[name][row : row + 1] for name in each}})[0]
            for row in range(len(given["timestep"]))
        ]
        return (torch.cat(rows),)


@pytest.mark.parametrize("distilled", [True, False], ids=["distilled", "base"])
def test_equals_the_stock_pipelines(distilled: bool) -> None:
    parts = parts_of(distilled=distilled, dtype=torch.float64)
    ours = run_staggered(Flux2Klein(parts))
    assert len(ours) == (len(DISTILLED) if distilled else len(JOBS) - 1)
    latents, pixels = difference(ours, parts)
    assert latents <= TOLERANCE
    assert pixels == 0


def test_gives_the_stock_pipelines_bits_in_bfloat16() -> None:
    parts = parts_of(distilled=False, dtype=torch.bfloat16)
    # All that is ours is done for many jobs at once; only the kernels see one row.
    alone = dataclasses.replace(parts, transformer=RowByRow(parts.transformer, dict))
    assert difference(run_staggered(Flux2Klein(alone)), parts) == (0, 0)


def test_a_distilled_job_alone_has_the_stock_pipelines_bits_in_bfloat16() -> None:
    parts = parts_of(distilled=True, dtype=torch.bfloat16)
    assert difference(run_staggered(Flux2Klein(parts), together=1), parts) == (0, 0)


def test_stays_near_the_stock_pipelines_in_single_precision() -> None:
    parts = parts_of(distilled=False, dtype=torch.float32)
    latents, pixels = difference(run_staggered(Flux2Klein(parts)), parts)
    assert latents <= 1e-4
    assert pixels <= 1


def shared_time(timestep: torch.Tensor, **_: Any) -> dict[str, Any]:
    return {"timestep": timestep[:1].expand_as(timestep)}


def wrong_positions(img_ids: torch.Tensor, **_: Any) -> dict[str, Any]:
    return {"img_ids": img_ids * torch.tensor([0, 1, 1, 1])}


def wrong_text_positions(txt_ids: torch.Tensor, **_: Any) -> dict[str, Any]:
    return {"txt_ids": torch.zeros_like(txt_ids)}


@pytest.mark.parametrize("wrong", [shared_time, wrong_positions, wrong_text_positions])
def test_the_comparison_sees(wrong: Callable[..., dict[str, Any]]) -> None:
    parts = parts_of(distilled=False, dtype=torch.float64)
    changed = dataclasses.replace(parts, transformer=Instead(parts.transformer, wrong))
    assert difference(run_staggered(Flux2Klein(changed)), parts)[0] > 1e-3


@pytest.mark.parametrize("key", ["two", "both"])
def test_the_comparison_sees_a_dropped_reference(key: str) -> None:
    parts = parts_of(dtype=torch.float64)
    photos = {**PHOTOS, key: dataclasses.replace(PHOTOS[key], references=())}
    ours = run_staggered(Flux2Klein(parts), photos=photos)
    assert difference({key: ours[key]}, parts)[0] > 1e-3


def test_the_comparison_sees_an_ignored_mask() -> None:
    parts = parts_of(dtype=torch.float64)
    photos = {**PHOTOS, "both": dataclasses.replace(PHOTOS["both"], mask=None)}
    ours = run_staggered(Flux2Klein(parts), photos=photos)
    assert difference({"both": ours["both"]}, parts)[0] > 1e-3


def test_the_comparison_sees_a_wrong_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(dtype=torch.float64)
    monkeypatch.setattr(schedule, "compute_empirical_mu", lambda image_seq_len, num_steps: 1.0)
    assert difference(run_staggered(Flux2Klein(parts)), parts)[0] > 1e-3


def test_the_same_seed_gives_the_same_image_alone_and_beside_others() -> None:
    parts = parts_of(distilled=False, dtype=torch.float64)
    beside, alone = (run_staggered(Flux2Klein(parts), together=most) for most in (16, 1))
    for key, (_, pixels) in beside.items():
        assert np.array_equal(pixels, alone[key][1])


def test_the_engine_gives_the_stock_pipelines_images(start_engine: Callable[..., Any]) -> None:
    parts = parts_of(distilled=False, dtype=torch.float64)
    begun: list[int] = []
    finals: dict[int, torch.Tensor] = {}

    class Watched(Flux2Klein):
        def predict(self, batch: Any) -> list[torch.Tensor]:
            begun.append(len(batch))
            return super().predict(batch)

        def decode(self, denoising: Any) -> Any:
            pixels = super().decode(denoising)
            finals[id(pixels)] = denoising.latents
            return pixels

    engine = start_engine(Watched(parts))
    heard = {key: Listener() for key in JOBS}
    tickets = {key: engine.submit(JOBS[key], PHOTOS[key], heard[key]) for key in JOBS}
    tickets["cancelled"].cancel()
    ours = {}
    for key, one in heard.items():
        if key != "cancelled":
            pixels = one.image().pixels
            ours[key] = finals[id(pixels)], pixels
    assert not heard["cancelled"].ends
    assert max(begun) > 1
    latents, worst_pixel = difference(ours, parts)
    assert latents <= TOLERANCE
    assert worst_pixel == 0
