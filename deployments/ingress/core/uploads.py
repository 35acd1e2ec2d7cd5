"""Untrusted bytes to a clean RGB picture or to a mask.

The file's own signature decides what it is, never a content type or a file name. Metadata never
reaches a decoder's parsers. The container is walked here, only what bears on the pixels is kept,
and the one tag that matters, EXIF orientation, is read here. What is left of an upload afterwards
are arrays, so no metadata, second image or appended file survives.

What a file costs is bounded before it is paid: its chunks or segments, its scans, its pixels. And
of a large picture only the size that results need comes out.

Synchronous and CPU-bound: `decoder` runs it in threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from deployments.errors import InvalidImage, InvalidRequest
from deployments.ingress.core.colour import (
    Colours,
    colours_of_png,
    colours_of_profile,
    encode_srgb,
)
from deployments.ingress.core.jpeg_segments import clean_jpeg
from deployments.ingress.core.orientation import SIDEWAYS, orientation_of, upright
from deployments.ingress.core.png_chunks import SIGNATURE as PNG_SIGNATURE
from deployments.ingress.core.png_chunks import read_png
from deployments.ingress.core.shrinking import factor_to, shrink, shrink_deep_png
from deployments.jobs import Mask, Photo, Pixels
from deployments.settings import UploadLimits

_MAX_SCANNED_PIXELS = 1_500_000_000
"""Scans times pixels: a pass over 67 million pixels takes about 0.1 s."""

_MAX_COEFFICIENTS = 220_000_000
"""A JPEG of several scans holds its coefficients until the last, in two bytes each."""

_MAX_WEBP_PIXELS = 178_956_970
"""Where Pillow refuses to open a WebP; `UploadLimits.max_pixels` cannot be set above it."""

_GREY_TOLERANCE = 8
"""How far the channels of a grey picture may be apart: JPEG rounds them differently."""

Taking = Callable[[int], AbstractContextManager[object]]
"""Takes room for so many pixels while they are decoded."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """How uploads are decoded.

    Attributes:
        limits: The sizes that are accepted, checked before any pixel is decoded.
        side: A picture is made smaller by 2, 4 or 8 where its longer side stays at least so long.
        taking: Takes room for the pixels that a decoder holds.
    """

    limits: UploadLimits
    side: int
    taking: Taking = nullcontext


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A file whose pixels are not yet decoded.

    Attributes:
        image: Tells size and mode.
        load: Decodes it and makes it smaller by a factor: pixels in sRGB, and their alpha.
        held: Pixels in a decoder's memory, by that factor.
        colours: What its samples mean.
        orientation: By EXIF, 1 to 8.
    """

    image: Image.Image
    load: Callable[[int, Colours], tuple[Image.Image, Mask | None]]
    held: Callable[[int], int]
    colours: Colours
    orientation: int


def decode_upload(data: bytes, rules: UploadRules, field: str = "image") -> Photo:
    """Decode a PNG, JPEG or WebP file.

    The result is upright (the EXIF orientation of PNG and JPEG is applied, that of WebP is not, as
    in browsers), in sRGB (see `colour`) and laid over white, 8 bits a channel whatever the file
    had. As in browsers, a profile that cannot be read or does not fit the image is ignored, and
    where nothing tells otherwise RGB and grey are taken for sRGB. CMYK without a profile is
    converted by the plain formula. Of a JPEG that holds several pictures (MPO, Ultra HDR, motion
    photo) the primary one is decoded.

    Args:
        data: The whole file.
        rules: What is accepted, and how large it comes out.
        field: What the file was sent as, for the sentence of a refusal.

    Returns:
        The picture, uint8 [height, width, 3], with its alpha where it is not opaque everywhere.

    Raises:
        InvalidImage: The file is empty, of another format, animated, truncated, damaged or over a
            limit. No other error is raised, whatever the bytes are.
    """
    return _decoded(data, rules, field, None)


