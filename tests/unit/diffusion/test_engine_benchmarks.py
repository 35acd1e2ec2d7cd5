"""The GPU benchmark runs where no GPU is, at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.bench import engine_gpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="would measure the GPU for minutes")
def test_the_gpu_benchmark_runs_tiny_networks_without_cuda(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"
    engine_gpu.main(["--json", str(file), "--rounds", "1", "--batches", "1", "3", "--no-compile"])
    told = capsys.readouterr().out
    assert "No CUDA here" in told
    tables = json.loads(file.read_text())
    for family in ("sd", "sdxl"):
        assert [row["images"] for row in tables[family]] == [1, 1, 3]
        assert tables[family][0]["ideal"] > 0
