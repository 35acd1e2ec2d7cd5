"""Every kind of pixel an upload may hold comes out as upright 8-bit sRGB on white."""

from __future__ import annotations

import struct

import numpy as np
import piexif
import pytest
from PIL import Image
from upload_samples import (
    Pixels,
    decoded,
    gradient,
    grey_profile,
    matrix_profile,
    png,
    press_profile,
    saved,
    with_chunk,
    with_segment,
)

SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
DISPLAY_P3 = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.7841)]


def test_rgb_comes_through_unchanged() -> None:
    pixels = gradient()
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        assert np.array_equal(decoded(saved(Image.fromarray(pixels), kind, **options)), pixels)


def test_jpeg_comes_through_as_pillow_decodes_it() -> None:
    data = saved(Image.fromarray(gradient()), "JPEG", quality=95)
    assert np.abs(decoded(data).astype(int) - gradient()).mean() < 4


def test_jpeg_that_holds_rgb_is_not_taken_for_ycc() -> None:
    data = saved(Image.new("RGB", (16, 16), (200, 40, 90)), "JPEG", quality=100, keep_rgb=True)
    # Named 1, 2, 3 as is usual, the components are told from YCbCr by the Adobe segment alone.
    assert b"\xff\xee" in data[:40]
    for name, number in zip(b"RGB", b"\1\2\3", strict=True):
        data = data.replace(bytes([name, 0x11, 0]), bytes([number, 0x11, 0]))
        data = data.replace(bytes([name, 0x00]), bytes([number, 0x00]))
    assert np.abs(decoded(data).astype(int) - [200, 40, 90]).max() <= 3


def test_progressive_jpeg_is_the_picture_of_the_sequential_one() -> None:
    image = Image.fromarray(gradient())
    assert np.array_equal(
        decoded(saved(image, "JPEG", progressive=True)), decoded(saved(image, "JPEG"))
    )


def test_interlaced_png_is_decoded() -> None:
    # One row of eight: passes 1, 2, 4 and 6 hold its pixels.
    row = bytes(range(8))
    passes = [row[:1], row[4:5], row[2::4], row[1::2]]
    assert decoded(png(8, 1, 8, 0, passes, interlace=1))[0, :, 0].tolist() == list(row)


@pytest.mark.parametrize(("depth", "row", "values"), [
    (1, bytes([0b01000000]), [0, 255]),
    (2, bytes([0b00011011]), [0, 85, 170, 255]),
    (4, bytes([0x07, 0xF0]), [0, 7 * 17, 255, 0]),
    (8, bytes([0, 100, 255]), [0, 100, 255]),
    (16, struct.pack(">4H", 0, 255, 0x8000, 0xFFFF), [0, 0, 128, 255]),
])  # fmt: skip
def test_grey_of_every_depth_spans_black_to_white(
    depth: int, row: bytes, values: list[int]
) -> None:
    pixels = decoded(png(len(values), 1, depth, 0, [row]))
    assert pixels.tolist() == [[[value] * 3 for value in values]]


def test_grey_jpeg_becomes_rgb() -> None:
    pixels = decoded(saved(Image.new("L", (16, 16), 99), "JPEG", quality=95))
    assert np.unique(pixels).tolist() == [99]


def test_sixteen_bit_rgb_keeps_its_upper_byte() -> None:
    row = struct.pack(">6H", 0x1234, 0x8000, 0xFFFF, 0, 0x00FF, 0x0100)
    assert decoded(png(2, 1, 16, 2, [row])).tolist() == [[[0x12, 0x80, 255], [0, 0, 1]]]


def test_palette_is_looked_up() -> None:
    data = png(2, 1, 8, 3, [bytes([1, 0])], (b"PLTE", bytes([1, 2, 3, 40, 50, 60])))
    assert decoded(data).tolist() == [[[40, 50, 60], [1, 2, 3]]]


