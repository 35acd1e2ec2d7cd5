"""Control maps: what a ControlNet is shown of the photo.

Knows nothing of models or jobs: pixels in, pixels out.
"""

from __future__ import annotations

import cv2
import numpy as np

from deployments.jobs import Pixels

CANNY_LOW = 100
"""Gradient below which a pixel is no edge: what the published canny ControlNets were shown."""

CANNY_HIGH = 200
"""Gradient from which a pixel is an edge; between the two it is one when it touches an edge."""


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
