"""In which number types a model is held and computed.

torch is imported in the functions that need it: `deployments.prefetch` asks which files a model
takes, and must not need the memory that torch does.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from deployments.settings import ModelSettings

if TYPE_CHECKING:
    import torch


def runs_openvino(settings: ModelSettings, device: str) -> bool:
    """Tell whether OpenVINO runs the networks.

    Args:
        settings: With backend `auto` OpenVINO runs them on a CPU where it is installed, unless
            another setting needs torch. Some families it never runs.
        device: Kind of the model's device: `cpu` or `cuda`.
    """
    if settings.backend != "auto" or not settings.traits.openvino:
        return settings.backend == "openvino"
    needs_torch = settings.compile or settings.dtype == "float16" or bool(settings.request_loras)
    installed = importlib.util.find_spec("openvino") is not None
    return device == "cpu" and installed and not needs_torch


def takes_float16(settings: ModelSettings, device: str) -> bool:
    """Tell whether the weights are held in float16, and their float16 files are taken.

    Args:
        settings: The model.
        device: Kind of its device: `cpu` or `cuda`.
    """
    if runs_openvino(settings, device):
        return False
    if settings.dtype == "auto" and device == "cuda":
        return settings.traits.half == "float16"
    return settings.dtype == "float16"


def weights_dtype(settings: ModelSettings, device: str) -> torch.dtype:
    """Choose the type in which torch holds the weights.

    OpenVINO is given float32 and converts them itself. For torch, `auto` is the type that is
    fastest without visible loss: the family's half precision on CUDA, and on a CPU bfloat16 where
    `native_bf16`, else float32. With AVX512-BF16, bfloat16 halves the time of convolutions of
    Stable Diffusion's size; attention takes as long as in float32.

    Args:
        settings: The model.
        device: Kind of its device: `cpu` or `cuda`.
    """
    import torch

    if takes_float16(settings, device):
        return torch.float16
    if runs_openvino(settings, device) or settings.dtype == "float32":
        return torch.float32
    if settings.dtype == "bfloat16" or device == "cuda" or native_bf16():
        return torch.bfloat16
    return torch.float32


def openvino_takes_bf16(settings: ModelSettings) -> bool:
    """Tell whether OpenVINO computes the networks in bfloat16; else it takes float32."""
    return settings.dtype == "bfloat16" or (settings.dtype == "auto" and native_bf16())


def native_bf16() -> bool:
    """Tell whether this processor has instructions that multiply bfloat16 matrices.

    These are AVX512-BF16 and AMX-BF16 on x86, and the BF16 extension on Arm. Without them libraries
    emulate bfloat16, which is slower than float32.
    """
    import torch

    found = torch.cpu.get_capabilities()
    return any(bool(found.get(flag)) for flag in ("avx512_bf16", "amx_bf16", "bf16"))
