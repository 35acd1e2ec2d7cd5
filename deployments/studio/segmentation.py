"""Finds the product of a photo: the caller's mask, the upload's transparency, or U2-Net-p."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.doubts import (
    LEAST_LEFT_OUT,
    MOST_SEEN_THROUGH,
    UNSURE_BELOW,
    Ground,
    certainty,
    ground_of,
    left_out,
    seen_through,
)
from deployments.studio.foreground import cut_out
from deployments.studio.marks import (
    SEEN,
    alpha_of_mask,
    alpha_of_transparency,
    is_opposite,
    may_be_inverted,
)
from deployments.studio.matting import refine

WEIGHTS = Path(__file__).parent / "weights" / "u2netp.onnx"
"""The bundled U2-Net-p; `README.md` beside it names its source and licence."""

_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
_SIDE = 320
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

_SUSPECTED = 40
_NEAR_SHARE = 0.5
_LEAST_SHARE = 0.002
_LEAST_SHARE_NEARER = 0.0002
_MOST_SHARE = 0.95
_REACH_CELLS = 3
"""How far off the network's outline may be, in cells of its grid."""

INVERTED = (
    "product_mask seems to be inverted: it leaves out what stands out in the photo, and keeps the"
    " rest; white marks the product that is kept"
)
ALL_OPAQUE = (
    "{:.0%} of the upload is opaque and kept as it is, so only its transparent part is painted;"
    " upload a photo without transparency, or mark the product with product_mask"
)
UNSURE = (
    "it is not certain what the product is: check the images, and mark it with product_mask if they"
    " keep the wrong thing"
)
SMALL = (
    "the product is only {:.1%} of the photo, so little of it can be seen; a photo from nearer"
    " gives better images"
)
THIN_LEFT_OUT = (
    "a thin part in the photo, such as a chain, strap, cable or stem, was left out of the product;"
    " mark all of it with product_mask to keep it"
)
PARTS_LEFT_OUT = (
    "something beside the product was left out; mark all that belongs to it with product_mask to"
    " keep it"
)
SEEN_THROUGH = (
    "much of the product looks like what is behind it: glass and openings keep the old background;"
    " mark glass in grey and openings in black with product_mask"
)


class WeightsDamaged(Exception):
    """The weights are missing or are not the file this code was made for."""


class ProductNotFound(Exception):
    """A photo shows nothing that could be its product."""


class ProductFinder:
    """U2-Net-p, which marks what stands out in a photo; safe to call from several threads.

    Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.

    Args:
        weights: The ONNX file.
        threads: Threads one call computes with, at least 1.

    Raises:
        WeightsDamaged: The file is missing, or its SHA-256 is not the known one.
    """

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


def find_product(photo: Photo, given: Mask | None, finder: ProductFinder) -> Product:
    """Cut the product out of a photo.

    The caller's mask counts before the upload's transparency, and that before the finder.

    Args:
        photo: A clean picture.
        given: uint8 [height, width] at the photo's size, which `marks.check_given` accepts: 255
            marks the product, values between are its alpha; None when the caller sent none.
        finder: Asked when neither mask nor transparency says what the product is, and when the
            mask may be inverted.

    Returns:
        The product at the photo's size, with warnings about what there is to doubt.

    Raises:
        ProductNotFound: There is no mask, and the upload is transparent everywhere, or the finder
            marks almost nothing, or almost everything.
    """
    if given is not None:
        product = cut_out(photo, alpha_of_mask(photo.pixels, given))
        if may_be_inverted(given) and is_opposite(given, finder.coarse(photo.pixels)):
            return replace(product, warnings=(INVERTED,))
        return product
    if photo.alpha is not None and photo.alpha.max() < SEEN:
        raise ProductNotFound("the upload is transparent everywhere")
    alpha = alpha_of_transparency(photo)
    if alpha is not None:
        product = cut_out(photo, alpha)
        opaque = np.count_nonzero(alpha >= 250) / alpha.size
        if opaque > _MOST_SHARE:
            return replace(product, warnings=(ALL_OPAQUE.format(opaque),))
        return product
    return _searched(photo, finder)


def _searched(photo: Photo, finder: ProductFinder) -> Product:
    """What stands out in a photo, with what there is to doubt about it."""
    seen = finder.coarse(photo.pixels)
    coarse = _without_specks(seen)
    reach = max(2, round(_REACH_CELLS * max(coarse.shape) / _SIDE))
    alpha = refine(photo.pixels, coarse, reach)
    ground = ground_of(photo.pixels, coarse)
    nearer = False
    if np.count_nonzero(alpha >= 128) < _LEAST_SHARE * alpha.size and ground is not None:
        nearer = True
        alpha = _looked_at_nearer(photo.pixels, ground, finder)
    share = np.count_nonzero(alpha >= 128) / alpha.size
    if share < (_LEAST_SHARE_NEARER if nearer else _LEAST_SHARE):
        raise ProductNotFound("nothing in the photo stands out")
    if share > _MOST_SHARE:
        raise ProductNotFound(f"what stands out is {share:.0%} of the photo, all but its edges")
    warnings = []
    if nearer:
        warnings.append(SMALL.format(share))
    elif certainty(seen) < UNSURE_BELOW:
        warnings.append(UNSURE)
    if ground is not None:
        warnings.extend(_doubts(ground, alpha))
    return replace(cut_out(photo, alpha), found=True, warnings=tuple(warnings))


def _doubts(ground: Ground, alpha: Mask) -> list[str]:
    rest = left_out(ground, alpha)
    told = {
        THIN_LEFT_OUT: rest.thin >= LEAST_LEFT_OUT,
        PARTS_LEFT_OUT: rest.separate >= LEAST_LEFT_OUT,
        SEEN_THROUGH: seen_through(ground, alpha) >= MOST_SEEN_THROUGH,
    }
    return [warning for warning, true in told.items() if true]


def _looked_at_nearer(pixels: Pixels, ground: Ground, finder: ProductFinder) -> Mask:
    """The alpha of what differs from a plain ground, and is too small to be seen in the whole."""
    height, width = pixels.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    left, top, wide, high = left_out(ground, alpha).box
    if wide == 0:
        return alpha
    margin = 0.5 * max(wide * width, high * height)
    box = (
        slice(round(max(0, top * height - margin)), round((top + high) * height + margin)),
        slice(round(max(0, left * width - margin)), round((left + wide) * width + margin)),
    )
    coarse = _without_specks(finder.coarse(pixels[box]))
    reach = max(2, round(_REACH_CELLS * max(coarse.shape) / _SIDE))
    alpha[box] = refine(pixels[box], coarse, reach)
    return alpha


def _without_specks(marked: Mask) -> Mask:
    """Drop what is not 0.5 % of the largest connected part."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats((marked >= 128).astype(np.uint8))
    areas = facts[:, cv2.CC_STAT_AREA]
    kept = areas >= 0.005 * areas[1:].max(initial=0)
    kept[0] = True
    return np.where(kept[parts], marked, np.uint8(0))