def test_alpha_is_laid_over_white() -> None:
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    expected = [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
    assert decoded(saved(Image.fromarray(rgba), "PNG")).tolist() == expected
    webp = decoded(saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True))
    assert np.abs(webp.astype(int) - expected).max() <= 1


def test_grey_with_alpha_is_laid_over_white() -> None:
    data = png(3, 1, 8, 4, [bytes([10, 255, 10, 0, 105, 51])])
    assert decoded(data).tolist() == [[[10] * 3, [255] * 3, [225] * 3]]


def test_sixteen_bit_alpha_is_laid_over_white() -> None:
    grey = struct.pack(">4H", 0x0A00, 0xFFFF, 0x0A00, 0)
    assert decoded(png(2, 1, 16, 4, [grey])).tolist() == [[[10] * 3, [255] * 3]]
    colour = struct.pack(">8H", 0x0A00, 0, 0, 0xFFFF, 0x0A00, 0, 0, 0)
    assert decoded(png(2, 1, 16, 6, [colour])).tolist() == [[[10, 0, 0], [255] * 3]]


@pytest.mark.parametrize("alphas", [b"\x00\x33", b"\x00"])
def test_palette_transparency_is_laid_over_white(alphas: bytes) -> None:
    palette = (b"PLTE", bytes([1, 2, 3, 200, 100, 0]))
    pixels = decoded(png(2, 1, 8, 3, [bytes([0, 1])], palette, (b"tRNS", alphas)))
    assert pixels.tolist() == [[[255] * 3, [244, 224, 204] if len(alphas) == 2 else [200, 100, 0]]]


@pytest.mark.parametrize(("depth", "colour", "row", "key", "values"), [
    (1, 0, bytes([0b01000000]), struct.pack(">H", 0), [255, 255]),
    (2, 0, bytes([0b00011011]), struct.pack(">H", 1), [0, 255, 170, 255]),
    (4, 0, bytes([0x37]), struct.pack(">H", 3), [255, 7 * 17]),
    (8, 0, bytes([9, 20]), struct.pack(">H", 9), [255, 20]),
    (16, 0, struct.pack(">2H", 0x1234, 0x5600), struct.pack(">H", 0x1234), [255, 0x56]),
    (8, 2, bytes([9, 9, 9, 20, 20, 20]), struct.pack(">3H", 9, 9, 9), [255, 20]),
    (16, 2, struct.pack(">6H", *[0x1234] * 3, *[0x3400] * 3), struct.pack(">3H", *[0x1234] * 3),
     [255, 0x34]),
])  # fmt: skip
def test_the_transparent_colour_is_white(
    depth: int, colour: int, row: bytes, key: bytes, values: list[int]
) -> None:
    pixels = decoded(png(len(values), 1, depth, colour, [row], (b"tRNS", key)))
    assert pixels.tolist() == [[[value] * 3 for value in values]]


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_is_not_inverted(adobe: bool) -> None:
    # Pillow writes ink inverted with an Adobe segment, as Photoshop does.
    data = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert data[2:4] == b"\xff\xee"
    if not adobe:
        data = data[:2] + data[4 + struct.unpack(">H", data[4:6])[0] :]
    assert np.abs(decoded(data).astype(int) - [255, 0, 0]).max() <= 4


def test_cmyk_jpeg_follows_its_profile() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    pixels = decoded(saved(image, "JPEG", quality=95, icc_profile=press_profile()))
    assert np.abs(pixels.astype(int) - [119, 119, 119]).max() <= 4  # Lab 50 is sRGB 119.


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_wide_gamut_profile_is_converted_to_srgb(kind: str) -> None:
    pixels = np.full((16, 16, 3), [180, 100, 60], np.uint8)
    options = {"PNG": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    profile = matrix_profile(DISPLAY_P3, 2.2)
    data = saved(Image.fromarray(pixels), kind, icc_profile=profile, **options[kind])
    expected = _srgb_of(pixels[0, 0], DISPLAY_P3, 2.2)
    assert np.abs(expected - pixels[0, 0]).max() > 10
    assert np.abs(decoded(data) - expected).max() <= 2


def _srgb_of(colour: Pixels, columns: list[tuple[float, float, float]], gamma: float) -> Pixels:
    """The conversion by the formulas, to compare with."""
    values = np.array(columns).T @ (colour / 255) ** gamma
    linear = np.linalg.inv(np.array(SRGB).T) @ values
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255)


