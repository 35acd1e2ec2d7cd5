"""Takes what a model lets a product bleed into its scene out of that scene."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deployments.jobs import Mask, Pixels

_INSIDE = 2
"""Pixels of the product's outline that the scene shines through, or nearly."""
_REACH = 8
"""Pixels that a product bleeds into what is painted: a cell of the usual autoencoder."""
_END = 14
"""Pixels from the product at which the scene is as it was painted."""


def without_fringe(scene: Pixels, alpha: Mask) -> Pixels:
    """Let the scene's own colours go on up to the product.

    A model sees the product through an autoencoder whose cells are eight pixels wide, so it paints
    some of its colour around it. There the low frequencies come from the scene beyond; what is
    finer stays.

    Args:
        scene: uint8 [height, width, 3], as a model made it around a product that it was shown.
        alpha: uint8 [height, width] of that product, in the same frame at any size.

    Returns:
        uint8 [height, width, 3]: the scene, other than it was only within 14 pixels of the product
        and under its outline.
    """
    height, width = scene.shape[:2]
    shown = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    covered = (np.asarray(shown, np.uint8).reshape(height, width) > 2).astype(np.uint8)
    square = np.ones((2 * _INSIDE + 1, 2 * _INSIDE + 1), np.uint8)
    core = np.asarray(cv2.erode(covered, square), np.uint8)
    away = np.asarray(cv2.distanceTransform(1 - core, cv2.DIST_L2, 5), np.float32) - _INSIDE
    beyond = away > _REACH
    if not core.any() or not beyond.any():
        return scene
    colours = scene.astype(np.float32)
    own = _mean_of(colours, core == 0, _REACH / 2)
    right = _mean_of(colours, beyond, _REACH)
    share = ((_END - away) / (_END - _REACH / 2)).clip(0, 1) * (core == 0)
    weight = (share * share * (3 - 2 * share))[..., None]
    return np.asarray(np.rint(colours + weight * (right - own)).clip(0, 255), np.uint8)


def _mean_of(
    colours: npt.NDArray[np.float32], known: npt.NDArray[np.bool_], deviation: float
) -> npt.NDArray[np.float32]:
    """The mean of the known pixels near each, float32 [height, width, 3]."""
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(colours * weight[..., None], (0, 0), deviation)
    share = np.asarray(cv2.GaussianBlur(weight, (0, 0), deviation), np.float32)[..., None]
    # Further from all that is known than the blur reaches, only the overall mean can be told.
    least = np.float32(1e-4)
    overall = colours[known].mean(axis=0, dtype=np.float32)
    return np.asarray((total + least * overall) / (share + least), np.float32)
