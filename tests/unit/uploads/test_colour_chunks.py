"""What a PNG's colour chunks say is honoured in the order in which browsers honour it."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from upload_samples import (
    Pixels,
    decoded,
    gradient,
    grey_profile,
    matrix_profile,
    png,
    refusal,
    rules,
)

from deployments.ingress.core.uploads import decode_mask, decode_upload

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290))
REC2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290))
CIE_RGB = ((0.7347, 0.2653), (0.2738, 0.7174), (0.1666, 0.0089), (1 / 3, 1 / 3))

SHOWN = np.random.default_rng(5).integers(0, 256, (40, 50, 3)).astype(np.uint8)
"""What is to be seen, in sRGB."""


def linear(shown: Pixels) -> np.ndarray:
    value = shown / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def rec709_encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)


def gamma_encoded(gamma: float):
    return lambda light: light**gamma


def to_xyz(primaries) -> np.ndarray:
    """By Lindbloom: columns X = x / y, Y = 1, Z = (1 - x - y) / y, scaled to give white."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def stored(shown: Pixels, primaries, encoded, top: int = 255) -> np.ndarray:
    """The samples that show these colours."""
    bradford = np.array([
        [0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296],
    ])  # fmt: skip
    ours, theirs = to_xyz(SRGB), to_xyz(primaries)
    scale = np.diag((bradford @ theirs.sum(axis=1)) / (bradford @ ours.sum(axis=1)))
    adapted = np.linalg.inv(bradford) @ scale @ bradford
    matrix = np.linalg.inv(theirs) @ adapted @ ours
    light = np.clip(linear(shown) @ matrix.T, 0, 1)
    return np.rint(encoded(light) * top).astype(int)


def png_of(samples: np.ndarray, *chunks: tuple[bytes, bytes], depth: int = 8) -> bytes:
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = samples.astype(">u2" if depth == 16 else np.uint8)
    return png(width, height, depth, colour, [row.tobytes() for row in rows], *chunks)


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(primaries) -> tuple[bytes, bytes]:
    red, green, blue, white = primaries
    values = [round(v * 100_000) for point in (white, red, green, blue) for v in point]
    return b"cHRM", struct.pack(">8I", *values)


def cicp(*values: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(values)


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(profile)


LINEAR_PROFILE = matrix_profile(
    [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)], 1.0
)


def error(pixels: Pixels, shown: Pixels = SHOWN) -> float:
    """Levels between what is seen and what is to be seen, on average."""
    return float(np.abs(pixels.astype(int) - shown).mean())


@pytest.mark.parametrize(("primaries", "encoded", "chunks"), [
    (SRGB, gamma_encoded(1 / 1.8), [gama(1 / 1.8)]),
    (SRGB, gamma_encoded(1 / 2.2), [gama(0.45455), chrm(SRGB)]),
    (P3, srgb_encoded, [chrm(P3)]),
    (CIE_RGB, gamma_encoded(1 / 2.2), [gama(1 / 2.2), chrm(CIE_RGB)]),
    (P3, srgb_encoded, [cicp(12, 13, 0, 1)]),
    (REC2020, rec709_encoded, [cicp(9, 1, 0, 1)]),
    (SRGB, gamma_encoded(1 / 2.8), [cicp(1, 5, 0, 1)]),
], ids=["gamma", "gamma 2.2", "P3", "another white", "cICP P3", "2020", "cICP 2.8"])  # fmt: skip
def test_what_is_seen_is_what_the_chunks_say(primaries, encoded, chunks) -> None:
    samples = stored(SHOWN, primaries, encoded)
    assert error(samples.astype(np.uint8)) > 1.5
    assert error(decoded(png_of(samples, *chunks))) < 1


