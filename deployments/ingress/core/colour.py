"""What the samples of a picture mean, and their conversion to sRGB.

Of a PNG's colour chunks one counts, in the order of the PNG specification, third edition, section
4.3, which browsers follow: cICP, then iCCP, then sRGB, then gAMA and cHRM. What says nothing, such
as a profile that cannot be read, leaves it to the next.

Sources: ITU-T H.273 (code points of cICP and their formulas), IEC 61966-2-1 (sRGB), and Lindbloom,
"Chromatic Adaptation" (Bradford).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from deployments.errors import InvalidImage
from deployments.jobs import Pixels

MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Of an ICC profile, inflated. Those of displays have some kilobytes, of presses up to 3 MB."""

Light = npt.NDArray[np.float64]
Curve = Callable[[Light], Light]
"""Encoded values to light, both 0 to 1."""

_SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
_PRIMARIES = {
    1: _SRGB_PRIMARIES,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), (0.3127, 0.3290)),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), (0.3127, 0.3290)),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), (0.3127, 0.3290)),
}
"""Colour primaries of H.273, table 2: x and y of red, green, blue and white."""

_UNSPECIFIED = 2
_HDR = {16: "PQ", 18: "HLG"}

_LEAST_GAMMA, _MOST_GAMMA = 0.01, 10.0
_FIXED_POINT = 100_000

_LEAST_AREA = 0.02
"""Twice the area of a triangle of primaries in x and y; sRGB's has 0.22."""

_LEAST_WHITE_Y = 0.05

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

_LIGHT_STEPS = 65_535
"""Steps of the table from light to sRGB; one is a 20th of a level where it is steepest."""

_STRIP_SAMPLES = 2**20

