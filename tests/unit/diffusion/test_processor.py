"""What the processor is said to do well is what it says of itself."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from deployments.diffusion.weights.processor import best_dtype, native_bf16


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").is_file(),
    reason="reads the flags that Linux lists on x86",
)
def test_bf16_is_native_where_linux_lists_its_instructions() -> None:
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].partition("\n")[0].split()
    assert native_bf16() == bool({"avx512_bf16", "amx_bf16"} & set(flags))


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_a_cpus_dtype_follows_its_instructions(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert native_bf16() is native
    assert best_dtype(torch.device("cpu")) == (torch.bfloat16 if native else torch.float32)


def test_cuda_computes_in_float16() -> None:
    assert best_dtype(torch.device("cuda")) == torch.float16