def test_adobe_rgb_by_gamma_and_chromaticities() -> None:
    # Its green is sRGB's red and blue, so what sRGB shows of these it can.
    samples = stored(SHOWN, ADOBE, gamma_encoded(1 / 2.19921875))
    assert error(decoded(png_of(samples, gama(0.4547), chrm(ADOBE)))) < 1


@pytest.mark.parametrize("side", [1536, 10])
@pytest.mark.parametrize("alpha", [False, True])
def test_linear_light_in_sixteen_bits_keeps_its_shadows(side: int, alpha: bool) -> None:
    shown = np.repeat(np.repeat(SHOWN[:20, :20] // 6, 2, axis=0), 2, axis=1)
    samples = stored(shown, SRGB, gamma_encoded(1.0), top=65535)
    if alpha:
        samples = np.dstack([samples, np.full(shown.shape[:2], 65535)])
    photo = decode_upload(png_of(samples, gama(1.0), depth=16), rules(side))
    seen = shown if side > 40 else shown[::4, ::4] * 0 + linear_average(shown)
    assert photo.alpha is None
    assert np.abs(photo.pixels.astype(int) - seen).max() <= 1


def linear_average(shown: Pixels) -> np.ndarray:
    light = linear(shown).reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
    return np.rint(srgb_encoded(light) * 255)


@pytest.mark.parametrize("clear", [b"tRNS", b"alpha"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_linear_light_may_be_transparent(colour: str, clear: bytes) -> None:
    channels = 1 if colour == "grey" else 3
    samples = np.full((4, 6, channels), 4321)
    samples[:, 3:] = 0x5678
    extra = []
    if clear == b"tRNS":
        extra = [(b"tRNS", struct.pack(f">{channels}H", *[0x5678] * channels))]
    else:
        samples = np.dstack([samples, np.where(np.arange(6) < 3, 65535, 0) * np.ones((4, 1))])
    photo = decode_upload(png_of(samples, gama(1.0), *extra, depth=16), rules())
    assert photo.alpha.tolist() == [[255] * 3 + [0] * 3] * 4
    seen = round(float(srgb_encoded(np.array(4321 / 65535))) * 255)
    assert photo.pixels[:, :3].reshape(-1).tolist() == [seen] * 36
    assert photo.pixels[:, 3:].min() == 255


def test_grey_follows_its_gamma() -> None:
    grey = np.arange(256).reshape(16, 16, 1)
    seen = decoded(png_of(grey, gama(1.0), chrm(P3)))
    expected = np.rint(srgb_encoded(grey / 255) * 255)
    assert np.abs(seen - expected).max() <= 1


def test_a_palette_follows_its_gamma() -> None:
    data = png(2, 1, 8, 3, [bytes([1, 0])], gama(1.0), (b"PLTE", bytes([0, 0, 0, 10, 50, 200])))
    expected = np.rint(srgb_encoded(np.array([10, 50, 200]) / 255) * 255)
    assert decoded(data).tolist() == [[expected.tolist(), [0, 0, 0]]]


def test_narrow_range_is_widened() -> None:
    samples = np.rint(SHOWN / 255 * 219 + 16)
    assert error(decoded(png_of(samples, cicp(1, 13, 0, 0)))) < 1


IN_ORDER = {
    "cICP": (cicp(1, 13, 0, 1), SHOWN),
    "iCCP": (iccp(LINEAR_PROFILE), None),
    "sRGB": ((b"sRGB", b"\0"), SHOWN),
    "gAMA": (gama(0.2), None),
}


@pytest.mark.parametrize("first", range(len(IN_ORDER) - 1))
def test_the_first_in_line_counts(first: int) -> None:
    (chunk, _), *later = list(IN_ORDER.values())[first:]
    alone = decoded(png_of(SHOWN, chunk))
    # Whatever stands before it in the file.
    assert np.array_equal(decoded(png_of(SHOWN, *(other for other, _ in later), chunk)), alone)
    for other, _ in later[-1:]:
        assert not np.array_equal(decoded(png_of(SHOWN, other)), alone)


def test_what_says_nothing_leaves_it_to_the_next() -> None:
    curved = decoded(png_of(SHOWN, gama(1.0)))
    assert error(curved) > 10
    for chunk in (
        cicp(2, 2, 0, 1), iccp(b"junk"), (b"iCCP", b"name\0\0not zlib"), iccp(grey_profile(2.2))
    ):  # fmt: skip
        assert np.array_equal(decoded(png_of(SHOWN, chunk, gama(1.0))), curved)


def test_what_does_not_count_is_not_looked_at() -> None:
    for chunk in (cicp(1, 13, 0, 1), (b"sRGB", b"\0"), iccp(LINEAR_PROFILE)):
        alone = decoded(png_of(SHOWN, chunk))
        assert np.array_equal(decoded(png_of(SHOWN, chunk, gama(0), (b"cHRM", b"?"))), alone)


def test_a_chunk_after_the_palette_or_the_pixels_is_ignored() -> None:
    palette = (b"PLTE", bytes([0, 0, 0, 10, 50, 200]))
    late = png(2, 1, 8, 3, [bytes([1, 0])], palette, gama(0))
    assert decoded(late).tolist() == [[[10, 50, 200], [0, 0, 0]]]


@pytest.mark.parametrize(("chunk", "sentence"), [
    (gama(0), "gAMA chunk of the PNG says 0, which is not from 0.01 to 10"),
    (gama(40_000), "gAMA chunk of the PNG says 40000"),
    ((b"gAMA", b"\0\0\0"), "gAMA chunk of the PNG has 3 bytes, not 4"),
    ((b"cHRM", b"\0"), "cHRM chunk of the PNG has 1 bytes, not 32"),
    (chrm([(0, 0)] * 4), "span no colour space"),
    (chrm([(0.3, 0.3)] * 4), "span no colour space"),
    (chrm([(0.3, 0.3), (0.4, 0.4), (0.5, 0.5), (0.4, 0.4)]), "span no colour space"),
    (chrm([(9_000, 9_000), (0.3, 0.6), (0.15, 0.06), (0.3, 0.3)]), "span no colour space"),
    (chrm([*SRGB[:3], (0.7, 0.2)]), "span no colour space"),
    (chrm([*SRGB[:3], (0.3, 0.0)]), "span no colour space"),
    (cicp(1, 13, 0), "cICP chunk of the PNG has 3 bytes, not 4"),
    (cicp(1, 13, 1, 1), "cICP chunk of the PNG has the matrix 1"),
    (cicp(1, 13, 0, 7), "the range flag 7"),
    (cicp(77, 13, 0, 1), "names the primaries 77 and the transfer 13"),
    (cicp(1, 9, 0, 1), "names the primaries 1 and the transfer 9"),
    (cicp(9, 16, 0, 1), "the PNG is in HDR (cICP with the transfer PQ): send it in SDR"),
    (cicp(9, 18, 0, 1), "the PNG is in HDR (cICP with the transfer HLG): send it in SDR"),
])  # fmt: skip
def test_absurd_colours_are_refused_by_name(chunk: tuple[bytes, bytes], sentence: str) -> None:
    assert sentence in refusal(png_of(SHOWN, chunk))


def test_a_mask_is_taken_as_it_is() -> None:
    greys = np.arange(256).reshape(16, 16, 1)
    for chunk in (gama(1.0), cicp(1, 8, 0, 1), iccp(LINEAR_PROFILE), iccp(grey_profile(1.0))):
        assert np.array_equal(decode_mask(png_of(greys, chunk), rules()), greys[..., 0])
    deep = decode_mask(png_of(greys * 257, gama(1.0), depth=16), rules())
    assert np.array_equal(deep, greys[..., 0])


def test_without_a_word_pixels_stay_as_they_are() -> None:
    assert np.array_equal(decoded(png_of(gradient())), gradient())
