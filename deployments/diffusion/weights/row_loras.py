"""LoRAs beside the weights of networks: each row of a forward pass has one of them, or none.

A layer computes its own result for all rows at once. Then it adds to the rows that have a LoRA what
the LoRA makes of their input, times their scales. The arithmetic and its roundings are those of a
stock pipeline with that one LoRA active. Other rows are not touched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import torch

from deployments.errors import InvalidRequest
from deployments.loras import Lora


@dataclass(frozen=True, slots=True)
class Beside:
    """One LoRA that was loaded beside the weights.

    Attributes:
        adapter: What its tensors are called in the layers.
        reads_texts: Whether it changes a text encoder.
        numbers: How many it has.
    """

    adapter: str
    reads_texts: bool
    numbers: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows beside each other that have one LoRA.

    Attributes:
        adapter: See `Beside`.
        rows: Which rows.
        scales: Of rows among these beside each other: which, and their common scale.
    """

    adapter: str
    rows: slice
    scales: tuple[tuple[slice, float], ...]


class RowLoras:
    """The LoRAs of one model's networks, and which rows of the present forward pass have them.

    Every thread has a forward pass of its own: texts are encoded beside the steps.

    Args:
        loaded: The LoRAs by their names.
    """

    def __init__(self, loaded: Mapping[str, Beside] = MappingProxyType({})) -> None:
        self._loaded = loaded
        self._present = threading.local()

    @property
    def names(self) -> tuple[str, ...]:
        """What the LoRAs are called."""
        return tuple(self._loaded)

    @property
    def largest(self) -> Lora | None:
        """The one with the most numbers, at its full scale; None without any."""
        if not self._loaded:
            return None
        return Lora(max(self._loaded, key=lambda name: self._loaded[name].numbers), 1.0)

    def check(self, lora: Lora | None) -> None:
        """Refuse a LoRA that is not there.

        Raises:
            InvalidRequest: It names the known ones.
        """
        if lora is not None and lora.name not in self._loaded:
            known = f"it has {', '.join(self._loaded)}" if self._loaded else "it has none"
            raise InvalidRequest(f"lora: this model has no LoRA {lora.name!r}: {known}")

    def of_texts(self, lora: Lora | None) -> Lora | None:
        """The same LoRA where it changes a text encoder, else None."""
        return lora if lora is not None and self._loaded[lora.name].reads_texts else None

    @contextmanager
    def given_to(self, rows: Sequence[Lora | None]) -> Iterator[None]:
        """Give the rows of the forward passes of this block, on this thread, their LoRAs.

        Args:
            rows: One for each row, None for none. Rows with one LoRA are computed together where
                they follow each other. Empty where no row has one.

        Raises:
            ValueError: There is no such LoRA.
        """
        self._present.rows, self._present.runs = len(rows), tuple(self._runs(rows))
        try:
            yield
        finally:
            self._present.runs = ()

    def runs(self, rows: int) -> tuple[_Run, ...]:
        """The rows that have LoRAs, for a layer.

        Args:
            rows: How many the layer was given.

        Raises:
            ValueError: It is another number than that of the forward pass.
        """
        runs: tuple[_Run, ...] = getattr(self._present, "runs", ())
        if runs and rows != self._present.rows:
            raise ValueError(f"LoRAs of {self._present.rows} rows, and a layer with {rows}")
        return runs

    def _runs(self, rows: Sequence[Lora | None]) -> Iterator[_Run]:
        end = 0
        for name, run in groupby(None if one is None else one.name for one in rows):
            first, end = end, end + len(list(run))
            if name is None:
                continue
            if name not in self._loaded:
                raise ValueError(f"there is no LoRA {name}")
            scales, last = [], 0
            for scale, equal in groupby(one.scale for one in rows[first:end] if one is not None):
                start, last = last, last + len(list(equal))
                scales.append((slice(start, last), scale))
            yield _Run(self._loaded[name].adapter, slice(first, end), tuple(scales))


class RowTerm(torch.nn.Module):
    """What one LoRA adds to one layer: `up(down(rows))` times scale * alpha / divisor.

    Args:
        down: To the rank; a layer of the kind that it is added to.
        up: From the rank.
        alpha: See above.
        divisor: See above.
    """

    def __init__(
        self, down: torch.nn.Module, up: torch.nn.Module, alpha: float, divisor: float
    ) -> None:
        super().__init__()
        self.down, self.up = down, up
        self._alpha, self._divisor = alpha, divisor

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return sum(tensor.numel() for tensor in self.parameters())

    @property
    def finite(self) -> bool:
        """Whether none of them is NaN or infinity."""
        return all(bool(tensor.isfinite().all()) for tensor in self.parameters())

    def forward(self, rows: torch.Tensor, scales: Sequence[tuple[slice, float]]) -> torch.Tensor:
        """Compute the term: [rows, ...] to [rows, ...].

        Args:
            rows: The input of the layer.
            scales: Which of them have which scale.
        """
        added: torch.Tensor = self.up(self.down(rows))
        for equal, scale in scales:
            # A number, and not a tensor of them: it is rounded as in the stock layer.
            added[equal] *= scale * self._alpha / self._divisor
        return added


class RowLoraLayer(torch.nn.Module):
    """A linear or convolutional layer with LoRAs beside it.

    Args:
        layer: The layer itself.
        terms: What its LoRAs add, by their `adapter`.
        loras: Which rows have which.
    """

    def __init__(
        self, layer: torch.nn.Module, terms: Mapping[str, RowTerm], loras: RowLoras
    ) -> None:
        super().__init__()
        self.layer = layer
        self.terms = torch.nn.ModuleDict(terms)
        self._loras = loras

    @property
    def weight(self) -> torch.Tensor:
        """That of the layer itself."""
        return self.layer.weight  # type: ignore[return-value] # of every such layer

    @property
    def bias(self) -> torch.Tensor | None:
        """That of the layer itself."""
        return self.layer.bias  # type: ignore[return-value] # of every such layer

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute the layer, and what LoRAs add to their rows: [rows, ...] to [rows, ...]."""
        made: torch.Tensor = self.layer(rows)
        for run in self._loras.runs(len(rows)):
            if run.adapter in self.terms:
                made[run.rows] += self.terms[run.adapter](rows[run.rows], run.scales)
        return made
