"""Files of results: their formats, their quality, and their smaller copies."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.composition import Output
from deployments.jobs import Mask, Pixels
from deployments.studio.encoding import Metadata, encode
from deployments.studio.tiles import TILE_BYTES, make_tile

COFFEE = Path(__file__).parents[3] / "deployments" / "samples" / "coffee.png"
NOTHING = Metadata()


def photograph(side: int = 1024) -> Pixels:
    with Image.open(COFFEE) as image:
        return np.asarray(
            image.convert("RGB").resize((side, side * 2 // 3), Image.Resampling.LANCZOS)
        )


def disc(side: int) -> Mask:
    y, x = np.mgrid[:side, :side]
    return np.clip(255 * (side * 0.4 - np.hypot(x - side / 2, y - side / 2)), 0, 255).astype(
        np.uint8
    )


def opened(file: bytes) -> Image.Image:
    image = Image.open(BytesIO(file))
    image.load()
    return image


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize(
    ("file_format", "kind", "most"),
    [("png", "PNG", 0.0), ("jpeg", "JPEG", 1.5), ("webp", "WEBP", 3)],
)
def test_each_format_holds_the_picture(file_format: str, kind: str, most: float) -> None:
    pixels = photograph()
    image = opened(encode(pixels, Output(file_format), NOTHING))
    assert (image.format, image.mode, image.size) == (kind, "RGB", (1024, 682))
    assert difference(np.asarray(image), pixels) <= most


@pytest.mark.parametrize(("quality", "sampling"), [(None, 0), (100, 0), (90, 0), (89, 2), (1, 2)])
def test_colour_of_jpeg_is_whole_from_90_on(quality: int | None, sampling: int) -> None:
    from PIL.JpegImagePlugin import get_sampling

    image = opened(encode(photograph(128), Output("jpeg", quality), NOTHING))
    assert get_sampling(image) == sampling


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
def test_quality_is_size(file_format: str) -> None:
    pixels = photograph(256)
    sizes = [len(encode(pixels, Output(file_format, q), NOTHING)) for q in (1, 40, 85, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] * 4 < sizes[-1]
    default = 90 if file_format == "jpeg" else 85
    assert encode(pixels, Output(file_format), NOTHING) == encode(
        pixels, Output(file_format, default), NOTHING
    )


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_transparency_is_kept_and_what_it_hides_is_not(file_format: str) -> None:
    pixels = photograph(240)[:160, :160]
    alpha = disc(160)
    image = opened(encode(np.dstack([pixels, alpha]), Output(file_format, None), NOTHING))
    layers = np.asarray(image)
    assert image.mode == "RGBA"
    assert np.array_equal(layers[..., 3], alpha)
    assert difference(layers[alpha == 255][:, :3], pixels[alpha == 255]) < 4
    if file_format == "png":
        assert not layers[alpha == 0].any()
    else:  # its encoder smooths what nobody sees
        assert difference(layers[alpha == 0][:, :3], pixels[alpha == 0]) > 20


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_a_file_says_nothing_that_it_is_not_told(file_format: str) -> None:
    info = opened(encode(photograph(64), Output(file_format), NOTHING)).info
    assert info.keys() & {"xmp", "exif", "icc_profile", "comment", "XML:com.adobe.xmp"} == set()


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(("width", "height"), [(128, 85), (256, 171), (512, 341), (1024, 683)])
def test_a_copy_is_smaller_and_shows_the_same(file_format: str, width: int, height: int) -> None:
    pixels = photograph(1536)
    tile = opened(make_tile(encode(pixels, Output(file_format), NOTHING), width))
    assert (tile.format, tile.size) == ("WEBP", (width, height))
    small = Image.fromarray(pixels).resize(tile.size, Image.Resampling.LANCZOS)
    assert difference(np.asarray(tile.convert("RGB")), np.asarray(small)) < 5


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_nothing_is_enlarged(file_format: str) -> None:
    pixels = photograph(100)
    for width in (128, 1024):
        tile = opened(make_tile(encode(pixels, Output(file_format), NOTHING), width))
        assert tile.size == (100, 66)


@pytest.mark.parametrize("noise", [0, 10, 40])
def test_a_copy_of_256_pixels_takes_at_most_25_kilobytes(noise: int) -> None:
    pixels = photograph(1024)
    grain = np.random.default_rng(0).normal(0, noise, pixels.shape)
    grainy = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    # Grain as large as the copy's pixels, which scaling does not average away.
    coarse = np.asarray(Image.fromarray(grainy[:256, :256]))
    for picture in (grainy, coarse):
        tile = make_tile(encode(picture, Output("png"), NOTHING), 256)
        assert len(tile) <= 25_000 == TILE_BYTES


def test_a_tall_copy_has_room_for_its_pixels() -> None:
    tall = np.asarray(Image.fromarray(photograph(512)[:, :128]).resize((512, 2048)))
    tile = make_tile(encode(tall, Output("png"), NOTHING), 256)
    assert opened(tile).size == (256, 1024)
    assert len(tile) <= 4 * TILE_BYTES


def test_a_thin_copy_keeps_a_line() -> None:
    thin = np.zeros((1, 2000, 3), np.uint8)
    assert opened(make_tile(encode(thin, Output("png"), NOTHING), 128)).size == (128, 1)


def test_a_copy_keeps_transparency_without_a_dark_rim() -> None:
    white = np.full((512, 512, 3), 255, np.uint8)
    file = encode(np.dstack([white, disc(512)]), Output("png"), NOTHING)
    tile = opened(make_tile(file, 128))
    layers = np.asarray(tile)
    assert tile.mode == "RGBA"
    assert layers[layers[..., 3] > 32][:, :3].min() > 235
