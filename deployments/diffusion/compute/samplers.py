"""Which sampler a job gets: the scheduler itself, or a table that jobs of equal settings share."""

from __future__ import annotations

from functools import lru_cache

import torch

from deployments.diffusion.compute.sampling import (
    Sampler,
    Scheduler,
    StepTable,
    StockSampler,
    TableSampler,
    on_device,
    tabulate,
)
from deployments.diffusion.compute.transfer import to_device

_KEPT_TABLES = 64


class Samplers:
    """Starts the samplers of jobs.

    Args:
        scheduler: The pattern; it is not changed.
        device: Where the latents are.
        dtype: Of the latents before the first step.
        by_table: Sample by tables and not by the stock scheduler. They never wait for the device,
            and round differently from the stock pipeline. None does so on CUDA only.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        device: torch.device,
        dtype: torch.dtype,
        by_table: bool | None = None,
    ) -> None:
        self._scheduler, self._device, self._dtype = scheduler, device, dtype
        self._by_table = device.type == "cuda" if by_table is None else by_table
        self._table = lru_cache(_KEPT_TABLES)(self._tabulate)

    def start(
        self, steps: int, skipped: int, generator: torch.Generator, shape: tuple[int, ...]
    ) -> Sampler:
        """Start a job's sampler.

        Args:
            steps: Scheduler steps of a full run.
            skipped: How many of them the job leaves out at its start.
            generator: The source of the steps' noise, on the CPU.
            shape: Of the latents.
        """
        if not self._by_table:
            return StockSampler(self._scheduler, steps, skipped, generator)
        table = self._table(steps, skipped)
        if not table.draws:
            return TableSampler(table, None)
        # All at once: draws at each step would delay the steps of other jobs.
        noises = [
            torch.randn(shape, generator=generator, dtype=self._dtype) for _ in table.timesteps
        ]
        return TableSampler(table, to_device(torch.cat(noises), self._device))

    def _tabulate(self, steps: int, skipped: int) -> StepTable:
        # Half precision loses digits where the weighted sums cancel.
        precision = torch.promote_types(self._dtype, torch.float32)
        return on_device(tabulate(self._scheduler, steps, skipped), self._device, precision)
