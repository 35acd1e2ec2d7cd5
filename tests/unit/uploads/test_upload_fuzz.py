"""Whatever the bytes are, the answer is a clean picture or InvalidImage."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from upload_samples import (
    PNG_SIGNATURE,
    chunk,
    decoded,
    gradient,
    matrix_profile,
    press_profile,
    rules,
    saved,
)

from deployments.errors import InvalidImage
from deployments.ingress.core.uploads import decode_mask, decode_upload

RGB = Image.fromarray(gradient())
PROFILE = matrix_profile([(0.5, 0.2, 0.0), (0.3, 0.7, 0.0), (0.2, 0.1, 0.8)], 2.2)
EXIF = Image.Exif()
EXIF[0x0112] = 6

SAMPLES = [
    saved(RGB, "PNG", icc_profile=PROFILE, exif=EXIF),
    saved(RGB.quantize(8), "PNG", transparency=bytes([0, 128, 255])),
    saved(RGB.convert("RGBA"), "PNG"),
    saved(RGB, "JPEG", icc_profile=PROFILE, exif=EXIF, comment=b"hello"),
    saved(RGB, "JPEG", progressive=True),
    saved(RGB.convert("CMYK"), "JPEG", icc_profile=press_profile()),
    saved(RGB, "MPO", save_all=True, append_images=[RGB]),
    saved(RGB.convert("RGBA"), "WEBP", icc_profile=PROFILE, exif=EXIF),
    saved(RGB, "WEBP", lossless=True),
    saved(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)]),
]

quick = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def _survives(data: bytes) -> None:
    with suppress(InvalidImage):
        assert decoded(data, max_pixels=1_000_000).size > 0
    with suppress(InvalidImage):
        assert decode_mask(data, rules(max_pixels=1_000_000)).ndim == 2


signatures = st.sampled_from(
    [b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8 ", b"RIFF\x20\0\0\0WEBPVP8L"]
)


@quick
@given(signature=signatures, junk=st.binary(max_size=400))
def test_junk(signature: bytes, junk: bytes) -> None:
    _survives(signature + junk)


@quick
@given(data=st.data(), sample=st.sampled_from(SAMPLES))
def test_damaged_files(data: st.DataObject, sample: bytes) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "move"])):
            case "set":
                damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xD8, 0xDA, 0xFE, 0xFF]))
            case "insert":
                damaged[at:at] = data.draw(st.binary(max_size=8))
            case "delete":
                del damaged[at : at + data.draw(st.integers(1, 40))]
            case _:
                damaged += damaged[at : at + 60]
        if not damaged:
            break
    _survives(bytes(damaged))


header = st.builds(
    lambda w, h, depth, colour, interlace: struct.pack(
        ">IIBBBBB", w, h, depth, colour, 0, 0, interlace
    ),
    st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 2, 4, 8, 16, 0, 3]),
    st.sampled_from([0, 2, 3, 4, 6, 1]), st.integers(0, 2),
)  # fmt: skip
compressed = st.one_of(st.binary(max_size=300), st.just(b"")).map(zlib.compress)
body = st.one_of(
    st.binary(max_size=30),
    compressed,
    compressed.map(lambda data: b"name\0\0" + data),
    st.just(b"icc\0\0" + zlib.compress(PROFILE)),
    st.just(bytes(900)).map(zlib.compress),
)
kinds = st.sampled_from(
    [b"PLTE", b"tRNS", b"iCCP", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"zTXt", b"IDAT", b"IDAT"]
)


@quick
@given(first=header, chunks=st.lists(st.tuples(kinds, body), max_size=6))
def test_png_of_odd_chunks_with_right_checksums(
    first: bytes, chunks: list[tuple[bytes, bytes]]
) -> None:
    pieces = [chunk(kind, content) for kind, content in chunks]
    _survives(PNG_SIGNATURE + chunk(b"IHDR", first) + b"".join(pieces) + chunk(b"IEND", b""))


@settings(quick, max_examples=60)
@given(data=st.data())
def test_damaged_profiles(data: st.DataObject) -> None:
    profile = bytearray(data.draw(st.sampled_from([PROFILE, press_profile()])))
    for _ in range(data.draw(st.integers(1, 5))):
        profile[data.draw(st.integers(0, len(profile) - 1))] = data.draw(st.integers(0, 255))
    image = RGB if profile[16:19] == b"RGB" else RGB.convert("CMYK")
    _survives(saved(image, "JPEG", icc_profile=bytes(profile)))


LINEAR_DEEP = struct.pack(">IIBBBBB", 3, 2, 16, 6, 0, 0, 0)
COLOUR_CHUNKS = {
    b"cICP": bytes([12, 13, 0, 1]),
    b"iCCP": b"name\0\0" + zlib.compress(PROFILE),
    b"sRGB": b"\0",
    b"gAMA": struct.pack(">I", 45_455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
}


@quick
@given(data=st.data(), deep=st.booleans(), side=st.sampled_from([1, 1536]))
def test_damaged_colour_chunks(data: st.DataObject, deep: bool, side: int) -> None:
    header = LINEAR_DEEP if deep else struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(range(1 + 3 * (8 if deep else 3))) * 2)
    pieces = [chunk(b"IHDR", header)]
    for kind in data.draw(st.lists(st.sampled_from(list(COLOUR_CHUNKS)), max_size=4)):
        content = bytearray(COLOUR_CHUNKS[kind])
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        pieces.append(chunk(kind, bytes(content[: data.draw(st.integers(1, len(content)))])))
    pieces += [chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    with suppress(InvalidImage):
        pixels = decode_upload(PNG_SIGNATURE + b"".join(pieces), rules(side)).pixels
        assert pixels.shape in ((2, 3, 3), (1, 1, 3), (1, 2, 3))
