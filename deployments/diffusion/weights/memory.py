"""How running out of memory is told from other failures."""

from __future__ import annotations

import torch

_SIGNS = ("can't allocate memory", "not enough memory", "bad_alloc", "bad allocation")


def is_memory_shortage(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out.

    On a CPU neither torch nor OpenVINO has a class for this, so their texts are read.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error) for sign in _SIGNS)
