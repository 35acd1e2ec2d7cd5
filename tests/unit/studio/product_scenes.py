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


def bottle() -> Scene:
    """A bottle of thin glass with an opaque cap, before a grey ground that is lit unevenly."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(alpha, (150, 120), (330, 380), 235, -1)
    cv2.rectangle(alpha, (165, 135), (315, 365), 82, -1)
    cv2.rectangle(alpha, (210, 60), (270, 120), 255, -1)
    cv2.rectangle(alpha, (165, 220), (315, 300), 255, -1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    colours = np.stack([110 + x / 16, 180 - y / 16, 150 + 0 * x], axis=2)
    colours[60:120] = (40, 40, 44)
    colours[220:300] = (246, 238, 226)
    light = 1 - 0.5 * (((x - WIDTH / 2) / WIDTH) ** 2 + ((y - HEIGHT / 3) / HEIGHT) ** 2)
    ground = np.array([224, 222, 226]) * light[..., None]
    share = alpha[..., None] / 255
    pixels = np.rint(colours * share + ground * (1 - share)).clip(0, 255).astype(np.uint8)
    return Scene(pixels, alpha, np.rint(colours).astype(np.uint8))


def chain(width: int, side: int = 900) -> Scene:
    """A thin gold chain with a small pendant before a light ground, without soft edges."""
    alpha = np.zeros((side, side), np.uint8)
    middle = side // 2
    cv2.ellipse(alpha, (middle, side // 5), (side // 3, side // 2), 0, 0, 180, 255, width)
    cv2.circle(alpha, (middle, side // 5 + side // 2 + side // 20), side // 20, 255, -1)
    y, x = np.mgrid[0:side, 0:side]
    colours = np.stack([200 + 30 * ((x + y) // 9 % 2), 150 + 0 * x, 50 + 0 * y], axis=2)
    colours = colours.astype(np.uint8)
    grain = np.random.default_rng(5).normal(228, 2, (side, side, 1))
    pixels = np.where(alpha[..., None] > 0, colours, np.rint(grain).astype(np.uint8))
    return Scene(pixels.astype(np.uint8), alpha, colours)


def stroke(*points: tuple[int, int], shape: tuple[int, int] = (HEIGHT, WIDTH), width: int = 5):
    """A mask with one line through some points."""
    mask = np.zeros(shape, np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 255, width)
    return mask


def overlap(found: Mask, true: Mask) -> float:
    """Intersection over union at half."""
    ours, theirs = found >= 128, true >= 128
    return float((ours & theirs).sum() / (ours | theirs).sum())