def decode_mask(
    data: bytes,
    rules: UploadRules,
    photo: Photo | None = None,
    field: str = "product_mask",
    *,
    by_alpha: bool = False,
) -> Mask:
    """Decode a PNG, JPEG or WebP file whose greys mark a product: white is the product.

    Decoded as a photo is, so that both are upright alike and equally large, but for its colours:
    its greys are taken as they are, whatever they would look like.

    Args:
        data: The whole file.
        rules: What is accepted, and how large it comes out.
        photo: What it was sent with; None accepts any size.
        field: What the file was sent as, for the sentence of a refusal.
        by_alpha: Its opaque part is the product, and its colours mean nothing.

    Returns:
        uint8 [height, width]: 255 marks the product.

    Raises:
        InvalidRequest: It is not of the photo's size.
        InvalidImage: As in `decode_upload`; and where it is transparent or has colours, because
            what those mark would be a guess; by alpha where it is opaque everywhere.
    """
    mask = _decoded(data, rules, field, Colours())
    if photo is not None and mask.file_size != photo.file_size:
        own, other = (f"{width} x {height}" for width, height in (mask.file_size, photo.file_size))
        raise InvalidRequest(f"{field}: the mask is {own} pixels, the photo {other}")
    if by_alpha:
        if mask.alpha is None:
            raise InvalidImage(f"{field} must be transparent where the picture shall change")
        return mask.alpha
    if mask.alpha is not None:
        raise InvalidImage(f"{field} must not be transparent: white marks the product")
    spread = mask.pixels.max(axis=2) - mask.pixels.min(axis=2)
    if spread.max() > _GREY_TOLERANCE:
        raise InvalidImage(f"{field} must be grey, not coloured: white marks the product")
    return np.ascontiguousarray(mask.pixels[..., 1])


def _decoded(data: bytes, rules: UploadRules, field: str, colours: Colours | None) -> Photo:
    """A picture; with given colours, whatever it says itself."""
    kind = "image"
    try:
        kind, open_image = _format(data)
        opened = open_image(data)
        width, height = opened.image.size
        _check_size(width, height, rules.limits)
        factor = factor_to(rules.side, width, height)
        with rules.taking(opened.held(factor)):
            picture, alpha = opened.load(factor, opened.colours if colours is None else colours)
        pixels = upright(_over_white(picture, alpha), opened.orientation)
        size = (height, width) if opened.orientation in SIDEWAYS else (width, height)
        if alpha is None or alpha.min() == 255:
            return Photo(pixels, full_size=size)
        return Photo(pixels, upright(alpha, opened.orientation), full_size=size)
    except InvalidImage as error:
        raise InvalidImage(f"{field}: {error}") from None
    except Image.DecompressionBombError as error:
        # Only WebP gets here: its decoder would allocate the canvas before the size is known.
        raise InvalidImage(
            f"{field}: the {kind} has more than {_MAX_WEBP_PIXELS:,} pixels; "
            f"the limit is {rules.limits.max_pixels:,}"
        ) from error
    except Exception as error:
        # Hostile bytes bring up nearly every built-in exception in a decoder, so none is named.
        raise InvalidImage(
            f"{field}: the {kind} is damaged or of a kind this service cannot read"
        ) from error


def _format(data: bytes) -> tuple[str, Callable[[bytes], _Opened]]:
    """The file's format by its signature, and what opens it."""
    if not data:
        raise InvalidImage("the file is empty")
    if data.startswith(PNG_SIGNATURE):
        return "PNG", _open_png
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", _open_jpeg
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP", _open_webp
    raise InvalidImage(_other_kind(data) or "the file is not a PNG, JPEG or WebP image")


