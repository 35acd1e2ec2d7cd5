"""Copies from the CPU to a device for which no thread waits."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to a device, after the work that was queued on it before.

    The calling thread waits for a copy from pageable memory, but not for one from pinned memory.

    Args:
        tensor: On the CPU.
        device: Its current stream does the copy.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
