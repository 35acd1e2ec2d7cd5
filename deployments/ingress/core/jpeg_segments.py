"""The segments of a JPEG: which bear on the pixels, and how often those are passed over."""

from __future__ import annotations

import re

from deployments.errors import InvalidImage

MAX_SEGMENTS = 10_000
"""Of a file; a colour profile of the largest kind takes 255."""

MAX_SCANS = 100
"""Encoders write about ten. Each costs a pass over all pixels for as little as 75 bytes."""

_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""A marker with a length, or the end: not a stuffed zero, restart, fill byte or TEM."""

_EOI = 0xD9
_SOS = 0xDA
_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
_KEPT_METADATA = (b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")
"""Application segments that say what the samples mean: colour transform and profile."""


def clean_jpeg(data: bytes) -> tuple[bytes, bytes, int]:
    """Take a JPEG apart.

    Args:
        data: The whole file, from its signature on; what follows the end of its picture is left.

    Returns:
        The picture without metadata, its EXIF (a TIFF structure, empty without one), and the
        number of its scans.

    Raises:
        InvalidImage: It is truncated, or has too many segments or scans.
    """
    view = memoryview(data)
    kept: list[memoryview] = []
    exif, scans, start, at, segments = b"", 0, 0, 2, 0
    while marker := _MARKER.search(data, at):
        code, begin = data[marker.end() - 1], marker.end()
        if code == _EOI:
            kept.append(view[start:begin])
            return b"".join(kept), exif, scans
        if (segments := segments + 1) > MAX_SEGMENTS:
            raise InvalidImage(f"the JPEG has more segments than the limit of {MAX_SEGMENTS}")
        at = begin + int.from_bytes(data[begin : begin + 2], "big")
        body = data[begin + 2 : at]
        if code == _SOS and (scans := scans + 1) > MAX_SCANS:
            raise InvalidImage(f"the JPEG has more scans than the limit of {MAX_SCANS}")
        if code in _METADATA and not body.startswith(_KEPT_METADATA):
            kept.append(view[start : marker.start()])
            start = at
            if body.startswith(b"Exif\0\0"):
                exif = exif or body[6:]
    raise InvalidImage("the JPEG is truncated")
