"""What a transformer remembers of several jobs' references, given to it as one forward pass.

Remembered are keys and values of attention, [1, tokens, heads, width] of each block, in diffusers'
Flux2KVCache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class RowMemories:
    """Stands for the Flux2KVCache of all rows; one block's is put together when it is asked for.

    So no more than one block's keys and values are in memory a second time.

    Args:
        rows: The memory of each row; all of equally many tokens.
    """

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows
        self.num_ref_tokens: int = rows[0].num_ref_tokens

    def get_double(self, block: int) -> _Block:
        """Of a block with two streams."""
        return _Block([row.get_double(block) for row in self._rows])

    def get_single(self, block: int) -> _Block:
        """Of a block with one stream."""
        return _Block([row.get_single(block) for row in self._rows])


class _Block:
    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def get(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values, [rows, tokens, heads, width] each."""
        first, count = self._rows[0], len(self._rows)
        if all(row is first for row in self._rows):
            keys, values = first.get()
            return keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1)
        keys, values = zip(*(row.get() for row in self._rows), strict=True)
        return torch.cat(keys), torch.cat(values)
