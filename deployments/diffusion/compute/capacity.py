"""How many rows one forward pass may take, by the size of the picture."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from deployments.diffusion.compute.networks import OutOfMemory, within_memory
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import MOST_ROWS, ModelSettings

logger = logging.getLogger(__name__)

FEWEST_ROWS = 2
"""A guided job's rows: with fewer it could never run."""

_ROWS_UNMEASURED = 16
_MARGIN = 0.1
"""Share of a device's whole memory that stays unused, because fragmentation wastes some."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The device memory that forward passes of one size take, besides the weights.

    Attributes:
        two: Peak bytes of a pass of two rows.
        four: Peak bytes of a pass of four rows.
        beside: Peak bytes of encoding and decoding one picture each, which run at the same time.
    """

    two: int
    four: int
    beside: int

    def rows(self, spare: int, area: float) -> int:
        """Count the rows that fit.

        A pass takes a fixed part and an equal part for each row. Both are assumed to grow with the
        area: activations do, and attention is computed in pieces that are no larger.

        Args:
            spare: Bytes that are free.
            area: The picture's area, as a multiple of the measured size's.

        Returns:
            At least `FEWEST_ROWS` and at most `MOST_ROWS`.
        """
        row = max((self.four - self.two) / 2, 1.0)
        fixed = max(self.two - 2 * row, 0.0)
        fitting = (spare / area - self.beside - fixed) / row
        return max(FEWEST_ROWS, min(MOST_ROWS, int(fitting)))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model runs so that the memory of its passes can be measured.

    Attributes:
        device: Where it runs.
        pixels: Those of all pictures that the network sees for a picture of the model's size.
        forward: Makes the input of so many rows of that size, and returns what runs them.
        beside: What runs at the same time as a forward, each once: an encoding and a decoding.
    """

    device: torch.device
    pixels: int
    forward: Callable[[int], Callable[[], object]]
    beside: Sequence[Callable[[], object]]


def rows_capacity(trial: Trial, settings: ModelSettings) -> Callable[..., int]:
    """Find out how many rows a forward pass may take.

    `max_rows` holds for a picture of size x size. A larger picture takes fewer rows, in proportion
    to its area; a smaller one takes no more. Without `max_rows`, passes of two and four rows are
    measured on a CUDA device, not compiled, because that takes the most memory. Elsewhere it is 16.

    Args:
        trial: What is measured.
        settings: The model's size and `max_rows`.

    Returns:
        The sides in pixels of a picture and of those beside it to rows, at least 2.

    Raises:
        WeightsError: Not even two rows fit into the device's memory.
    """
    device, whole = trial.device, trial.pixels
    if settings.max_rows is None and device.type == "cuda":
        footprint = _measure(trial, settings)
        free, total = torch.cuda.mem_get_info(device)
        # torch can use what it holds in reserve.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        spare = int(free + reserve - _MARGIN * total)
        logger.info(
            "model %s takes up to %d rows of %d x %d in one pass",
            settings.id,
            footprint.rows(spare, 1),
            settings.size,
            settings.size,
        )
        return lambda *sides: footprint.rows(spare, pixels_in(sides) / whole)
    most = settings.max_rows or _ROWS_UNMEASURED
    return lambda *sides: max(FEWEST_ROWS, min(most, most * whole // pixels_in(sides)))


def pixels_in(sides: Sequence[int]) -> int:
    """Count the pixels of pictures by height, width, height, width and so on."""
    return sum(height * width for height, width in zip(sides[::2], sides[1::2], strict=True))


@torch.inference_mode()
def _measure(trial: Trial, settings: ModelSettings) -> Footprint:
    device = trial.device

    def peak(compute: Callable[[], object]) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        within_memory(compute)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before

    try:
        # The first pass also allocates workspaces that stay.
        within_memory(trial.forward(2))
        two = peak(trial.forward(2))
        beside = sum(peak(run) for run in trial.beside)
    except OutOfMemory:
        raise WeightsError(
            f"size: the weights of model {settings.id} leave too little GPU memory for pictures of "
            f"{settings.size} x {settings.size}; set a smaller size or a half precision as dtype"
        ) from None
    try:
        four = peak(trial.forward(4))
    except OutOfMemory:
        # The upper bound: as if all memory grew with the rows.
        four = 2 * two
    return Footprint(two, four, beside)
