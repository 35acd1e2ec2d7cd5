"""Pixels to PNG files. Knows no storage and no HTTP."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deployments.jobs import Pixels

_KEYWORD_PREFIX = "backdrop:"
_NO_PNG_TEXT = re.compile("[\0\ud800-\udfff]")


def encode_png(pixels: Pixels, text: Mapping[str, str]) -> bytes:
    """Encode a picture, with text anyone who holds the file may read.

    Text goes into iTXt chunks, which hold UTF-8. NUL and lone surrogates, which such a chunk
    cannot hold, become U+FFFD.

    Args:
        pixels: uint8 [height, width, 3], sRGB; or [height, width, 4] with straight alpha.
        text: Name, of 1 to 70 ASCII characters, to value. The keyword in the file is the name
            after `backdrop:`. Empty for a file without metadata.

    Returns:
        A PNG file.
    """
    chunks = PngInfo()
    for name, value in text.items():
        chunks.add_itxt(_KEYWORD_PREFIX + name, _NO_PNG_TEXT.sub("\ufffd", value))
    file = BytesIO()
    # Measured: four times faster than Pillow's default, and no larger.
    Image.fromarray(pixels).save(
        file, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=chunks
    )
    return file.getvalue()
