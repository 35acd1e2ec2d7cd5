"""What a file may cost: chunks, segments, scans and pixels; and the memory of one decode."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upload_samples import (
    PNG_SIGNATURE,
    chunk,
    decoded,
    gradient,
    png,
    refusal,
    rules,
    saved,
    with_segment,
)

from deployments.errors import InvalidRequest
from deployments.ingress.core import colour, png_chunks
from deployments.ingress.core.uploads import UploadRules, decode_mask, decode_upload
from deployments.settings import UploadLimits

ROOT = Path(__file__).parents[3]
SIDE = 8192
"""Of the photos here: 67 million pixels, which is what the shipped limit takes."""

MOST_MB = 600


def test_of_thousands_of_profiles_none_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour.zlib, "decompressobj", lambda: pytest.fail("inflated a profile"))
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(1_000_000)))
    still = saved(Image.fromarray(gradient()), "PNG")
    data = still[:33] + profile * 31_000 + still[33:]
    assert refusal(data) == "the PNG has more than one iCCP chunk"


@pytest.mark.parametrize("kind", ["IHDR", "PLTE", "cICP", "sRGB", "gAMA", "cHRM", "eXIf"])
def test_what_a_png_has_once_is_there_once(kind: str) -> None:
    twice = png(1, 1, 8, 0, [b"\0"], *[(kind.encode(), bytes(13))] * 2)
    assert refusal(twice) == f"the PNG has more than one {kind} chunk"


def test_chunks_are_counted() -> None:
    still = saved(Image.fromarray(gradient()), "PNG")
    few, many = (chunk(b"zzZz", b"") * count for count in (1_000, png_chunks.MAX_CHUNKS))
    assert np.array_equal(decoded(still[:33] + few + still[33:]), gradient())
    assert refusal(still[:33] + many + still[33:]) == (
        "the PNG has more chunks than the limit of 65,536"
    )


def test_a_png_begins_with_its_header() -> None:
    data = PNG_SIGNATURE + chunk(b"gAMA", bytes(4)) + saved(Image.new("L", (1, 1)), "PNG")[8:]
    assert "does not begin with its header" in refusal(data)


def test_segments_are_counted() -> None:
    jpeg = saved(Image.fromarray(gradient()), "JPEG")
    comment = b"\xff\xfe\0\x02"
    assert decoded(jpeg[:2] + comment * 5_000 + jpeg[2:]).shape == (16, 24, 3)
    assert "more segments than the limit of 10000" in refusal(
        jpeg[:2] + comment * 10_000 + jpeg[2:]
    )


def test_a_profile_of_a_jpeg_is_bounded() -> None:
    jpeg = saved(Image.fromarray(gradient()), "JPEG")
    for number in range(80):
        part = b"ICC_PROFILE\0" + bytes([80 - number, 80]) + bytes(65_000)
        jpeg = with_segment(jpeg, 0xE2, part)
    assert "colour profile of the JPEG has more bytes" in refusal(jpeg)


def _sized(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    frame = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]


def test_scans_cost_what_they_pass_over() -> None:
    jpeg = saved(Image.fromarray(gradient()), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    many = jpeg[:-2] + last * 60 + jpeg[-2:]
    assert decoded(many).shape == (16, 24, 3)
    scans = many.count(b"\xff\xda")
    assert refusal(_sized(many, 8_000, 8_000)) == (
        f"the JPEG has {scans} scans, too many for 64,000,000 pixels"
    )


def test_coefficients_of_several_scans_are_bounded() -> None:
    ink = saved(Image.new("CMYK", (16, 16)), "JPEG", progressive=True, subsampling=0)
    assert "64,000,000 pixels in 4 channels and several scans" in refusal(_sized(ink, 8000, 8000))


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize(("width", "height"), [(24, 16), (33, 65), (64, 64), (65, 129)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_format_comes_out_equally_small(
    kind: str, width: int, height: int, side: int
) -> None:
    picture = Image.fromarray(gradient(width, height))
    photo = decode_upload(saved(picture, kind, quality=100), rules(side))
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or max(width, height) >= f * side)
    assert photo.file_size == (width, height)
    assert photo.pixels.shape == (-(-height // factor), -(-width // factor), 3)
    expected = np.asarray(picture.reduce(factor)).astype(int)
    assert np.abs(photo.pixels - expected).mean() < 6
    mask = decode_mask(saved(picture.convert("L"), kind, quality=100), rules(side), photo)
    assert mask.shape == photo.pixels.shape[:2]


def test_a_mask_is_as_large_as_its_photo_s_file() -> None:
    photo = decode_upload(saved(Image.fromarray(gradient(64, 32)), "PNG"), rules(7))
    mask = saved(Image.new("L", (63, 32), 255), "PNG")
    assert decode_mask(mask, rules(7)).shape == photo.pixels.shape[:2]
    with pytest.raises(InvalidRequest, match="the mask is 63 x 32 pixels, the photo 64 x 32"):
        decode_mask(mask, rules(7), photo)


def test_what_is_clear_lends_no_colour_when_it_shrinks() -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, :30] = (200, 60, 20, 255)
    rgba[:, 30:] = (0, 255, 0, 0)
    photo = decode_upload(saved(Image.fromarray(rgba), "PNG"), rules(8))
    assert photo.pixels.shape == (8, 8, 3)
    assert photo.alpha[0].tolist() == [255, 255, 255, 191, 0, 0, 0, 0]
    mixed = 0.75 * np.array([200, 60, 20]) + 0.25 * 255
    assert np.abs(photo.pixels[0, 3] - mixed).max() <= 1.5


def test_room_is_taken_for_what_a_decoder_holds() -> None:
    taken = []

    @contextmanager
    def taking(pixels: int):
        taken.append(pixels)
        yield

    picture = Image.fromarray(gradient(64, 64))
    for data in (
        saved(picture, "PNG"),
        saved(picture, "JPEG"),
        saved(picture, "JPEG", progressive=True),
        saved(picture, "WEBP"),
    ):
        decode_upload(data, UploadRules(UploadLimits(), 8, taking))
    assert taken == [64 * 64, 8 * 8, 64 * 64, 64 * 64]


def _flat_png(colour: int, depth: int, *chunks: tuple[bytes, bytes]) -> bytes:
    row = bytes(SIDE * {0: 1, 2: 3, 6: 4}[colour] * depth // 8)
    return png(SIDE, SIDE, depth, colour, [row] * SIDE, *chunks)


def _flat(mode: str, kind: str, **options: object) -> bytes:
    return saved(Image.new(mode, (SIDE, SIDE), 77), kind, **options)


LINEAR = (b"gAMA", struct.pack(">I", 100_000))
LARGEST: dict[str, Callable[[], bytes]] = {
    "rgba png": lambda: _flat_png(6, 8),
    "deep rgba png": lambda: _flat_png(6, 16, LINEAR),
    "progressive jpeg": lambda: _flat("RGB", "JPEG", progressive=True, subsampling=0),
    "rgba webp": lambda: _flat("RGBA", "WEBP", lossless=True, method=0, quality=0),
}

DECODE = r"""
import json, re, sys
from pathlib import Path
import cv2
from deployments.ingress.core.uploads import UploadRules, decode_upload
from deployments.settings import UploadLimits
def megabytes():
    # Not what getrusage tells, which begins with the parent's.
    return int(re.search(r"VmHWM:\s*(.*) kB", Path("/proc/self/status").read_text())[1]) / 1024
