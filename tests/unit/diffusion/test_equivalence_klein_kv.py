"""FLUX.2 klein KV: jobs that remember their references give what the stock pipeline gives alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from stepped import a_photo
from stock_flux2 import DISTILLED, JOBS, PHOTOS, TOLERANCE, difference, run_staggered

from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.families.row_memories import RowMemories
from tests.tiny_flux2 import tiny_flux2

parts_of = cache(partial(tiny_flux2, remembers=True))
EDITS = tuple(key for key in DISTILLED if PHOTOS[key].mask is None)
KEEPING = tuple(key for key in DISTILLED if key not in EDITS)


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens of each reference that was read."""
    read: list[int] = []
    transformer = parts_of(dtype=torch.float64).transformer
    forward = transformer.forward

    def watched(**given: Any) -> Any:
        if given.get("kv_cache_mode") == "extract":
            read.append(given["num_ref_tokens"])
        return forward(**given)

    monkeypatch.setattr(transformer, "forward", watched)
    return read


def test_edits_equal_the_stock_pipeline() -> None:
    parts = parts_of(dtype=torch.float64)
    ours = run_staggered(Flux2Klein(parts), without=KEEPING)
    assert sorted(ours) == sorted(EDITS)
    latents, pixels = difference(ours, parts)
    assert latents <= TOLERANCE
    assert pixels == 0


def test_stays_near_the_stock_pipeline_in_single_precision() -> None:
    parts = parts_of(dtype=torch.float32)
    latents, pixels = difference(run_staggered(Flux2Klein(parts), without=KEEPING), parts)
    assert latents <= 1e-4
    assert pixels <= 1


def test_a_job_has_the_stock_pipelines_bits_in_bfloat16_alone() -> None:
    parts = parts_of(dtype=torch.bfloat16)
    ours = run_staggered(Flux2Klein(parts), together=1, without=KEEPING)
    assert difference(ours, parts) == (0, 0)


def test_a_job_that_keeps_the_product_is_the_same_alone_and_beside_others() -> None:
    parts = parts_of(dtype=torch.float64)
    beside, alone = (run_staggered(Flux2Klein(parts), together=most) for most in (16, 1))
    assert set(KEEPING) <= set(beside)
    for key, (_, pixels) in beside.items():
        assert np.array_equal(pixels, alone[key][1])


def test_one_photo_is_read_once_for_all_its_jobs(extracted: list[int]) -> None:
    model = Flux2Klein(parts_of(dtype=torch.float64))
    first, second = (model.prepare(JOBS[key], a_photo(seed=7)) for key in ("edit", "both"))
    assert first.shown.memory is second.shown.memory
    other = model.prepare(JOBS["edit"], a_photo(seed=8))
    assert extracted == [16, 16]
    assert model.prepare(JOBS["edit"], a_photo(seed=7)).shown.memory is first.shown.memory
    assert other.shown.memory is not first.shown.memory
    assert extracted == [16, 16]


def test_what_no_job_needs_is_forgotten_but_for_the_last(extracted: list[int]) -> None:
    model = Flux2Klein(parts_of(dtype=torch.float64))
    for seed in (1, 2, 2, 1):
        model.prepare(JOBS["edit"], a_photo(seed=seed))
    assert len(extracted) == 3


def dropped(rows: RowMemories) -> RowMemories:
    """The first row's in place of all."""
    return RowMemories([rows._rows[0]] * len(rows._rows))


@pytest.mark.parametrize("key", ["two", "edit"])
def test_the_comparison_sees_another_photos_memory(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(dtype=torch.float64)
    photos = {**PHOTOS, key: dataclasses.replace(PHOTOS[key], pixels=255 - PHOTOS[key].pixels)}
    ours = run_staggered(Flux2Klein(parts), photos=photos, without=KEEPING)
    assert difference({key: ours[key]}, parts)[0] > 1e-3


def test_the_comparison_sees_rows_with_one_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(dtype=torch.float64)
    build: Callable[..., RowMemories] = RowMemories
    monkeypatch.setattr(
        "deployments.diffusion.families.flux2.model.RowMemories", lambda rows: dropped(build(rows))
    )
    jobs = dict.fromkeys(JOBS, JOBS["edit"])
    photos = {key: a_photo(seed=place) for place, key in enumerate(JOBS)}
    wrong = run_staggered(Flux2Klein(parts), photos=photos, jobs=jobs)
    monkeypatch.undo()
    right = run_staggered(Flux2Klein(parts), photos=photos, jobs=jobs)
    assert any(not np.array_equal(wrong[key][1], right[key][1]) for key in right)
