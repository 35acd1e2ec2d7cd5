"""The chunks of a PNG: which bear on the pixels, which say what the samples mean.

Everything else, text and times among it, is left out before a decoder sees the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.errors import InvalidImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_CHUNKS = 65_536
"""Of a file; libpng writes one for each 8 kB of pixel data."""

_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_COLOURS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
_GREY = frozenset({0, 4})
"""Colour types without colour."""

_ONCE = (_PIXELS | _COLOURS | {b"eXIf", b"acTL"}) - {b"IDAT"}


@dataclass(frozen=True, slots=True)
class PngFile:
    """What counts of a PNG.

    Attributes:
        file: A PNG of the chunks that bear on the pixels alone.
        depth: Bits of a sample.
        grey: Its samples are grey.
        colours: The bodies of the chunks that say what the samples mean, by kind.
        exif: The body of its eXIf chunk, empty without one.
    """

    file: bytes
    depth: int
    grey: bool
    colours: Mapping[bytes, bytes]
    exif: bytes


def read_png(data: bytes) -> PngFile:
    """Take a PNG apart, and inflate nothing.

    Colour chunks after the palette or the pixels are ignored, as libpng does.

    Args:
        data: The whole file, from its signature on.

    Raises:
        InvalidImage: It is truncated, animated or damaged, has too many chunks, or several of one
            kind that a PNG has once.
    """
    whole = memoryview(data)
    kept: list[memoryview] = [whole[:8]]
    colours: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    exif, at, kind, chunks, late = b"", 8, b"", 0, False
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise InvalidImage("the PNG is truncated")
        if (chunks := chunks + 1) > MAX_CHUNKS:
            raise InvalidImage(f"the PNG has more chunks than the limit of {MAX_CHUNKS:,}")
        if chunks == 1 and (kind != b"IHDR" or length != 13):
            raise InvalidImage("the PNG is damaged: it does not begin with its header")
        if kind in seen:
            raise InvalidImage(f"the PNG has more than one {kind.decode()} chunk")
        body = whole[at + 8 : end - 4]
        if kind in _ONCE:
            seen.add(kind)
        if kind == b"acTL" and int.from_bytes(body[:4], "big") > 1:
            raise InvalidImage("the PNG is animated; only still images are accepted")
        if kind in _PIXELS or (kind in _COLOURS and not late):
            # Pillow checks no checksum of the pixels.
            if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
                raise InvalidImage("the PNG is damaged: a checksum does not match")
            if kind in _PIXELS:
                kept.append(whole[at:end])
                late = late or kind in (b"PLTE", b"IDAT")
            else:
                colours[kind] = bytes(body)
        elif kind == b"eXIf":
            exif = bytes(body)
        at = end
    return PngFile(b"".join(kept), data[24], data[25] in _GREY, colours, exif)
