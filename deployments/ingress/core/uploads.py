"""Untrusted bytes to a clean RGB picture or to a mask.

The file's own signature decides what it is, never a content type or a file name.
Metadata never reaches Pillow's parsers. The container is walked here, only what bears on the
pixels is kept, and the one tag that matters, EXIF orientation, is read here. What is left of an
upload afterwards are arrays, so no metadata, second image or appended file survives.

Synchronous and CPU-bound: run it off the event loop.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from deployments.errors import InvalidImage
from deployments.jobs import Mask, Photo
from deployments.settings import UploadLimits

_MAX_JPEG_SCANS = 100
"""Encoders write about ten. Each costs a pass over all pixels for as little as 75 bytes."""

_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""A marker with a length, or the end: not a stuffed zero, restart, fill byte or TEM."""

_JPEG_EOI = 0xD9
_JPEG_SOS = 0xDA
_JPEG_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
_JPEG_KEPT_METADATA = (b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")
"""Application segments that say what the samples mean: colour transform and profile."""

_MAX_WEBP_PIXELS = 178_956_970
"""Where Pillow refuses to open a WebP; `UploadLimits.max_pixels` cannot be set above it."""

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT", b"IEND"})

_GREY_TOLERANCE = 8
"""How far the channels of a grey picture may be apart: JPEG rounds them differently."""

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_PROFILED_MODES = {"RGB": ("RGB", "L"), "GRAY": ("L",), "CMYK": ("CMYK",)}
"""Colour space of an ICC profile -> Pillow modes it can describe; the first is its own."""


def decode_upload(data: bytes, limits: UploadLimits) -> Photo:
    """Decode a PNG, JPEG or WebP file.

    The result is upright (EXIF orientation applied), in sRGB (an embedded ICC profile applied) and
    laid over white, 8 bits a channel whatever the file had. As in browsers, a
    profile that cannot be read or does not fit the image is ignored, and without a profile RGB and
    grey are taken for sRGB. CMYK without a profile is converted by the plain formula. Of a JPEG
    that holds several pictures (MPO, Ultra HDR, motion photo) the primary one is decoded.

    Args:
        data: The whole file.
        limits: The sizes that are accepted; checked before any pixel is decoded.

    Returns:
        The picture, uint8 [height, width, 3], with its alpha where it is not opaque everywhere.

    Raises:
        InvalidImage: The file is empty, of another format, animated, truncated, damaged or over a
            limit. No other error is raised, whatever the bytes are.
    """
    kind, open_image = _format(data)
    try:
        image, exif = open_image(data)
        _check_size(*image.size, limits)
        image.load()
        colours, alpha = _flattened(image)
        pixels = np.asarray(_upright(colours, exif))
        if alpha is None or alpha.getextrema() == (255, 255):
            return Photo(pixels)
        return Photo(pixels, np.asarray(_upright(alpha, exif)))
    except InvalidImage:
        raise
    except Image.DecompressionBombError as error:
        # Only WebP gets here: its decoder would allocate the canvas before the size is known.
        raise InvalidImage(
            f"The image has more than {_MAX_WEBP_PIXELS:,} pixels;"
            f" the limit is {limits.max_pixels:,}."
        ) from error
    except Exception as error:
        # Hostile bytes bring up nearly every built-in exception in a decoder, so none is named.
        raise InvalidImage(
            f"The {kind} image is damaged or of a kind this service cannot read."
        ) from error


def decode_mask(data: bytes, limits: UploadLimits) -> Mask:
    """Decode a PNG, JPEG or WebP file whose greys mark a product: white is the product.

    Decoded as a photo is, so that both are upright alike.

    Args:
        data: The whole file.
        limits: The sizes that are accepted.

    Returns:
        uint8 [height, width]: 255 marks the product.

    Raises:
        InvalidImage: As in `decode_upload`; and where it is transparent or has colours, because
            what those mark would be a guess. The sentence names product_mask.
    """
    try:
        photo = decode_upload(data, limits)
    except InvalidImage as error:
        raise InvalidImage(f"product_mask: {error}") from None
    if photo.alpha is not None:
        raise InvalidImage("product_mask must not be transparent: white marks the product.")
    spread = photo.pixels.max(axis=2) - photo.pixels.min(axis=2)
    if spread.max() > _GREY_TOLERANCE:
        raise InvalidImage("product_mask must be grey, not coloured: white marks the product.")
    return np.ascontiguousarray(photo.pixels[..., 1])


def _format(data: bytes) -> tuple[str, Callable[[bytes], tuple[Image.Image, bytes]]]:
    """The file's format by its signature, and what opens it: image and EXIF, still undecoded."""
    if not data:
        raise InvalidImage("The image file is empty.")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", _open_png
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", _open_jpeg
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP", _open_webp
    raise InvalidImage("The file is not a PNG, JPEG or WebP image.")


def _check_size(width: int, height: int, limits: UploadLimits) -> None:
    long, short = max(width, height), min(width, height)
    if long > limits.max_side:
        raise InvalidImage(
            f"The image's longer side has {long:,} pixels; the limit is {limits.max_side:,}."
        )
    if width * height > limits.max_pixels:
        raise InvalidImage(
            f"The image has {width * height:,} pixels; the limit is {limits.max_pixels:,}."
        )
    if long > limits.max_aspect * short:
        raise InvalidImage(
            f"The image is {width:,} x {height:,} pixels, a ratio of {long / short:.4g} to 1;"
            f" the limit is {limits.max_aspect:.4g} to 1."
        )


def _open_png(data: bytes) -> tuple[Image.Image, bytes]:
    kept, exif, at, kind = [data[:8]], b"", 8, b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise InvalidImage("The PNG image is truncated.")
        body = memoryview(data)[at + 8 : end - 4]
        if kind == b"acTL" and int.from_bytes(body[:4], "big") > 1:
            raise InvalidImage("The PNG image is animated; only still images are accepted.")
        if kind == b"eXIf":
            exif = bytes(body)
        if kind in _PNG_KEPT:
            # Pillow checks no checksum of the pixels.
            if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
                raise InvalidImage("The PNG image is damaged: a checksum does not match.")
            kept.append(data[at:end])
        at = end
    image = PngImageFile(BytesIO(b"".join(kept)))
    key = image.info.get("transparency")
    if image.mode in ("L", "I;16", "RGB") and key is not None:
        # The transparent colour is given in the file's bit depth, the pixels come in 8 bits.
        depth, values = data[24], key if image.mode == "RGB" else (key,)
        top = 2**depth - 1
        scaled = tuple(v >> 8 if depth == 16 else (v & top) * 255 // top for v in values)
        image.info["transparency"] = scaled if image.mode == "RGB" else scaled[0]
    return image, exif


def _open_jpeg(data: bytes) -> tuple[Image.Image, bytes]:
    kept, exif, scans, start, at = [], b"", 0, 0, 2
    while marker := _JPEG_MARKER.search(data, at):
        code, begin = data[marker.end() - 1], marker.end()
        if code == _JPEG_EOI:
            kept.append(data[start:begin])
            return JpegImageFile(BytesIO(b"".join(kept))), exif
        at = begin + int.from_bytes(data[begin : begin + 2], "big")
        body = data[begin + 2 : at]
        if code == _JPEG_SOS and (scans := scans + 1) > _MAX_JPEG_SCANS:
            raise InvalidImage(
                f"The JPEG image has more scans than the limit of {_MAX_JPEG_SCANS}."
            )
        if code in _JPEG_METADATA and not body.startswith(_JPEG_KEPT_METADATA):
            kept.append(data[start : marker.start()])
            start = at
            if body.startswith(b"Exif\0\0"):
                exif = exif or body[6:]
    raise InvalidImage("The JPEG image is truncated.")


def _open_webp(data: bytes) -> tuple[Image.Image, bytes]:
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise InvalidImage("The WebP image is truncated.")
    image = WebPImageFile(BytesIO(data))
    if image.n_frames > 1:
        raise InvalidImage("The WebP image is animated; only still images are accepted.")
    return image, image.info.get("exif", b"").removeprefix(b"Exif\0\0")


def _flattened(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Any decoded image in sRGB, laid over white: mode RGB; and its alpha, if any: mode L."""
    profile = image.info.get("icc_profile")
    if image.mode == "I;16":
        # Pillow's own conversion clips to 255 instead of scaling.
        key = image.info.get("transparency")
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if key is not None:
            image.info["transparency"] = key
    grey = image.mode in ("1", "L", "LA")
    if not image.has_transparency_data:
        return _in_srgb(_in_mode(image, "L" if grey else "RGB", keep="CMYK"), profile), None
    layered = _in_mode(image, "LA" if grey else "RGBA")
    colour = _in_srgb(layered.convert("L" if grey else "RGB"), profile)
    canvas = Image.new("RGB", image.size, "white")
    alpha = layered.getchannel("A")
    canvas.paste(colour, mask=alpha)
    return canvas, alpha


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An L, RGB or CMYK image in sRGB: mode RGB."""
    if profile:
        # lcms refuses what it cannot read with these; such a profile is ignored.
        with suppress(OSError, TypeError, ValueError):
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            modes = _PROFILED_MODES.get(source.profile.xcolor_space.strip(), ())
            if image.mode in modes:
                target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
                transform = ImageCms.ImageCmsTransform(source, target, modes[0], "RGB")
                return transform.apply(_in_mode(image, modes[0]))
    return _in_mode(image, "RGB")


def _in_mode(image: Image.Image, mode: str, keep: str = "") -> Image.Image:
    """The image converted, and not copied where it is in the mode already."""
    return image if image.mode in (mode, keep) else image.convert(mode)


def _upright(image: Image.Image, exif: bytes) -> Image.Image:
    """The image turned as its EXIF says; unreadable EXIF says nothing."""
    method = _UPRIGHT.get(_orientation(exif))
    return image if method is None else image.transpose(method)


def _orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, of EXIF (a TIFF structure); 1 where it gives none.

    Source: TIFF 6.0, section 2 and EXIF 2.32, section 4.6.4.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    with suppress(struct.error):
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _EXIF_ORIENTATION and kind == 3:
                return int(value)
    return 1
