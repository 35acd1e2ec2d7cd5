"""Copies from the CPU to a device that no thread waits for. Knows nothing of models or jobs."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to a device, behind the work that was given to it before.

    A copy from pageable memory makes the calling thread wait until the device has come to it; one
    from pinned memory does not.

    Args:
        tensor: On the CPU.
        device: Where to; its current stream does the copy.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
