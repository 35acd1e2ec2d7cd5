"""Samplers of single jobs: diffusers' own scheduler, or the same arithmetic as tables of weights.

A sampler takes a job's latents from step to step. Steps are counted from the first that the job
takes.

About the tables: each step of the supported schedulers is linear in the latents, the prediction,
the noise it draws and the tensors it remembers. So one matrix describes a step. The matrices are
found by running the scheduler on unit vectors; its formulas are not repeated here. A step is then a
weighted sum of tensors that stay on the device. The scheduler itself reads numbers back from there.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from deployments.diffusion.compute.transfer import to_device

Scheduler = Any
"""One of diffusers' schedulers. Their common base class has none of their methods."""

_LARGE = 2.0**20
"""Length of the unit vectors. Noise is small beside it, so its rounding does not change weights."""


class Sampler(Protocol):
    """Takes one job's latents [1, channels, height, width] from noise to picture."""

    @property
    def timesteps(self) -> tuple[float, ...]:
        """The time that the networks are told at each step of the job."""
        ...

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, step: int) -> torch.Tensor:
        """Make clean latents as noisy as they are before step 0 or before the next step."""
        ...

    def pure(self, noise: torch.Tensor) -> torch.Tensor:
        """Make the latents before step 0 from noise alone."""
        ...

    def scaled(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        """Scale latents as the networks want them at a step; repeating it is harmless."""
        ...

    def take(self, latents: torch.Tensor, prediction: torch.Tensor, step: int) -> torch.Tensor:
        """Take a step and return the latents after it; each step once, in order."""
        ...


class StockSampler:
    """A copy of a diffusers scheduler; bit for bit what the stock pipelines compute.

    Args:
        scheduler: The pattern; it is not changed.
        steps: Scheduler steps of a full run.
        skipped: How many of them the job leaves out at its start.
        generator: The source of the steps' noise, on the CPU.
    """

    def __init__(
        self, scheduler: Scheduler, steps: int, skipped: int, generator: torch.Generator
    ) -> None:
        self._scheduler = begin(scheduler, steps, skipped)
        self._timesteps = self._scheduler.timesteps[skipped * scheduler.order :]
        draws = takes_generator(scheduler)
        self._options = {"generator": generator} if draws else {}

    @property
    def timesteps(self) -> tuple[float, ...]:
        """See `Sampler`."""
        return tuple(self._timesteps.tolist())

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`; in the dtype of `clean`."""
        made: torch.Tensor = self._scheduler.add_noise(
            clean, noise, self._timesteps[step : step + 1]
        )
        return made

    def pure(self, noise: torch.Tensor) -> torch.Tensor:
        """See `Sampler`."""
        made: torch.Tensor = noise * self._scheduler.init_noise_sigma
        return made

    def scaled(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`."""
        made: torch.Tensor = self._scheduler.scale_model_input(latents, self._timesteps[step])
        return made

    def take(self, latents: torch.Tensor, prediction: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`."""
        made: torch.Tensor = self._scheduler.step(
            prediction, self._timesteps[step], latents, **self._options, return_dict=False
        )[0]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class StepTable:
    """All numbers of a scheduler's run; jobs with equal steps and strength share it.

    Attributes:
        timesteps: The time of each step.
        levels: For each step the weights of clean latents and of noise before it.
        pure: The weight of noise in latents that start from noise alone.
        scales: The factor of the networks' input at each step.
        matrices: For each step [remembered after it and 1, remembered before it and 2 or 3]: a row
            for each tensor that the next steps need and, last, one for the latents; a column for
            each tensor remembered, then the latents, the prediction and, if `draws`, the noise.
        draws: Whether the steps draw noise.
    """

    timesteps: tuple[float, ...]
    levels: tuple[tuple[float, float], ...]
    pure: float
    scales: tuple[float, ...]
    matrices: tuple[torch.Tensor, ...]
    draws: bool


class TableSampler:
    """A scheduler's run by its table; it reads no number back from the device.

    Args:
        table: Its matrices are on the device of the latents. Steps are computed in their dtype, and
            from the first step on the latents have it too.
        draws: The noise of each step, [steps, channels, height, width], on that device; None when
            the table needs none.
    """

    def __init__(self, table: StepTable, draws: torch.Tensor | None) -> None:
        if table.draws and draws is None:
            raise ValueError("the scheduler draws noise, and there is none")
        self._table = table
        self._draws = draws
        self._dtype = table.matrices[0].dtype
        self._remembered: list[torch.Tensor] = []

    @property
    def timesteps(self) -> tuple[float, ...]:
        """See `Sampler`."""
        return self._table.timesteps

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`."""
        of_clean, of_noise = self._table.levels[step]
        return of_clean * clean.to(self._dtype) + of_noise * noise.to(self._dtype)

    def pure(self, noise: torch.Tensor) -> torch.Tensor:
        """See `Sampler`."""
        return self._table.pure * noise.to(self._dtype)

    def scaled(self, latents: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`."""
        return self._table.scales[step] * latents

    def take(self, latents: torch.Tensor, prediction: torch.Tensor, step: int) -> torch.Tensor:
        """See `Sampler`."""
        known = [*self._remembered, latents, prediction]
        if self._table.draws and self._draws is not None:
            known.append(self._draws[step : step + 1])
        inputs = torch.cat([one.to(self._dtype) for one in known])
        # Not a matrix product: a GPU may be set to compute that with ten bits.
        weights = self._table.matrices[step][:, :, None, None, None]
        *self._remembered, made = torch.split((weights * inputs).sum(dim=1), 1)
        return made


def begin(scheduler: Scheduler, steps: int, skipped: int) -> Scheduler:
    """Copy a scheduler and set the copy to the first step of a job; its numbers stay on the CPU."""
    started = copy.deepcopy(scheduler)
    started.set_timesteps(steps)
    if hasattr(started, "set_begin_index"):
        started.set_begin_index(skipped * started.order)
    return started


def takes_generator(scheduler: Scheduler) -> bool:
    """Tell whether a scheduler's steps may draw noise."""
    return "generator" in inspect.signature(scheduler.step).parameters


def tabulate(scheduler: Scheduler, steps: int, skipped: int) -> StepTable:
    """Find the numbers of a scheduler's run.

    Args:
        scheduler: The pattern; it is not changed. Its steps must be linear in their inputs.
        steps: Scheduler steps of a full run.
        skipped: How many of them the job leaves out at its start.

    Returns:
        Matrices in float64 on the CPU.
    """
    run = begin(scheduler, steps, skipped)
    timesteps = run.timesteps[skipped * scheduler.order :]
    pure = float(run.init_noise_sigma)
    clean, noise = torch.eye(2, dtype=torch.float64).view(2, 1, 1, 1, 2)
    levels, scales, matrices = [], [], []
    shape = (1, 1, 1, 0)
    for step, timestep in enumerate(timesteps):
        of_clean, of_noise = run.add_noise(clean, noise, timesteps[step : step + 1]).flatten()
        levels.append((float(of_clean), float(of_noise)))
        one = torch.ones((1, 1, 1, 1), dtype=torch.float64)
        scales.append(float(run.scale_model_input(one, timestep)))

        remembered = _remembered(run, shape)
        known = len(remembered) + 2
        # No unit vector has the last coordinate, so only the noise can change it.
        shape = (1, 1, 1, known + 1)
        units = torch.eye(known, known + 1, dtype=torch.float64).mul(_LARGE).view(known, *shape)
        for (holder, key), unit in zip(remembered, units, strict=False):
            holder[key] = unit
        options = {}
        drawn = torch.zeros(known + 1, dtype=torch.float64)
        drawn[-1] = 1.0
        if takes_generator(run):
            generator = torch.Generator().manual_seed(step)
            options["generator"] = generator.clone_state()
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64).flatten()
        sample, prediction = units[-2:]
        made = run.step(prediction, timestep, sample, **options, return_dict=False)[0]
        results = [*(holder[key] for holder, key in _remembered(run, shape)), made]
        rows = torch.cat(results).view(-1, known + 1).double()
        of_draw = rows[:, -1:] / drawn[-1]
        linear = (rows - of_draw * drawn)[:, :-1] / _LARGE
        matrices.append(torch.cat([linear, of_draw], dim=1))

    draws = any(bool((matrix[:, -1] != 0).any()) for matrix in matrices)
    if not draws:
        matrices = [matrix[:, :-1] for matrix in matrices]
    needed: list[int] = []
    for step in reversed(range(len(matrices))):
        matrix = matrices[step]
        matrix = matrix[[*needed, len(matrix) - 1]]
        olds = matrix.shape[1] - (3 if draws else 2)
        needed = [column for column in range(olds) if bool((matrix[:, column] != 0).any())]
        matrices[step] = matrix[:, [*needed, *range(olds, matrix.shape[1])]]
    return StepTable(
        tuple(timesteps.tolist()), tuple(levels), pure, tuple(scales), tuple(matrices), draws
    )


def on_device(table: StepTable, device: torch.device, dtype: torch.dtype) -> StepTable:
    """Copy a table's matrices to a device, all in one transfer.

    Args:
        table: With its matrices on the CPU.
        device: Where the latents are.
        dtype: The type in which steps are computed.
    """
    sizes = [matrix.numel() for matrix in table.matrices]
    flat = torch.cat([matrix.flatten() for matrix in table.matrices]).to(dtype)
    parts = torch.split(to_device(flat, device), sizes)
    matrices = tuple(
        part.view(matrix.shape) for part, matrix in zip(parts, table.matrices, strict=True)
    )
    return dataclasses.replace(table, matrices=matrices)


def _remembered(scheduler: Scheduler, shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Find the attributes and list items where a scheduler keeps tensors like the latents."""
    places: list[tuple[Any, Any]] = []
    attributes = vars(scheduler)
    for name, value in attributes.items():
        places.append((attributes, name))
        if isinstance(value, list):
            places += [(value, place) for place in range(len(value))]
    return [
        (holder, key)
        for holder, key in places
        if isinstance(holder[key], torch.Tensor) and holder[key].shape == shape
    ]
