"""Control maps: what a ControlNet is shown of the photo.

Knows nothing of models or jobs: pixels in, pixels out.
"""

from __future__ import annotations

import cv2
import numpy as np

from deployments.jobs import Mask, Pixels

CANNY_LOW = 100
"""Gradient below which a pixel is no edge: what the published canny ControlNets were shown."""

CANNY_HIGH = 200
"""Gradient from which a pixel is an edge; between the two it is one when it touches an edge."""

OUTLINE = 3
"""Pixels around what is kept in which its outline may lie: half of Canny's blur, and the mask's."""


def canny(pixels: Pixels) -> Pixels:
    """Draw the edges of a picture in white on black.

    The detector of J. Canny, "A Computational Approach to Edge Detection" (1986), as OpenCV has
    it: 3x3 Sobel, L1 gradient, on each pixel the channel with the strongest gradient.

    Args:
        pixels: uint8 [height, width, 3], RGB.

    Returns:
        uint8 [height, width, 3] of 0 and 255, three equal channels.
    """
    edges = cv2.Canny(np.ascontiguousarray(pixels), CANNY_LOW, CANNY_HIGH)
    return np.repeat(np.asarray(edges, dtype=np.uint8)[:, :, None], 3, axis=2)


def of_kept(control: Pixels, mask: Mask) -> Pixels:
    """Leave of a control map what is kept of the photo, with its outline.

    The scene is then built around the product, and not around the background that goes.

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
