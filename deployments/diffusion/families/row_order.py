"""The order of jobs in a forward pass: those with one LoRA beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch

from deployments.loras import Lora


class WithLora(Protocol):
    """A job between two of its steps.

    Attributes:
        lora: Its LoRA; None without.
    """

    lora: Lora | None


State = TypeVar("State", bound=WithLora)


def in_lora_order(
    batch: Sequence[State], predict: Callable[[Sequence[State]], Sequence[torch.Tensor]]
) -> list[torch.Tensor]:
    """Predict for jobs in an order in which each LoRA is computed once.

    Args:
        batch: The jobs.
        predict: Makes a prediction for each, in their order.

    Returns:
        The predictions in the order of `batch`.
    """
    order = sorted(range(len(batch)), key=lambda place: _place(batch[place].lora))
    predictions = dict(zip(order, predict([batch[place] for place in order]), strict=True))
    return [predictions[place] for place in range(len(batch))]


def _place(lora: Lora | None) -> tuple[str, float]:
    return ("", 0.0) if lora is None else (lora.name, lora.scale)
