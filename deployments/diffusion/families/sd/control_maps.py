"""Control maps: what a ControlNet is shown of the photo. Pixels in, pixels out."""

from __future__ import annotations

import cv2
import numpy as np

from deployments.jobs import Mask, Pixels

CANNY_LOW = 100
"""Gradient below which a pixel is no edge; the published canny ControlNets learned with it."""

CANNY_HIGH = 200
"""Gradient from which a pixel is an edge. Between the two it is one if it touches an edge."""

OUTLINE = 3
"""Width in pixels of the border around what is kept, in which its outline may lie.

It is half of Canny's blur and of the mask's.
"""


def canny(pixels: Pixels) -> Pixels:
    """Draw the edges of a picture in white on black.

    The detector is OpenCV's, after J. Canny, "A Computational Approach to Edge Detection" (1986):
    3x3 Sobel, L1 gradient, and of each pixel the channel with the strongest gradient.

    Args:
        pixels: uint8 [height, width, 3], RGB.

    Returns:
        uint8 [height, width, 3] of 0 and 255, three equal channels.
    """
    edges = cv2.Canny(np.ascontiguousarray(pixels), CANNY_LOW, CANNY_HIGH)
    return np.repeat(np.asarray(edges, dtype=np.uint8)[:, :, None], 3, axis=2)


def of_kept(control: Pixels, mask: Mask) -> Pixels:
    """Blacken a control map except where the photo is kept, and around it.

    So the scene is built around the product, and not around the old background.

    Args:
        control: uint8 [height, width, 3].
        mask: uint8 [height, width]; from 128 the photo is painted over.

    Returns:
        The map, black more than OUTLINE pixels away from what is kept.
    """
    kept = (mask < 128).astype(np.uint8)
    side = 2 * OUTLINE + 1
    reach = cv2.dilate(kept, np.ones((side, side), dtype=np.uint8))
    return np.asarray(control * np.asarray(reach, dtype=np.uint8)[:, :, None], dtype=np.uint8)
