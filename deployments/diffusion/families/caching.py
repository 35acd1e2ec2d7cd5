"""What is computed once and kept for the next jobs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from deployments.jobs import Mask, Pixels

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """The most recently used values. So the images of one request share their encodings.

    Args:
        size: How many are kept, at least 1.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Find a value, or make and keep it."""
        if key not in self._values:
            self._values[key] = make()
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]


def digest(pixels: Pixels | Mask) -> tuple[tuple[int, ...], bytes]:
    """What equal pictures or masks have in common, and no others: their shape and a BLAKE2b."""
    return pixels.shape, hashlib.blake2b(pixels.tobytes()).digest()
