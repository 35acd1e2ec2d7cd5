"""Pictures of products whose alpha and colours are known."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from deployments.jobs import Mask, Pixels

WIDTH, HEIGHT = 480, 400


class Scene(NamedTuple):
    """A product mixed with a background by a known alpha."""

    pixels: Pixels
    alpha: Mask
    colours: Pixels


def scene(background: tuple[int, int, int] = (40, 180, 70)) -> Scene:
    """A warm, grainy vase with a soft outline before a plain wall that is lit from the left."""
    large = np.zeros((4 * HEIGHT, 4 * WIDTH), np.uint8)
    cv2.ellipse(large, (960, 960), (360, 440), 0, 0, 360, 255, -1)
    cv2.rectangle(large, (860, 320), (1060, 700), 255, -1)
    alpha = cv2.resize(
        cv2.GaussianBlur(large, (0, 0), 4), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA
    )
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    grain = np.random.default_rng(3).normal(0, 5, (HEIGHT, WIDTH, 1))
    colours = np.stack([200 - x / 8, 70 + y / 8, 40 + 0 * x], axis=2) + grain
    wall = np.array(background) * (1.05 - 0.1 * x / WIDTH)[..., None] + grain[::-1] / 4
    share = alpha[..., None] / 255
    pixels = np.rint(colours * share + wall * (1 - share)).clip(0, 255).astype(np.uint8)
    return Scene(pixels, alpha, colours.clip(0, 255).astype(np.uint8))


def overlap(found: Mask, true: Mask) -> float:
    """Intersection over union at half."""
    ours, theirs = found >= 128, true >= 128
    return float((ours & theirs).sum() / (ours | theirs).sum())
