"""How many rows one forward pass may take, by the size of the picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from deployments.diffusion.compute.networks import (
    OutOfMemory,
    TorchNetworks,
    example_rows,
    within_memory,
)
from deployments.diffusion.weights.components import Components
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


def rows_capacity(components: Components, settings: ModelSettings) -> Callable[[int, int], int]:
    """Find out how many rows a forward pass may take.

    `max_rows` holds for a picture of size x size. A larger picture takes fewer rows, in proportion
    to its area; a smaller one takes no more. Without `max_rows`, passes of two and four rows are
    measured on a CUDA device, not compiled, because that takes the most memory. Elsewhere it is 16.

    Args:
        components: The loaded model.
        settings: Its size and `max_rows`.

    Returns:
        Height and width in pixels to rows, at least 2.

    Raises:
        WeightsError: Not even two rows fit into the device's memory.
    """
    whole = settings.size**2
    if settings.max_rows is None and components.device.type == "cuda":
        footprint = _measure(components, settings)
        free, total = torch.cuda.mem_get_info(components.device)
        # torch can use what it holds in reserve.
        reserve = torch.cuda.memory_reserved(components.device)
        reserve -= torch.cuda.memory_allocated(components.device)
        spare = int(free + reserve - _MARGIN * total)
        logger.info(
            "model %s takes up to %d rows of %d x %d in one pass",
            settings.id,
            footprint.rows(spare, 1),
            settings.size,
            settings.size,
        )
        return lambda height, width: footprint.rows(spare, height * width / whole)
    most = settings.max_rows or _ROWS_UNMEASURED
    return lambda height, width: max(FEWEST_ROWS, min(most, most * whole // (height * width)))


@torch.inference_mode()
def _measure(components: Components, settings: ModelSettings) -> Footprint:
    networks = TorchNetworks(components.unet, components.controlnet)
    side = settings.size // components.shrinks
    controlled = components.controlnet is not None
    vae = components.vae
    picture = torch.zeros(
        1, 3, settings.size, settings.size, dtype=vae.dtype, device=components.device
    )
    latents = torch.zeros(
        1, components.latent_channels, side, side, dtype=vae.dtype, device=components.device
    )

    def peak(compute: Callable[[], object]) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(components.device)
        before = torch.cuda.memory_allocated(components.device)
        within_memory(compute)
        torch.cuda.synchronize(components.device)
        return torch.cuda.max_memory_allocated(components.device) - before

    def passing(count: int) -> Callable[[], object]:
        rows = example_rows(components, count, side, side, controlled=controlled)
        return lambda: networks.predict(rows)

    try:
        # The first pass also allocates workspaces that stay.
        within_memory(passing(2))
        two = peak(passing(2))
        beside = peak(lambda: vae.encode(picture)) + peak(lambda: vae.decode(latents))
    except OutOfMemory:
        raise WeightsError(
            f"size: the weights of model {settings.id} leave too little GPU memory for pictures of "
            f"{settings.size} x {settings.size}; set a smaller size or dtype float16"
        ) from None
    try:
        four = peak(passing(4))
    except OutOfMemory:
        # The upper bound: as if all memory grew with the rows.
        four = 2 * two
    return Footprint(two, four, beside)
