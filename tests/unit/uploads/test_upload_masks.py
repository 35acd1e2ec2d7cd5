"""What is transparent in a photo is remembered, and a mask is a picture whose greys mark."""

from __future__ import annotations

import struct

import numpy as np
import piexif
import pytest
from PIL import Image
from upload_samples import Pixels, gradient, matrix_profile, png, rules, saved

from deployments.errors import InvalidImage
from deployments.ingress.core.uploads import decode_mask, decode_upload

LIMITS = rules()
ALPHA = np.broadcast_to(np.arange(24, dtype=np.uint8) * 10, (16, 24)).copy()
"""From clear at the left to nearly opaque at the right."""


def alpha_of(data: bytes) -> Pixels | None:
    return decode_upload(data, LIMITS).alpha


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_alpha_is_kept_beside_the_flattened_pixels(kind: str, options: dict[str, bool]) -> None:
    data = saved(Image.fromarray(np.dstack([gradient(), ALPHA])), kind, exact=True, **options)
    photo = decode_upload(data, LIMITS)
    assert np.array_equal(photo.alpha, ALPHA)
    weight = ALPHA[..., None] / 255
    assert np.abs(photo.pixels - (gradient() * weight + 255 * (1 - weight))).max() <= 1


def test_alpha_is_turned_with_its_photo() -> None:
    stored = np.ascontiguousarray(np.rot90(np.dstack([gradient(), ALPHA]), 1))
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: 6}})
    assert np.array_equal(alpha_of(saved(Image.fromarray(stored), "PNG", exif=exif)), ALPHA)


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(gradient()), "PNG"),
        saved(Image.fromarray(gradient()), "JPEG"),
        saved(Image.fromarray(np.dstack([gradient(), ALPHA * 0 + 255])), "PNG"),
        png(2, 1, 8, 3, [bytes([0, 1])], (b"PLTE", bytes(6)), (b"tRNS", b"\xff\xff")),
        png(2, 1, 8, 0, [bytes([9, 20])], (b"tRNS", struct.pack(">H", 77))),
    ],
    ids=["png", "jpeg", "rgba", "palette", "colour key"],
)
def test_what_is_opaque_has_no_alpha(data: bytes) -> None:
    assert alpha_of(data) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(3, 1, 8, 4, [bytes([10, 255, 10, 0, 105, 51])]), [255, 0, 51]),
        (png(2, 1, 16, 4, [struct.pack(">4H", 9, 0xFFFF, 9, 0x3300)]), [255, 51]),
        (
            png(2, 1, 8, 3, [bytes([0, 1])], (b"PLTE", bytes(6)), (b"tRNS", b"\x00\x33")),
            [0, 51],
        ),
        (png(2, 1, 8, 0, [bytes([9, 20])], (b"tRNS", struct.pack(">H", 9))), [0, 255]),
    ],
    ids=["grey", "sixteen bits", "palette", "colour key"],
)
def test_every_kind_of_transparency_gives_alpha(data: bytes, expected: list[int]) -> None:
    assert alpha_of(data).tolist() == [expected]


def test_a_mask_is_its_greys() -> None:
    for data in (
        saved(Image.fromarray(ALPHA), "PNG"),
        saved(Image.fromarray(np.dstack([ALPHA] * 3)), "PNG"),
        saved(Image.fromarray(np.dstack([ALPHA] * 3)), "WEBP", lossless=True),
        png(24, 4, 16, 0, [struct.pack(">24H", *(ALPHA[0].astype(int) * 257))] * 4),
    ):
        marked = decode_mask(data, LIMITS)
        assert marked.dtype == np.uint8
        assert np.array_equal(marked, ALPHA[: len(marked)])


def test_a_mask_may_have_lost_some_greys_to_jpeg() -> None:
    square = np.zeros((40, 40), np.uint8)
    square[10:30, 10:30] = 255
    for mode in ("L", "RGB"):
        data = saved(Image.fromarray(square).convert(mode), "JPEG", quality=70)
        marked = decode_mask(data, LIMITS)
        assert np.array_equal(marked >= 128, square >= 128)


def test_a_mask_can_mark_by_its_opacity() -> None:
    data = saved(Image.fromarray(np.dstack([gradient(), ALPHA])), "PNG")
    assert np.array_equal(decode_mask(data, LIMITS, by_alpha=True), ALPHA)
    for opaque in (np.full_like(ALPHA, 255), None):
        pixels = gradient() if opaque is None else np.dstack([gradient(), opaque])
        with pytest.raises(InvalidImage, match="product_mask must be transparent where"):
            decode_mask(saved(Image.fromarray(pixels), "PNG"), LIMITS, by_alpha=True)


def test_a_mask_is_turned_like_a_photo() -> None:
    stored = np.ascontiguousarray(np.rot90(ALPHA, 1))
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: 6}})
    data = saved(Image.fromarray(stored), "PNG", exif=exif)
    assert np.array_equal(decode_mask(data, LIMITS), ALPHA)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "product_mask: the file is empty"),
        (b"nonsense", "product_mask: the file is not a PNG, JPEG or WebP image"),
        (saved(Image.new("L", (9 * 8, 8)), "PNG"), "product_mask: the picture is 72 x 8 pixels"),
        (saved(Image.fromarray(gradient()), "PNG"), "product_mask must be grey, not coloured"),
        (saved(Image.new("RGB", (8, 8), (0, 0, 9)), "PNG"), "product_mask must be grey"),
        (saved(Image.new("LA", (8, 8), (255, 254)), "PNG"), "product_mask must not be transp"),
    ],
    ids=["empty", "format", "aspect", "colours", "hardly grey", "transparent"],
)
def test_what_is_no_mask_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        decode_mask(data, LIMITS)
    assert str(caught.value).startswith(sentence)


def test_a_profile_changes_no_mark() -> None:
    square = np.zeros((8, 8), np.uint8)
    square[2:6, 2:6] = 255
    profile = matrix_profile([(0.5, 0.2, 0.0), (0.3, 0.7, 0.0), (0.2, 0.1, 0.8)], 2.2)
    data = saved(Image.fromarray(np.dstack([square] * 3)), "PNG", icc_profile=profile)
    assert np.array_equal(decode_mask(data, LIMITS) >= 128, square >= 128)