def test_profile_is_applied_before_alpha_is_flattened() -> None:
    rgba = np.array([[[180, 100, 60, 255], [180, 100, 60, 0]]], np.uint8)
    profile = matrix_profile(DISPLAY_P3, 2.2)
    pixels = decoded(saved(Image.fromarray(rgba), "PNG", icc_profile=profile))
    assert np.abs(pixels[0, 0] - _srgb_of(rgba[0, 0, :3], DISPLAY_P3, 2.2)).max() <= 2
    assert pixels[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profile_is_converted_to_srgb(mode: str) -> None:
    image = Image.new("L", (4, 4), 64).convert(mode)
    pixels = decoded(saved(image, "PNG", icc_profile=grey_profile(1.0)))
    assert np.abs(pixels.astype(int) - 137).max() <= 1  # 64 / 255 of white's light.


def test_grey_follows_an_rgb_profile() -> None:
    data = saved(Image.new("L", (4, 4), 64), "PNG", icc_profile=matrix_profile(SRGB, 1.0))
    assert np.abs(decoded(data).astype(int) - 137).max() <= 1


@pytest.mark.parametrize("profile", [
    b"junk", b"\0" * 200, matrix_profile(SRGB, 1.0)[:150], grey_profile(1.0), press_profile(),
], ids=["junk", "zeros", "cut", "grey", "cmyk"])  # fmt: skip
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_profile_that_says_nothing_of_the_picture_is_ignored(kind: str, profile: bytes) -> None:
    data = saved(Image.fromarray(gradient()), kind, icc_profile=profile, lossless=True)
    assert np.array_equal(decoded(data), gradient())


def test_profile_that_does_not_inflate_is_ignored() -> None:
    data = with_chunk(saved(Image.fromarray(gradient()), "PNG"), b"iCCP", b"name\0\0not zlib")
    assert np.array_equal(decoded(data), gradient())


STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""How a camera stores an upright scene, by the orientation it writes (EXIF 2.32, 4.6.4)."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](gradient(32, 16))))
    options = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}}
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: orientation}})
    pixels = decoded(saved(stored, kind, exif=exif, **options[kind]))
    assert pixels.shape == (16, 32, 3)
    assert np.abs(pixels.astype(int) - gradient(32, 16)).max() <= (8 if kind == "JPEG" else 0)


def test_little_endian_exif_is_read() -> None:
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 3, 0, 0)
    data = with_chunk(saved(Image.fromarray(gradient()), "PNG"), b"eXIf", exif)
    assert np.array_equal(decoded(data), gradient()[::-1, ::-1])


@pytest.mark.parametrize("orientation", STORED)
def test_webp_exif_turns_nothing(orientation: int) -> None:
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: orientation}})
    data = saved(Image.fromarray(gradient()), "WEBP", lossless=True, exif=exif)
    assert b"EXIF" in data
    assert np.array_equal(decoded(data), gradient())


@pytest.mark.parametrize("exif", [
    b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03", b"nonsense",
    b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",
], ids=["empty", "cut", "far", "short", "nonsense", "nine"])  # fmt: skip
def test_exif_that_gives_no_orientation_is_ignored(exif: bytes) -> None:
    image = Image.fromarray(gradient())
    assert np.array_equal(decoded(with_chunk(saved(image, "PNG"), b"eXIf", exif)), gradient())
    jpeg = saved(image, "JPEG")
    assert np.array_equal(decoded(with_segment(jpeg, 0xE1, b"Exif\0\0" + exif)), decoded(jpeg))
