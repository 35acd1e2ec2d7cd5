"""EXIF orientation: reads the one tag that matters, and turns pictures by it."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
from PIL import Image

from deployments.jobs import Pixels

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations in which a file has its width for its height."""


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn a picture as EXIF says.

    Args:
        pixels: uint8 [height, width, 3] or [height, width].
        orientation: 1 to 8; anything else is taken for 1.
    """
    method = _UPRIGHT.get(orientation)
    return pixels if method is None else np.asarray(Image.fromarray(pixels).transpose(method))


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, of EXIF (a TIFF structure); 1 where it gives none.

    Source: TIFF 6.0, section 2 and EXIF 2.32, section 4.6.4.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    with suppress(struct.error):
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _EXIF_ORIENTATION and kind == 3:
                return int(value)
    return 1
