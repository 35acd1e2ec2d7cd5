"""Image files made to hurt a decoder: any number of them, each told by its number alone."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
SIGNATURES = [PNG, JPEG, b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"RIFF\x20\0\0\0WEBPVP8L", b"GIF89a"]
FOREIGN = [
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00;",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>',
    b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 40,
    b"MM\0*\0\0\0\x08" + b"\xff" * 40,
    b"BM" + b"\xff" * 60,
    b"\0\0\1\0\1\0" + b"\0" * 40,
    b"8BPS\0\1" + b"\0" * 40,
    b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + b"\0" * 40,
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40,
    b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://evil.example/|ls)'\n",
    b"PK\x03\x04" + b"\0" * 60,
    b"#!/bin/sh\nid\n",
    b"<html><script>alert(1)</script></html>",
    b"",
]


def hostile(number: int) -> tuple[str, bytes]:
    """The kind and the bytes of a file; the same for the same number.

    Args:
        number: 0 or more; every kind comes up early.
    """
    dice = random.Random(number)  # noqa: S311 - made up, not secret
    kinds = list(KINDS)
    kind = kinds[number % len(kinds)]
    return kind, KINDS[kind](dice)


@cache
def samples() -> tuple[bytes, ...]:
    """Sound files of every accepted format and of many modes."""
    y, x = np.mgrid[0:40, 0:56]
    rgb = Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=2).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    made = [
        (rgb, "PNG", {"exif": exif}),
        (rgb.quantize(16), "PNG", {"transparency": bytes(range(0, 256, 16))}),
        (rgb.convert("RGBA"), "PNG", {}),
        (rgb.convert("L"), "PNG", {}),
        (rgb.convert("1"), "PNG", {}),
        (rgb, "JPEG", {"exif": exif, "comment": b"hello"}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb.convert("L"), "JPEG", {}),
        (rgb, "WEBP", {"exif": exif}),
        (rgb.convert("RGBA"), "WEBP", {"lossless": True}),
        (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(180)]}),
    ]
    files = []
    for image, kind, options in made:
        file = BytesIO()
        image.save(file, kind, **options)
        files.append(file.getvalue())
    return tuple(files)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with the right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of any header, with chunks between it and the end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def _size_bomb(dice: random.Random) -> bytes:
    sides = [0, 1, 2, 8_000, 16_384, 65_535, 65_536, 2**31 - 1, 2**32 - 1]
    pixels = chunk(b"IDAT", zlib.compress(bytes(dice.choice([0, 100, 10_000]))))
    return png(dice.choice(sides), dice.choice(sides), pixels, colour=dice.choice([0, 2, 3, 4, 6]))


@cache
def _bomb() -> bytes:
    return zlib.compress(bytes(20_000_000), 9)


def _zip_bomb(dice: random.Random) -> bytes:
    bomb = _bomb()
    kind = dice.choice([b"IDAT", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"PLTE", b"tRNS", b"zzZz"])
    body = {b"iCCP": b"p\0\0" + bomb, b"zTXt": b"p\0\0" + bomb, b"iTXt": b"p\0\1\0\0\0" + bomb}
    pixels = chunk(b"IDAT", zlib.compress(bytes(30 * 91)))
    return png(30, 30, chunk(kind, body.get(kind, bomb)), pixels)


def _jpeg_bomb(dice: random.Random) -> bytes:
    data = bytearray(samples()[dice.choice([5, 6, 7])])
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if dice.random() < 0.5:
        sides = [0, 1, 9_000, 65_535]
        data[frame + 5 : frame + 9] = struct.pack(">HH", dice.choice(sides), dice.choice(sides))
        return bytes(data)
    scan = data.find(b"\xff\xda")
    return bytes(data[:-2]) + bytes(data[scan:-2]) * dice.choice([2, 50, 400]) + b"\xff\xd9"


def _webp_bomb(dice: random.Random) -> bytes:
    sides = [1, 16_383, 65_536, 2**24]
    width, height = dice.choice(sides) - 1, dice.choice(sides) - 1
    flags = dice.choice([0, 2, 16, 32, 63])
    canvas = bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + samples()[9][12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _truncated(dice: random.Random) -> bytes:
    data = dice.choice(samples())
    return data[: dice.randrange(len(data))]


def _mutated(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(samples()))
    for _ in range(dice.randint(1, 12)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.choice([0, 1, 0x7F, 0x80, 0xD8, 0xDA, 0xFE, 0xFF])
            case 1:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                data[at:at] = dice.randbytes(dice.randint(1, 9))
            case _:
                del data[at : at + dice.randint(1, 30)]
        if not data:
            break
    return bytes(data)


def _rechecked(dice: random.Random) -> bytes:
    """A PNG that was damaged below its checksums, which are right again."""
    data, at, pieces = dice.choice(samples()[:5]), 8, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        pieces.append([data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + size])])
        at += 12 + size
    for _ in range(dice.randint(1, 4)):
        body = dice.choice(pieces)[1]
        if body:
            body[dice.randrange(len(body))] = dice.randrange(256)
    if dice.random() < 0.4:
        dice.shuffle(pieces)
    if dice.random() < 0.4:
        pieces.append(dice.choice(pieces))
    return PNG + b"".join(chunk(kind, bytes(body)) for kind, body in pieces)


def _polyglot(dice: random.Random) -> bytes:
    first, second = dice.choice(samples()), dice.choice(list(FOREIGN) + list(samples()))
    match dice.randrange(4):
        case 0:
            return first + second
        case 1:
            return second + first
        case 2:
            return dice.choice(SIGNATURES) + second + first
        case _:
            middle = dice.randrange(len(first))
            return first[:middle] + second + first[middle:]


def _junk(dice: random.Random) -> bytes:
    return dice.choice(SIGNATURES) + dice.randbytes(dice.choice([0, 3, 40, 900, 40_000]))


def _odd_chunks(dice: random.Random) -> bytes:
    kinds = [b"PLTE", b"tRNS", b"iCCP", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"zTXt", b"IDAT"]
    kinds += [b"cICP", b"gAMA", b"cHRM", b"sRGB"]
    bodies = [dice.randbytes(dice.randint(0, 40)), zlib.compress(bytes(900)), b"p\0\0x", b""]
    chunks = [chunk(dice.choice(kinds), dice.choice(bodies)) for _ in range(dice.randint(1, 60))]
    depth, colour = dice.choice([1, 2, 3, 4, 8, 16]), dice.choice([0, 1, 2, 3, 4, 6])
    return png(dice.randint(0, 9), dice.randint(0, 9), *chunks, depth=depth, colour=colour)


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "truncated": _truncated,
    "mutated": _mutated,
    "rechecked": _rechecked,
    "polyglot": _polyglot,
    "junk": _junk,
    "odd chunks": _odd_chunks,
    "size bomb": _size_bomb,
    "zip bomb": _zip_bomb,
    "jpeg bomb": _jpeg_bomb,
    "webp bomb": _webp_bomb,
    "foreign": lambda dice: dice.choice(FOREIGN),
}
