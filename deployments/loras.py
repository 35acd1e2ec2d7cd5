"""How a request names a LoRA of its model: `name`, or `name:scale`."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = r"[A-Za-z0-9_-]{1,64}"
"""What a LoRA may be called."""

_NUMBER = r"-?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?"

LORA = rf"^{NAME}(?::{_NUMBER})?$"
"""The same with a number behind it, or without."""

MOST_SCALE = 2.0
"""Of a request: scales are -MOST_SCALE to MOST_SCALE."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA that an image is made with.

    Attributes:
        name: One of its model's.
        scale: The factor of what it adds, -MOST_SCALE to MOST_SCALE.
    """

    name: str
    scale: float

    def __str__(self) -> str:
        """As a request has it."""
        return f"{self.name}:{self.scale!r}"


def read_lora(text: str) -> tuple[str, float | None]:
    """Read what a request names.

    Args:
        text: As it was sent.

    Returns:
        The name, and the scale; None where it has none.

    Raises:
        ValueError: It is no name, or its scale is no number or out of range.
    """
    if re.fullmatch(LORA, text) is None:
        raise ValueError(text)
    name, colon, number = text.partition(":")
    if not colon:
        return name, None
    scale = float(number)
    if abs(scale) > MOST_SCALE:
        raise ValueError(text)
    return name, scale
