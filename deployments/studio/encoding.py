"""Pixels to files: PNG, JPEG and WebP."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from deployments.composition import Output
from deployments.jobs import Mask, Pixels, Product

FULL_COLOUR = 90
"""The JPEG quality from which colour has as many samples as brightness (4:4:4)."""
DEFAULT_QUALITY = {"jpeg": 90, "webp": 85}

_XMP_KEYWORD = "XML:com.adobe.xmp"
_KEYWORD_PREFIX = "backdrop:"
_HEADER_END = 33
"""Where the first chunk of a PNG file, its header, ends."""
# Measured: half the time of a choice of filters for each line, and 3 % larger.
_OPTIONS = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
]  # fmt: skip
# Measured on a photograph of 1024 x 1024: the next ones take twice as long and save 3 %. With
# transparency all but the first take twice as long.
_WEBP_METHOD, _WEBP_METHOD_CLEAR = 2, 0
_NO_PNG_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file tells about itself.

    Attributes:
        xmp: An XMP packet, UTF-8; empty for none.
        text: Of PNG files alone: see `encode_png`.
    """

    xmp: bytes = b""
    text: Mapping[str, str] = field(default_factory=dict)


def encode(pixels: Pixels, output: Output, metadata: Metadata) -> bytes:
    """Encode a result, with metadata anyone who holds the file may read.

    Colour of pixels that are all clear is not kept: it is what the product was cut out of.

    Args:
        pixels: uint8 [height, width, 3], sRGB; or [height, width, 4] with straight alpha, not for
            JPEG.
        output: The format, and its quality. JPEG has 4:4:4 from `FULL_COLOUR` on, else 4:2:0.
        metadata: What the file tells.

    Returns:
        A file of the format.
    """
    clear = pixels.shape[2] == 4
    if clear:
        pixels = np.where(pixels[..., 3:] == 0, np.uint8(0), pixels)
    if output.file_format == "png":
        return encode_png(pixels, metadata.text, metadata.xmp)
    quality = output.quality or DEFAULT_QUALITY[output.file_format]
    buffer = BytesIO()
    if output.file_format == "jpeg":
        Image.fromarray(pixels).save(
            buffer,
            "JPEG",
            quality=quality,
            subsampling="4:4:4" if quality >= FULL_COLOUR else "4:2:0",
            optimize=True,
            xmp=metadata.xmp,
        )
    else:
        method = _WEBP_METHOD_CLEAR if clear else _WEBP_METHOD
        Image.fromarray(pixels).save(
            buffer, "WEBP", quality=quality, method=method, xmp=metadata.xmp
        )
    return buffer.getvalue()


def encode_png(pixels: Pixels | Mask, text: Mapping[str, str], xmp: bytes = b"") -> bytes:
    """Encode a picture, with text anyone who holds the file may read.

    Text goes into iTXt chunks, which hold UTF-8. NUL and lone surrogates, which such a chunk
    cannot hold, become U+FFFD.

    Args:
        pixels: uint8 [height, width, 3], sRGB; or [height, width, 4] with straight alpha; or
            [height, width] of grey.
        text: Name, of 1 to 70 ASCII characters, to value. The keyword in the file is the name
            after `backdrop:`. Empty for a file without it.
        xmp: An XMP packet, UTF-8; empty for none.

    Returns:
        A PNG file.
    """
    if pixels.ndim == 3:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = np.asarray(cv2.cvtColor(pixels, order), np.uint8)
    _, encoded = cv2.imencode(".png", pixels, _OPTIONS)
    file = encoded.tobytes()
    chunks = [
        _chunk(b"iTXt", f"{_KEYWORD_PREFIX}{name}".encode("ascii"), b"\0\0\0\0\0", _utf8(value))
        for name, value in text.items()
    ]
    if xmp:
        chunks.append(_chunk(b"iTXt", _XMP_KEYWORD.encode("ascii"), b"\0\0\0\0\0", xmp))
    return b"".join([file[:_HEADER_END], *chunks, file[_HEADER_END:]])


def encode_product(product: Product) -> bytes:
    """Encode a product, to be stored.

    Args:
        product: Of any size from 1 x 1.

    Returns:
        A PNG file without metadata, RGBA with straight alpha.
    """
    # What is clear has no colour worth keeping, and black compresses best.
    visible = cv2.bitwise_and(product.pixels, product.pixels, mask=product.alpha)
    return encode_png(np.dstack([visible, product.alpha]), {})


def _chunk(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    checked = zlib.crc32(body, zlib.crc32(kind))
    return len(body).to_bytes(4, "big") + kind + body + checked.to_bytes(4, "big")


def _utf8(value: str) -> bytes:
    return _NO_PNG_TEXT.sub("\ufffd", value).encode()
