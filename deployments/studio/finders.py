"""Marks what stands out in a photo: what a finder is, the bundled one, and any ONNX network."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from deployments.finder_settings import FinderSettings, Preparation
from deployments.jobs import Mask, Pixels
from deployments.studio.finder_networks import (
    NO_CUDA,
    Floats,
    Network,
    lacks_cuda,
    load_network,
    reason_of,
    runs_openvino,
)
from deployments.studio.finder_weights import (
    BUNDLED,
    BUNDLED_SHA256,
    FinderError,
    FinderMissing,
    find_file,
    local_file,
    read_file,
)

_SUSPECTED = 40
_NEAR_SHARE = 0.5
_SLACK = 0.01
"""How far a probability may be outside 0 to 1."""
_STEEPEST = 30.0
"""Beyond this a logit's sigmoid is 0 or 1 in float32, and its exponential may overflow."""

logger = logging.getLogger(__name__)


class Finder(Protocol):
    """What marks the product of a photo; safe to call from several threads."""

    @property
    def grid(self) -> int:
        """Cells along the longer side of what it sees: its marks are about as sharp as that."""

    @property
    def matte(self) -> bool:
        """Whether its marks are the product's alpha, and not only its rough outline."""

    def coarse(self, pixels: Pixels) -> Mask:
        """Mark what stands out.

        Args:
            pixels: uint8 [height, width, 3], sRGB, of any size from 1 x 1.

        Returns:
            uint8 [height, width]: 255 where it is sure of the product, 0 where it is sure of the
            rest.
        """


class NetworkFinder:
    """A salient-object or matting network; safe to call from several threads.

    Args:
        network: Takes and gives float32.
        preparation: What it wants to see, and how it answers.
        matte: Whether its answer is the product's alpha.
    """

    matte = False

    def __init__(self, network: Network, preparation: Preparation, *, matte: bool = False) -> None:
        self.matte = matte
        self._network = network
        self._preparation = preparation

    @property
    def grid(self) -> int:
        """See `Finder.grid`."""
        return max(self._preparation.size)

    def coarse(self, pixels: Pixels) -> Mask:
        """Mark what stands out.

        A small product is looked at again from nearer, which finds its thin parts.

        Args:
            pixels: uint8 [height, width, 3], sRGB, of any size from 1 x 1.

        Returns:
            uint8 [height, width]: 255 where the network is sure of the product, 0 where it is
            sure of the rest; about as sharp as a picture of the size that it sees.
        """
        marked = self._look(pixels)
        rows = np.flatnonzero((marked >= _SUSPECTED).any(axis=1))
        columns = np.flatnonzero((marked >= _SUSPECTED).any(axis=0))
        if rows.size == 0:
            return marked
        margin = round(0.25 * max(np.ptp(rows), np.ptp(columns)))
        box = (
            slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
            slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
        )
        near = pixels[box]
        if near.size > _NEAR_SHARE * pixels.size:
            return marked
        marked = np.zeros_like(marked)
        marked[box] = self._look(near)
        return marked

    def _look(self, pixels: Pixels) -> Mask:
        output = self._network.run(self._prepared(pixels))
        flat = output.reshape(output.shape[-2:])
        if self._preparation.values == "logits":
            flat = 1 / (1 + np.exp(-flat.clip(-_STEEPEST, _STEEPEST)))
        marked = Image.fromarray(np.rint(flat * 255).clip(0, 255).astype(np.uint8))
        size = (pixels.shape[1], pixels.shape[0])
        return np.asarray(marked.resize(size, Image.Resampling.BICUBIC))

    def _prepared(self, pixels: Pixels) -> Floats:
        """Float32 [1, 3, height, width], as the network wants to see a picture."""
        wanted = self._preparation
        small = Image.fromarray(pixels).resize(
            wanted.size, Image.Resampling.BILINEAR, reducing_gap=3.0
        )
        values = np.asarray(small, np.float32)
        scale = max(float(values.max()), 1.0) if wanted.scale == "peak" else wanted.scale
        mean, deviation = np.asarray((wanted.mean, wanted.deviation), np.float32)
        values = (values / np.float32(scale) - mean) / deviation
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])

    def prove(self, name: str) -> None:
        """Let the network look once, at a disc, and refuse an answer that is no mask.

        Args:
            name: What sentences call the network.

        Raises:
            FinderError: It fails, or answers with another shape or with other values.
        """
        width, height = self._preparation.size
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        scene = np.full((height, width, 3), (225, 220, 210), np.uint8)
        scene[np.hypot(x, y) < 0.5] = (150, 30, 30)
        try:
            output = self._network.run(self._prepared(scene))
        except Exception as error:
            logger.exception("the finder's first look failed")
            raise FinderError(f"finder.weights: {name} cannot run: {reason_of(error)}") from None
        if output.ndim < 2 or output.size != output.shape[-2] * output.shape[-1]:
            raise FinderError(
                f"finder.output: an output of {name} is {list(output.shape)}, and not one mask "
                "[1, 1, height, width]"
            )
        low, high = float(output.min()), float(output.max())
        probable = low >= -_SLACK and high <= 1 + _SLACK
        if not np.isfinite(output).all():
            raise FinderError(f"finder.values: {name} answers with values that are no numbers")
        if self._preparation.values == "probabilities" and not probable:
            raise FinderError(
                f"finder.values: {name} answers from {low:.3g} to {high:.3g}, which are logits or "
                "another kind, and no probabilities"
            )
        if self._preparation.values == "logits" and probable:
            raise FinderError(
                f"finder.values: {name} answers from {low:.3g} to {high:.3g}, which are "
                "probabilities, and no logits"
            )


class ProductFinder(NetworkFinder):
    """U2-Net-p, which is in this package; it sees 320 x 320 pixels.

    Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.

    Args:
        weights: The ONNX file.
        threads: Threads one call computes with, at least 1.
        settings: What runs it; `threads` counts, and not that of the settings.

    Raises:
        FinderError: The file is missing, its SHA-256 is not the known one, or it cannot run.
    """

    def __init__(
        self,
        weights: Path = BUNDLED,
        threads: int = 2,
        settings: FinderSettings = FinderSettings(),  # noqa: B008 - frozen
    ) -> None:
        model = read_file(weights, BUNDLED_SHA256)
        settings = settings.model_copy(update={"threads": threads})
        network = load_network(model, weights.name, settings)
        super().__init__(network, settings.preparation)

    @property
    def grid(self) -> int:
        """See `Finder.grid`."""
        return 320


def check_finder(settings: FinderSettings) -> None:
    """Check what can be checked of a finder here, without the Hub and without loading it.

    Raises:
        FinderMissing: A file or a package is missing.
        FinderError: The settings are wrong, or the file is another than they say.
    """
    file = local_file(settings)
    if file is not None and settings.sha256 is not None:
        read_file(file, settings.sha256)
    runs_openvino(settings)
    if settings.device == "cuda" and lacks_cuda():
        raise FinderMissing(NO_CUDA)


def load_finder(settings: FinderSettings) -> NetworkFinder:
    """Load the finder that a configuration names.

    Raises:
        FinderError: Its file is missing or another, or the network cannot run or does not fit.
    """
    if settings.bundled:
        return ProductFinder(threads=settings.threads, settings=settings)
    file = find_file(settings)
    model = read_file(file, settings.sha256)
    network = load_network(model, file.name, settings)
    finder = NetworkFinder(network, settings.preparation, matte=settings.matte)
    finder.prove(file.name)
    logger.info("products are found by %s, %s, on %s", settings.weights, file.name, settings.device)
    return finder
