"""In which types a model is held and computed, by its settings, device and processor."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
import torch

from deployments.diffusion.weights import precision
from deployments.diffusion.weights.precision import (
    native_bf16,
    openvino_takes_bf16,
    runs_openvino,
    takes_float16,
    weights_dtype,
)
from deployments.settings import ModelSettings


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(id="cups", name="Cups", **changes)


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
    by_torch = settings(backend="torch")
    assert weights_dtype(by_torch, "cpu") == (torch.bfloat16 if native else torch.float32)
    assert openvino_takes_bf16(settings()) is native
    assert openvino_takes_bf16(settings(dtype="bfloat16"))
    assert not openvino_takes_bf16(settings(dtype="float32"))


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("backend", ["auto", "torch", "openvino"])
@pytest.mark.parametrize("dtype", ["auto", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_float16_files_are_taken_for_float16_weights_alone(
    monkeypatch: pytest.MonkeyPatch,
    native: bool,
    device: str,
    backend: str,
    dtype: str,
    compiled: bool,
) -> None:
    monkeypatch.setattr(precision, "native_bf16", lambda: native)
    model = settings(backend=backend, dtype=dtype, compile=compiled)
    held = weights_dtype(model, device)
    assert takes_float16(model, device) == (held == torch.float16)
    if runs_openvino(model, device):
        assert held == torch.float32
    elif dtype != "auto":
        assert held == getattr(torch, dtype)
    elif device == "cuda":
        assert held == torch.float16
    else:
        assert held == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(
    ("device", "changes", "expected"),
    [
        ("cuda", {}, False),
        ("cuda", {"backend": "openvino"}, True),
        ("cpu", {"backend": "openvino"}, True),
        ("cpu", {"backend": "torch"}, False),
        ("cpu", {"compile": True}, False),
        ("cpu", {"dtype": "float16"}, False),
    ],
)
def test_what_openvino_runs(device: str, changes: dict[str, Any], expected: bool) -> None:
    assert runs_openvino(settings(**changes), device) == expected