_PROFILED_MODES = {"RGB": ("RGB", "L"), "GRAY": ("L",), "CMYK": ("CMYK",)}
"""Colour space of an ICC profile -> Pillow modes it can describe; the first is its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """How samples stand for light, by formulas.

    Attributes:
        curve: From encoded values to light.
        to_srgb: float64 [3, 3]: linear RGB to linear sRGB; None where the primaries are sRGB's.
        narrow: Black and white are 16/255 and 235/255, and not 0 and 1.
    """

    curve: Curve
    to_srgb: Light | None = None
    narrow: bool = False

    def light(self, top: int) -> Light:
        """The light of every sample, 0 to 1: float64 [top + 1].

        Args:
            top: The largest sample.
        """
        encoded = np.linspace(0, 1, top + 1)
        if self.narrow:
            encoded = np.clip((encoded * 255 - 16) / 219, 0, 1)
        return np.clip(self.curve(encoded), 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """What a file says about its samples.

    Attributes:
        profile: Its ICC profile, which may be unusable.
        encoding: What holds without a usable profile; None where the samples are sRGB.
    """

    profile: bytes | None = None
    encoding: Encoding | None = None

    def in_srgb(self, image: Image.Image) -> Image.Image:
        """An L, RGB or CMYK image in sRGB: mode RGB."""
        converted = None if self.profile is None else _by_profile(image, self.profile)
        if converted is not None:
            return converted
        if self.encoding is None or image.mode == "CMYK":
            return image.convert("RGB")
        return Image.fromarray(encode_srgb(np.asarray(image), self.encoding))


def colours_of_profile(profile: object, kind: str) -> Colours:
    """The colours of a JPEG or WebP, which have nothing but a profile.

    Args:
        profile: Its bytes; anything else is none.
        kind: What sentences call the file.

    Raises:
        InvalidImage: The profile is too large.
    """
    if not isinstance(profile, bytes) or not profile:
        return Colours()
    if len(profile) > MAX_PROFILE_BYTES:
        raise _too_large(kind)
    return Colours(profile)


def colours_of_png(chunks: Mapping[bytes, bytes], *, grey: bool) -> Colours:
    """The colours of a PNG.

    Args:
        chunks: The bodies of its cICP, iCCP, sRGB, gAMA and cHRM chunks, those that it has.
        grey: Its samples are grey.

    Raises:
        InvalidImage: The chunk that counts is malformed, describes no colours, or those of HDR.
    """
    if (body := chunks.get(b"cICP")) is not None:
        encoding = _by_code_points(body)
        if encoding is not None:
            return Colours(encoding=encoding)
    body = chunks.get(b"iCCP")
    profile = None if body is None else _inflated(body)
    if b"sRGB" in chunks or not (chunks.keys() & {b"gAMA", b"cHRM"}):
        return Colours(profile)
    # Not looked at before it counts: an absurd gAMA beside a sound profile says nothing.
    sample = Image.new("L" if grey else "RGB", (1, 1))
    if profile is not None and _by_profile(sample, profile) is not None:
        return Colours(profile)
    curve: Curve = _srgb_light
    matrix = None
    if (body := chunks.get(b"gAMA")) is not None:
        curve = _gamma_of(body)
    if (body := chunks.get(b"cHRM")) is not None:
        matrix = _matrix_of(body)
    return Colours(encoding=Encoding(curve, matrix))


def encode_srgb(samples: npt.NDArray[np.uint8 | np.uint16], encoding: Encoding) -> Pixels:
    """Convert samples to sRGB.

    Args:
        samples: uint8 or uint16 [height, width, 3], or [height, width] of a grey picture.
        encoding: What they mean.

    Returns:
        uint8 [height, width, 3]; what sRGB cannot show is clipped.
    """
    light = encoding.light(np.iinfo(samples.dtype).max)
    if encoding.to_srgb is None or samples.ndim == 2:
        levels = np.rint(_srgb_of(light) * 255).astype(np.uint8)[samples]
        return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
    table = np.rint(_srgb_of(np.linspace(0, 1, _LIGHT_STEPS + 1)) * 255).astype(np.uint8)
    converted = np.empty(samples.shape, np.uint8)
    rows = max(1, _STRIP_SAMPLES // samples[0].size)
    light, matrix = light.astype(np.float32), encoding.to_srgb.T.astype(np.float32)
    for top in range(0, len(samples), rows):
        linear = light[samples[top : top + rows]] @ matrix
        steps = np.rint(linear.clip(0, 1) * _LIGHT_STEPS).astype(np.uint16)
        converted[top : top + rows] = table[steps]
    return converted


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The image in sRGB; None where the profile is unreadable or not one of such an image."""
    # lcms refuses what it cannot read with these.
    with suppress(OSError, TypeError, ValueError):
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        modes = _PROFILED_MODES.get(source.profile.xcolor_space.strip(), ())
        if image.mode in modes:
            target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            transform = ImageCms.ImageCmsTransform(source, target, modes[0], "RGB")
            return transform.apply(image if image.mode == modes[0] else image.convert(modes[0]))
    return None


def _inflated(body: bytes) -> bytes | None:
    """The profile of an iCCP chunk; None where it does not inflate."""
    inflate = zlib.decompressobj()
    with suppress(zlib.error):
        profile = inflate.decompress(body.partition(b"\0")[2][1:], MAX_PROFILE_BYTES + 1)
        if len(profile) > MAX_PROFILE_BYTES:
            raise _too_large("PNG")
        if inflate.eof:
            return profile
    return None


def _too_large(kind: str) -> InvalidImage:
    return InvalidImage(
        f"the colour profile of the {kind} has more bytes than the limit of {MAX_PROFILE_BYTES:,}"
    )


def _by_code_points(body: bytes) -> Encoding | None:
    """The encoding that a cICP chunk names; None where it leaves it open."""
    if len(body) != 4:
        raise InvalidImage(f"the cICP chunk of the PNG has {len(body)} bytes, not 4")
    primaries, transfer, matrix, full = body
    if matrix != 0 or full > 1:
        raise InvalidImage(
            f"the cICP chunk of the PNG has the matrix {matrix} and the range flag {full}: "
            "RGB has the matrix 0 and the flag 0 or 1"
        )
    if _UNSPECIFIED in (primaries, transfer):
        return None
    if transfer in _HDR:
        raise InvalidImage(
            f"the PNG is in HDR (cICP with the transfer {_HDR[transfer]}): send it in SDR"
        )
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        raise InvalidImage(
            f"the cICP chunk of the PNG names the primaries {primaries} and the transfer "
            f"{transfer}, which this service does not know"
        )
    return Encoding(_CURVES[transfer], _matrix(_PRIMARIES[primaries]), narrow=full == 0)


