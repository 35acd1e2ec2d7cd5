"""The steps of flow matching by Euler's method.

At time t a picture is t parts of noise and 1 - t of what is painted (Y. Lipman et al., "Flow
Matching for Generative Modeling", 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The steps of jobs with equal steps, strength and size, which share it.

    Attributes:
        times: Before each step and after the last, float32 [steps + 1], on the model's device.
        told: What the transformer is told at each step, [steps], in its type, on its device.
        steps: Number of steps.
    """

    times: torch.Tensor
    told: torch.Tensor
    steps: int

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, step: int) -> torch.Tensor:
        """Make clean tokens as noisy as they are before a step."""
        time = self.times.to(clean.dtype)[step]
        return time * noise + (1.0 - time) * clean

    def take(self, tokens: torch.Tensor, prediction: torch.Tensor, step: int) -> torch.Tensor:
        """Take a step, from single precision as the stock scheduler does."""
        length = self.times[step + 1] - self.times[step]
        return (tokens.to(torch.float32) + length * prediction).to(prediction.dtype)