def _other_kind(data: bytes) -> str | None:
    """What to do about a file of another kind that people send."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in _HEIC:
        return (
            "the file is HEIC, as iPhones keep photos; export it as JPEG, or set the camera's "
            "formats to Most Compatible"
        )
    if brand in (b"avif", b"avis"):
        return "the file is AVIF; save it as PNG, JPEG or WebP"
    if data.startswith(b"GIF8"):
        return "the file is GIF; save it as PNG, which keeps as much"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "the file is TIFF or a camera's raw format; export it as PNG or JPEG"
    if data.startswith(b"BM"):
        return "the file is BMP; save it as PNG, which keeps as much"
    if data.startswith(b"%PDF"):
        return "the file is a PDF; export the picture in it as PNG or JPEG"
    if b"<svg" in data[:1024].lower():
        return "the file is SVG; export it as PNG"
    return None


_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def _check_size(width: int, height: int, limits: UploadLimits) -> None:
    long, short = max(width, height), min(width, height)
    if long > limits.max_side:
        raise InvalidImage(
            f"the picture's longer side has {long:,} pixels; the limit is {limits.max_side:,}"
        )
    if width * height > limits.max_pixels:
        raise InvalidImage(
            f"the picture has {width * height:,} pixels; the limit is {limits.max_pixels:,}"
        )
    if long > limits.max_aspect * short:
        raise InvalidImage(
            f"the picture is {width:,} x {height:,} pixels, a ratio of {long / short:.4g} to 1;"
            f" the limit is {limits.max_aspect:.4g} to 1"
        )


def _open_png(data: bytes) -> _Opened:
    png = read_png(data)
    image = PngImageFile(BytesIO(png.file))
    key = image.info.get("transparency")
    if image.mode in ("L", "I;16", "RGB") and key is not None:
        # The transparent colour is given in the file's bit depth, the pixels come in 8 bits.
        values = key if image.mode == "RGB" else (key,)
        top = 2**png.depth - 1
        scaled = tuple(v >> 8 if png.depth == 16 else (v & top) * 255 // top for v in values)
        image.info["transparency"] = scaled if image.mode == "RGB" else scaled[0]

    def load(factor: int, colours: Colours) -> tuple[Image.Image, Mask | None]:
        if png.depth < 16 or colours.encoding is None:
            image.load()
            return _in_srgb(shrink(image, factor), colours)
        # A curve such as a linear one needs all the bits.
        samples, alpha = shrink_deep_png(png.file, factor)
        return Image.fromarray(encode_srgb(samples, colours.encoding)), alpha

    pixels = image.width * image.height
    colours = colours_of_png(png.colours, grey=png.grey)
    return _Opened(image, load, lambda _: pixels, colours, orientation_of(png.exif))


def _open_jpeg(data: bytes) -> _Opened:
    file, exif, scans = clean_jpeg(data)
    image = JpegImageFile(BytesIO(file))
    size, pixels = image.size, image.width * image.height
    if scans * pixels > _MAX_SCANNED_PIXELS:
        raise InvalidImage(f"the JPEG has {scans} scans, too many for {pixels:,} pixels")
    shares = [across * down for _, across, down, _ in image.layer]
    if scans > 1 and pixels * sum(shares) > _MAX_COEFFICIENTS * max(shares):
        raise InvalidImage(
            f"the JPEG has {pixels:,} pixels in {len(shares)} channels and several scans: "
            "send it in one scan, or smaller"
        )

    def load(factor: int, colours: Colours) -> tuple[Image.Image, Mask | None]:
        image.draft(None, (size[0] // factor, size[1] // factor))
        left = factor if image.size == size else 1
        image.load()
        return _in_srgb(shrink(image, left), colours)

    colours = colours_of_profile(image.info.get("icc_profile"), "JPEG")
    # The coefficients of several scans are held for all pixels, however few come out.
    held = (lambda _: pixels) if scans > 1 else (lambda factor: pixels // factor**2)
    return _Opened(image, load, held, colours, orientation_of(exif))


def _open_webp(data: bytes) -> _Opened:
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise InvalidImage("the WebP is truncated")
    image = WebPImageFile(BytesIO(data))
    if image.n_frames > 1:
        raise InvalidImage("the WebP is animated; only still images are accepted")

    def load(factor: int, colours: Colours) -> tuple[Image.Image, Mask | None]:
        # Pillow takes every WebP for an animation, which costs three pictures more.
        import cv2

        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if samples is None or samples.shape[:2] != (image.height, image.width):
            raise InvalidImage("the WebP is damaged")
        order = cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        cv2.cvtColor(samples, order, dst=samples)
        return _in_srgb(shrink(Image.fromarray(samples), factor), colours)

    pixels = image.width * image.height
    colours = colours_of_profile(image.info.get("icc_profile"), "WebP")
    return _Opened(image, load, lambda _: pixels, colours, orientation=1)


def _in_srgb(image: Image.Image, colours: Colours) -> tuple[Image.Image, Mask | None]:
    """A picture of a plain mode in sRGB: mode RGB; and its alpha, if it has any."""
    if image.mode not in ("LA", "RGBA"):
        return colours.in_srgb(image), None
    colour = image.convert("L" if image.mode == "LA" else "RGB")
    return colours.in_srgb(colour), np.asarray(image.getchannel("A"))


def _over_white(colour: Image.Image, alpha: Mask | None) -> Pixels:
    if alpha is None:
        return np.asarray(colour)
    canvas = Image.new("RGB", colour.size, "white")
    canvas.paste(colour, mask=Image.fromarray(alpha))
    return np.asarray(canvas)
