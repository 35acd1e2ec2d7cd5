"""What is refused, with a sentence that says why, and what is accepted but never looked at."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO

import numpy as np
import piexif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo
from upload_samples import (
    PNG_SIGNATURE,
    chunk,
    decoded,
    gradient,
    png,
    refusal,
    saved,
    with_chunk,
    with_segment,
)

STILL = {
    "PNG": saved(Image.fromarray(gradient()), "PNG"),
    "JPEG": saved(Image.fromarray(gradient()), "JPEG"),
    "WebP": saved(Image.fromarray(gradient()), "WEBP", lossless=True),
}


def test_zero_bytes_are_refused() -> None:
    assert refusal(b"") == "the file is empty"


@pytest.mark.parametrize("kind", ["ICO", "PPM", "JPEG2000"])
def test_other_formats_are_refused(kind: str) -> None:
    data = saved(Image.new("RGB", (16, 16)), kind)
    assert refusal(data) == "the file is not a PNG, JPEG or WebP image"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PDF", "AVIF"])
def test_formats_that_people_send_are_told_what_to_do(kind: str) -> None:
    told = refusal(saved(Image.new("RGB", (16, 16)), kind))
    assert kind in told
    assert "PNG" in told


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_an_iphone_s_photo_is_told_what_to_do(brand: bytes) -> None:
    told = refusal(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + b"\0" * 64)
    assert told.startswith("the file is HEIC, as iPhones keep photos")


def test_an_svg_is_told_what_to_do() -> None:
    told = refusal(b"<?xml version='1.0'?><SVG xmlns='http://www.w3.org/2000/svg'/>")
    assert told == "the file is SVG; export it as PNG"


@pytest.mark.parametrize("data", [
    b"hello", b"%!PS-Adobe-3.0 EPSF-3.0", b"\0" * 64,
    b"RIFF\x24\0\0\0WAVEfmt ",
])  # fmt: skip
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) == "the file is not a PNG, JPEG or WebP image"


def test_animated_png_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert "PNG is animated" in refusal(data)


def test_png_of_one_frame_is_a_still_image() -> None:
    data = with_chunk(STILL["PNG"], b"acTL", struct.pack(">II", 1, 0))
    assert np.array_equal(decoded(data), gradient())


def test_animated_webp_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    assert "WebP is animated" in refusal(data)


@pytest.mark.parametrize("kind", STILL)
def test_truncated_is_refused_wherever_it_is_cut(kind: str) -> None:
    data = STILL[kind]
    for size in range(16, len(data)):
        assert refusal(data[:size]) == f"the {kind} is truncated"


@pytest.mark.parametrize("kind", STILL)
def test_signature_alone_is_refused(kind: str) -> None:
    assert kind in refusal(STILL[kind][:12])


def test_cut_pixel_data_in_whole_chunks_is_refused() -> None:
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in gradient(64, 64)))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    data = PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels[: len(pixels) // 2])
    assert "PNG is damaged" in refusal(data + chunk(b"IEND", b""))


def test_flipped_bit_in_png_pixels_is_refused() -> None:
    data = bytearray(STILL["PNG"])
    data[data.index(b"IDAT") + 40] ^= 1
    assert refusal(bytes(data)) == "the PNG is damaged: a checksum does not match"


def test_twelve_bit_jpeg_is_refused() -> None:
    data = bytearray(STILL["JPEG"])
    data[data.index(b"\xff\xc0") + 4] = 12
    assert "JPEG is damaged or of a kind" in refusal(bytes(data))


@pytest.mark.parametrize("error", [
    OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, KeyError, IndexError,
    TypeError, AssertionError, OverflowError, RecursionError, MemoryError, UserWarning,
])  # fmt: skip
def test_whatever_a_decoder_raises_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def load(self: PngImageFile) -> None:
        raise error("at 0x7f0000000000")

    monkeypatch.setattr(PngImageFile, "load", load)
    assert "PNG is damaged or of a kind" in refusal(STILL["PNG"])


def test_longer_side_over_the_limit_is_refused() -> None:
    for size in ((20_000, 10_000), (10_000, 20_000)):
        sentence = refusal(png(*size, 8, 0, [b""]))
        assert sentence == "the picture's longer side has 20,000 pixels; the limit is 16,384"


def test_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImageFile, "load", lambda self: pytest.fail("decoded a bomb"))
    sentence = refusal(png(9_000, 9_000, 8, 0, [b""]))
    assert sentence == "the picture has 81,000,000 pixels; the limit is 67,108,864"


def test_jpeg_bomb_is_refused() -> None:
    data = bytearray(STILL["JPEG"])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 16_000, 16_000)
    assert "256,000,000 pixels; the limit is 67,108,864" in refusal(bytes(data))


def test_webp_bomb_is_refused_before_its_canvas_is_allocated() -> None:
    size = (16_383 - 1) | (16_383 - 1) << 14
    data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<IBI", 10, 0x2F, size)
    sentence = refusal(data + b"\0" * 10)
    assert sentence == "the WebP has more than 178,956,970 pixels; the limit is 67,108,864"


def test_wide_open_limits_bring_up_no_warning_of_pillows() -> None:
    # Pillow warns from 89 million pixels on; here the missing pixels are found instead.
    sentence = refusal(png(16_000, 6_000, 1, 0, [b""]), max_pixels=150_000_000)
    assert "PNG is damaged" in sentence


@pytest.mark.parametrize("kind", STILL)
def test_each_limit_is_named_with_its_value(kind: str) -> None:
    data = STILL[kind]
    assert refusal(data, max_side=23) == "the picture's longer side has 24 pixels; the limit is 23"
    assert refusal(data, max_pixels=383) == "the picture has 384 pixels; the limit is 383"
    assert refusal(data, max_aspect=1.4) == (
        "the picture is 24 x 16 pixels, a ratio of 1.5 to 1; the limit is 1.4 to 1"
    )
    assert decoded(data, max_side=24, max_pixels=384, max_aspect=1.5).shape == (16, 24, 3)


def test_one_pixel_is_enough() -> None:
    assert decoded(png(1, 1, 8, 2, [b"\x01\x02\x03"])).tolist() == [[[1, 2, 3]]]


def test_png_text_bombs_are_never_inflated() -> None:
    bomb = zlib.compress(bytes(10_000_000))
    data = STILL["PNG"]
    for _ in range(10):
        data = with_chunk(data, b"zTXt", b"key\0\0" + bomb)
        data = with_chunk(data, b"iTXt", b"key\0\1\0\0\0" + bomb)
    assert np.array_equal(decoded(data), gradient())


def test_png_profile_bomb_is_refused() -> None:
    data = with_chunk(STILL["PNG"], b"iCCP", b"name\0\0" + zlib.compress(bytes(10_000_000)))
    assert (
        refusal(data) == "the colour profile of the PNG has more bytes than the limit of 4,194,304"
    )


def test_jpeg_of_endless_scans_is_refused() -> None:
    data = saved(Image.fromarray(gradient()), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert decoded(data[:-2] + last * 80 + data[-2:]).shape == (16, 24, 3)
    assert "more scans than the limit of 100" in refusal(data[:-2] + last * 100 + data[-2:])


def test_scans_cannot_hide_behind_markers_without_length() -> None:
    data = saved(Image.fromarray(gradient()), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    for marker in (b"\xff\x01", b"\xff\xd0", b"\xff\xff\xd7", b"\xff\x00"):
        hidden = marker + struct.pack(">H", 60_000) + last * 200
        assert "more scans" in refusal(data[:-2] + hidden + data[-2:])


def test_overlapping_exif_tags_bring_up_no_warnings() -> None:
    tags = b"".join(struct.pack(">HHII", 1 + i, 7, 60_000, 8) for i in range(5_000))
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 5_000) + tags
    no_density = STILL["JPEG"][:2] + STILL["JPEG"][20:]  # Pillow reads EXIF where JFIF is missing.
    assert np.array_equal(decoded(with_segment(no_density, 0xE1, exif)), decoded(STILL["JPEG"]))


def _zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("payload.txt", "payload")
    return file.getvalue()


@pytest.mark.parametrize("kind", STILL)
@pytest.mark.parametrize("tail", [
    _zip(), b"<script>alert(1)</script>", STILL["JPEG"], STILL["PNG"], b"\xff\xd9" * 3,
], ids=["zip", "html", "jpeg", "png", "eoi"])  # fmt: skip
def test_polyglot_gives_its_pixels_and_nothing_else(kind: str, tail: bytes) -> None:
    assert np.array_equal(decoded(STILL[kind] + tail), decoded(STILL[kind]))


def test_polyglot_inside_metadata_gives_its_pixels_and_nothing_else() -> None:
    text = PngInfo()
    text.add_text("comment", "<script>alert(1)</script>")
    text.add(b"teSt", _zip())
    data = saved(Image.fromarray(gradient()), "PNG", pnginfo=text)
    assert np.array_equal(decoded(data), gradient())
    jpeg = with_segment(STILL["JPEG"], 0xFE, STILL["PNG"][:60] + b"<script>alert(1)</script>")
    assert np.array_equal(decoded(jpeg), decoded(STILL["JPEG"]))


def test_gps_position_and_other_metadata_do_not_survive() -> None:
    exif = piexif.dump({
        "0th": {piexif.ImageIFD.Make: b"CAMERA-MAKER"},
        "GPS": {piexif.GPSIFD.GPSLatitude: ((52, 1), (31, 1), (0, 1))},
    })  # fmt: skip
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {})):
        data = saved(Image.fromarray(gradient()), kind, exif=exif, xmp=b"<x/>", **options)
        assert b"CAMERA-MAKER" in data
        pixels = decoded(data)
        again = Image.open(BytesIO(saved(Image.fromarray(pixels), "PNG")))
        assert again.info == {}
        assert dict(again.getexif()) == {}
        assert np.abs(pixels.astype(int) - gradient()).mean() < (8 if kind == "JPEG" else 1e-9)


def test_of_a_jpeg_with_several_pictures_the_primary_one_is_taken() -> None:
    second = Image.new("RGB", (24, 16), "blue")
    data = saved(Image.fromarray(gradient()), "MPO", save_all=True, append_images=[second])
    assert Image.open(BytesIO(data)).n_frames == 2
    assert np.array_equal(decoded(data), decoded(STILL["JPEG"]))
