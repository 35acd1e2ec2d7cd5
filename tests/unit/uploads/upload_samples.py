"""Image files made by hand, down to the bytes that the tests are about."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from deployments.errors import InvalidImage
from deployments.ingress.core.uploads import UploadRules, decode_upload
from deployments.settings import UploadLimits

Pixels = npt.NDArray[np.uint8]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def rules(side: int = 1536, **limits: float) -> UploadRules:
    """How the tests decode: with the shipped limits, but for those given."""
    return UploadRules(UploadLimits.model_validate(limits), side)


def decoded(data: bytes, **limits: float) -> Pixels:
    """The pixels of an upload, after the checks that hold for every result."""
    photo = decode_upload(data, rules(**limits))
    pixels = photo.pixels
    if photo.alpha is not None:
        assert photo.alpha.dtype == np.uint8
        assert photo.alpha.shape == pixels.shape[:2]
        assert photo.alpha.min() < 255
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert type(pixels) is np.ndarray
    return pixels


def refusal(data: bytes, **limits: float) -> str:
    """The sentence with which an upload is refused."""
    with pytest.raises(InvalidImage) as caught:
        decode_upload(data, rules(**limits))
    sentence = str(caught.value)
    assert sentence.startswith("image: ")
    assert not sentence.endswith(".")
    assert "\n" not in sentence
    assert "0x" not in sentence
    return sentence.removeprefix("image: ")


def gradient(width: int = 24, height: int = 16) -> Pixels:
    """A picture no flip or turn maps onto itself."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file Pillow writes."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with the right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: list[bytes],
    *extra: tuple[bytes, bytes],
    interlace: int = 0,
) -> bytes:
    """A PNG of any bit depth and colour type, with extra chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"".join(
        [
            PNG_SIGNATURE,
            chunk(b"IHDR", header),
            *(chunk(kind, body) for kind, body in extra),
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            chunk(b"IEND", b""),
        ]
    )


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk, right after its header."""
    return data[:33] + chunk(kind, body) + data[33:]


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment, right at its start."""
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]


def icc(space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC 2.1 display profile of the given tags."""
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIIIQI3i",
        offset + len(body), b"", 0x02100000, b"mntr", space, pcs, b"", b"acsp", b"", 0, 0, 0, 0, 0,
        *_fixed(0.9642, 1.0, 0.8249),
    )  # fmt: skip
    return header.ljust(128, b"\0") + table + body


def matrix_profile(columns: list[tuple[float, float, float]], gamma: float) -> bytes:
    """An RGB profile of three primaries (XYZ, D50) and one gamma."""
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    for letter, column in zip(b"rgb", columns, strict=True):
        tags[bytes([letter]) + b"XYZ"] = xyz(*column)
        tags[bytes([letter]) + b"TRC"] = curve(gamma)
    return icc(b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one gamma."""
    return icc(b"GRAY", b"XYZ ", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": curve(gamma)})


def press_profile() -> bytes:
    """A CMYK profile of an odd press: its cyan ink alone is a middle grey, Lab 50, 0, 0.

    Paper is white, and every other full ink or mixture is black.
    """
    corners = [(0, 128, 128)] * 16  # Lab of the 2 x 2 x 2 x 2 grid; cyan varies slowest.
    corners[0b0000] = (255, 128, 128)
    corners[0b1000] = (128, 128, 128)
    ramp = bytes(range(256))
    table = struct.pack(">4sIBBBB9i", b"mft1", 0, 4, 3, 2, 0, *_fixed(1, 0, 0, 0, 1, 0, 0, 0, 1))
    table += ramp * 4 + b"".join(bytes(corner) for corner in corners) + ramp * 3
    return icc(b"CMYK", b"Lab ", {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"A2B0": table})


def xyz(*values: float) -> bytes:
    """An ICC value of type XYZ."""
    return struct.pack(">4sI3i", b"XYZ ", 0, *_fixed(*values))


def curve(gamma: float) -> bytes:
    """An ICC tone curve."""
    return struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256))


def _fixed(*values: float) -> list[int]:
    return [round(value * 65536) for value in values]