before = megabytes()
photo = decode_upload(Path(sys.argv[1]).read_bytes(), UploadRules(UploadLimits(), 1536))
print(json.dumps([megabytes() - before, photo.file_size, photo.pixels.shape]))
"""


@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_photos_are_decoded_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "photo"
    # As much again as the limit of a body leaves to it, which a decoder holds too.
    file.write_bytes(LARGEST[kind]() + bytes(30_000_000))
    ran = subprocess.run(
        [sys.executable, "-c", DECODE, file],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    megabytes, size, shape = json.loads(ran.stdout)
    assert size == [SIDE, SIDE]
    assert shape == [2048, 2048, 3]
    assert megabytes < MOST_MB
    print(f"{kind}: {megabytes:.0f} MB")


CANCELLED = r"""
import asyncio, json, re, sys
from pathlib import Path
import cv2
from deployments.ingress.core.decoder import Decoder
from deployments.settings import UploadLimits
def megabytes(kind):
    return int(re.search(kind + r":\s*(.*) kB", Path("/proc/self/status").read_text())[1]) / 1024
async def main():
    data = Path(sys.argv[1]).read_bytes()
    decoder = Decoder(UploadLimits(), 1536)
    before = megabytes("VmRSS")
    for _ in range(6):
        asked = [asyncio.create_task(decoder.photo(data)) for _ in range(4)]
        await asyncio.wait(asked, timeout=0.1)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
    decoder._threads.shutdown()
    print(json.dumps([megabytes("VmHWM") - before, megabytes("VmRSS") - before]))
asyncio.run(main())
"""


def test_cancelled_requests_leave_no_memory_and_no_crowd_of_threads(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(LARGEST["rgba png"]())
    ran = subprocess.run(
        [sys.executable, "-c", CANCELLED, file],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    peak, left = json.loads(ran.stdout)
    assert 200 < peak < MOST_MB
    assert left < 200
