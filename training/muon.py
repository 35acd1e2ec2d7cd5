"""Muon in single precision (Jordan et al. 2024), for processors that do not compute in bfloat16.

torch.optim.Muon orthogonalises in bfloat16, which such processors imitate: half of a step's time.
"""

from collections.abc import Iterable

import torch
from torch import nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration in the paper
_ITERATIONS = 5
_MOMENTUM = 0.95


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """A float32 matrix [M, N] with its singular values brought near 1 (about 0.7 to 1.2)."""
    tall = matrix.size(0) > matrix.size(1)
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    first, second, third = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = found @ found.T
        update = torch.addmm(gram, gram, gram, beta=second, alpha=third)
        found = torch.addmm(found, update, found, beta=first)
    return found.T if tall else found


class Muon(torch.optim.Optimizer):
    """What torch.optim.Muon does with Nesterov momentum and `match_rms_adamw`, in float32.

    Args:
        params: matrices.
        lr: rate, of the size that AdamW's would have.
        weight_decay: share of a weight that goes with each step, times the rate.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # takes no closure
        """Follow the gradients that there are."""
        for group in self.param_groups:
            rate = group["lr"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                mean = state.setdefault("momentum_buffer", torch.zeros_like(matrix.grad))
                mean.lerp_(matrix.grad, 1 - _MOMENTUM)
                ahead = orthogonalised(matrix.grad.lerp(mean, _MOMENTUM))
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(ahead, alpha=-0.2 * rate * max(matrix.shape) ** 0.5)
