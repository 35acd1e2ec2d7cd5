"""Benchmarks run small: that of a GPU where none is, and that of load with every family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.bench import engine_gpu, engine_load
from tests.bench.batching import RequestBatching, StepBatching
from tests.bench.load_models import SUBJECTS


@pytest.mark.skipif(torch.cuda.is_available(), reason="would measure the GPU for minutes")
def test_the_gpu_benchmark_runs_tiny_networks_without_cuda(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"
    engine_gpu.main(["--json", str(file), "--rounds", "1", "--batches", "1", "3", "--no-compile"])
    told = capsys.readouterr().out
    assert "No CUDA here" in told
    tables = json.loads(file.read_text())
    for family in ("sd", "sdxl", "flux2"):
        assert [row["images"] for row in tables[family]] == [1, 1, 3]
        assert tables[family][0]["ideal"] > 0


@pytest.mark.parametrize("family", SUBJECTS)
def test_both_ways_of_batching_serve_every_family(family: str) -> None:
    subject = SUBJECTS[family]()
    assert len({tuple(sorted(one.items())) for one in subject.settings}) == 64
    jobs = engine_load.arrivals(6, 0, subject.settings, seed=1)
    for way in (StepBatching, RequestBatching):
        assert engine_load.replay(way(subject.model), jobs)["images_per_s"] > 0
