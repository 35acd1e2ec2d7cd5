"""Blurs what is soft anyway, at a cost that does not grow with the blur."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_FINE = 3.0
"""Deviation of a blur, in pixels, from which it is drawn smaller."""


def blurred(dark: Floats, across: float, down: float) -> Floats:
    """Blur by a Gaussian; in a direction in which it is wide, in a smaller picture.

    Args:
        dark: float32 [height, width]. Beyond its border its last pixels go on.
        across: Standard deviation in pixels, above 0.
        down: The same of the other direction.

    Returns:
        float32 [height, width].
    """
    rows, columns = dark.shape
    size = [
        max(1, round(side / max(1, soft / _FINE)))
        for side, soft in ((columns, across), (rows, down))
    ]
    small = cv2.resize(dark, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(
        small,
        (0, 0),
        across * size[0] / columns,
        sigmaY=down * size[1] / rows,
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(soft, (columns, rows)), np.float32).reshape(rows, columns)
