"""Marks what stands out in a photo: what a finder is, and the bundled one, U2-Net-p."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from deployments.jobs import Mask, Pixels

WEIGHTS = Path(__file__).parent / "weights" / "u2netp.onnx"
"""The bundled U2-Net-p; `README.md` beside it names its source and licence."""

_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
_SIDE = 320
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

_SUSPECTED = 40
_NEAR_SHARE = 0.5


class WeightsDamaged(Exception):
    """The weights are missing or are not the file this code was made for."""


class Finder(Protocol):
    """What marks the product of a photo; safe to call from several threads."""

    @property
    def grid(self) -> int:
        """Cells along the longer side of what it sees: its marks are about as sharp as that."""

    def coarse(self, pixels: Pixels) -> Mask:
        """Mark what stands out.

        Args:
            pixels: uint8 [height, width, 3], sRGB, of any size from 1 x 1.

        Returns:
            uint8 [height, width]: 255 where it is sure of the product, 0 where it is sure of the
            rest.
        """


class ProductFinder:
    """U2-Net-p, which marks what stands out in a photo; safe to call from several threads.

    Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.

    Args:
        weights: The ONNX file.
        threads: Threads one call computes with, at least 1.

    Raises:
        WeightsDamaged: The file is missing, or its SHA-256 is not the known one.
    """

    grid = _SIDE

    def __init__(self, weights: Path = WEIGHTS, threads: int = 2) -> None:
        try:
            model = weights.read_bytes()
        except OSError as error:
            raise WeightsDamaged(f"cannot read the weights {weights}: {error}") from error
        if hashlib.sha256(model).hexdigest() != _SHA256:
            raise WeightsDamaged(f"the weights {weights} are damaged: their SHA-256 differs")
        # ONNX Runtime reports to its maker from its import on; only this stops it.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The arena would keep 170 MB more between calls, and is hardly faster.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._fused = self._session.get_outputs()[0].name

    def coarse(self, pixels: Pixels) -> Mask:
        """Mark what stands out.

        A small product is looked at again from nearer, which finds its thin parts.

        Args:
            pixels: uint8 [height, width, 3], sRGB, of any size from 1 x 1.

        Returns:
            uint8 [height, width]: 255 where the network is sure of the product, 0 where it is
            sure of the rest; about as sharp as a 320 x 320 picture.
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
        small = Image.fromarray(pixels).resize(
            (_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0
        )
        values = np.asarray(small, np.float32)
        values = (values / max(values.max(), 1.0) - _MEAN) / _DEVIATION
        feed = {self._input: np.ascontiguousarray(values.transpose(2, 0, 1)[None])}
        (output,) = self._session.run([self._fused], feed)
        marked = Image.fromarray(np.rint(output[0, 0] * 255).clip(0, 255).astype(np.uint8))
        size = (pixels.shape[1], pixels.shape[0])
        return np.asarray(marked.resize(size, Image.Resampling.BICUBIC))
