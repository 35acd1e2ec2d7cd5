"""What the processor computes well: bfloat16 in its instructions or not.

Knows no networks and no settings.
"""

from __future__ import annotations

import torch


def native_bf16() -> bool:
    """Tell whether this processor multiplies bfloat16 matrices in its own instructions.

    Those are AVX512-BF16 and AMX-BF16 on x86, and the BF16 extension on Arm. Without them libraries
    emulate bfloat16, slower than float32.
    """
    found = torch.cpu.get_capabilities()
    return any(bool(found.get(flag)) for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def best_dtype(device: torch.device) -> torch.dtype:
    """Choose what torch's own networks compute fastest in without visible loss.

    float16 on CUDA. On a CPU bfloat16 where `native_bf16`, else float32: with AVX512-BF16 it halves
    the time of convolutions of Stable Diffusion's size and leaves attention's as it is.
    """
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if native_bf16() else torch.float32