def _gamma_of(body: bytes) -> Curve:
    if len(body) != 4:
        raise InvalidImage(f"the gAMA chunk of the PNG has {len(body)} bytes, not 4")
    gamma = int.from_bytes(body, "big") / _FIXED_POINT
    if not _LEAST_GAMMA <= gamma <= _MOST_GAMMA:
        raise InvalidImage(
            f"the gAMA chunk of the PNG says {gamma:g}, which is not from {_LEAST_GAMMA:g} "
            f"to {_MOST_GAMMA:g}"
        )
    return _power(1 / gamma)


def _matrix_of(body: bytes) -> Light | None:
    if len(body) != 32:
        raise InvalidImage(f"the cHRM chunk of the PNG has {len(body)} bytes, not 32")
    values = [value / _FIXED_POINT for value in struct.unpack(">8I", body)]
    white, red, green, blue = zip(values[::2], values[1::2], strict=True)
    return _matrix((red, green, blue, white))


def _matrix(primaries: tuple[tuple[float, float], ...]) -> Light | None:
    """Linear RGB of these primaries to linear sRGB; None where they are sRGB's.

    Raises:
        InvalidImage: They are no colours, or none that span a colour space.
    """
    own, srgb = _xyz_of(primaries), _xyz_of(_SRGB_PRIMARIES)
    cones, wanted = _BRADFORD @ own.sum(axis=1), _BRADFORD @ srgb.sum(axis=1)
    if (cones <= 0).any():
        raise _absurd()
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(wanted / cones) @ _BRADFORD
    matrix = np.linalg.inv(srgb) @ adapted @ own
    return None if np.allclose(matrix, np.eye(3), atol=1e-3) else matrix


def _xyz_of(primaries: tuple[tuple[float, float], ...]) -> Light:
    """Linear RGB to XYZ, with white at Y = 1: float64 [3, 3]."""
    points = np.array([[x, y, 1 - x - y] for x, y in primaries]).T
    if points.min() < -1e-3 or points[1, 3] < _LEAST_WHITE_Y:
        raise _absurd()
    corners, white = points[:, :3], points[:, 3] / points[1, 3]
    if abs(np.linalg.det(corners)) < _LEAST_AREA:
        raise _absurd()
    shares = np.linalg.inv(corners) @ white
    if (shares <= 0).any():  # white outside of the triangle
        raise _absurd()
    return np.asarray(corners * shares)


def _absurd() -> InvalidImage:
    return InvalidImage("the chromaticities in the cHRM chunk of the PNG span no colour space")


def _power(exponent: float) -> Curve:
    def light(encoded: Light) -> Light:
        return np.asarray(encoded**exponent)

    return light


def _srgb_light(encoded: Light) -> Light:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _srgb_of(light: Light) -> Light:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _bt709_light(encoded: Light) -> Light:
    alpha, beta = 1.09929682680944, 0.018053968510807
    return np.where(
        encoded < 4.5 * beta, encoded / 4.5, ((encoded + alpha - 1) / alpha) ** (1 / 0.45)
    )


def _smpte240_light(encoded: Light) -> Light:
    return np.where(encoded < 0.0912, encoded / 4, ((encoded + 0.1115) / 1.1115) ** (1 / 0.45))


def _dcdm_light(encoded: Light) -> Light:
    return np.asarray(encoded**2.6 * 52.37 / 48)


_CURVES: Mapping[int, Curve] = {
    1: _bt709_light,
    4: _power(2.2),
    5: _power(2.8),
    6: _bt709_light,
    7: _smpte240_light,
    8: _power(1.0),
    13: _srgb_light,
    14: _bt709_light,
    15: _bt709_light,
    17: _dcdm_light,
}
"""Transfer characteristics of H.273, table 3, but for those of HDR and logarithms."""
