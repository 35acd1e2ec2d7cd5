"""Masks of photographed things whose alpha is known: what a caller gives is never made worse.

The things are stamps of Debian's `tuxpaint-stamps-default`, downloaded for the test. A folder that
holds them already is named by BACKDROP_STAMPS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from product_scenes import HEIGHT, WIDTH

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.finders import ProductFinder
from deployments.studio.segmentation import find_product

EVERY = 16
"""Of the stamps with soft edges, about 380, each so-many-th is used."""


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if folder := os.environ.get("BACKDROP_STAMPS"):
        return Path(folder)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("only root with apt-get can download tuxpaint-stamps-default")
    folder = tmp_path_factory.mktemp("stamps")
    command = ["apt-get", "download", "-o", "Acquire::Retries=0", "tuxpaint-stamps-default"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"tuxpaint-stamps-default cannot be downloaded: {error}")
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    package.unlink()
    return folder / "unpacked"


def mattes(stamps: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Premultiplied pictures with alpha, float32 [HEIGHT, WIDTH, 4] of 0 to 255."""
    used = 0
    for path in sorted(stamps.rglob("*.png")):
        with Image.open(path) as file:
            if max(file.size) < 150:
                continue
            picture = file.convert("RGBA")
        alpha = np.asarray(picture)[..., 3]
        soft = (alpha > 0) & (alpha < 255)
        if alpha.min() > 0 or np.count_nonzero(soft) < 100 or (alpha == 255).sum() < 200:
            continue
        used += 1
        if used % EVERY:
            continue
        scale = min(0.8 * HEIGHT / picture.height, 0.8 * WIDTH / picture.width)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        placed = Image.new("RGBa", (WIDTH, HEIGHT))
        small = picture.convert("RGBa").resize(size, Image.Resampling.BICUBIC)
        placed.paste(small, ((WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2))
        yield path.stem, np.asarray(placed, np.float32)


def over(layers: np.ndarray, ground: np.ndarray) -> np.ndarray:
    return layers[..., :3] + (1 - layers[..., 3:] / 255) * ground


def shown(product: Product, ground: np.ndarray) -> np.ndarray:
    share = product.alpha[..., None] / 255
    return product.pixels * share + ground * (1 - share)


def grounds() -> list[np.ndarray]:
    """An evenly lit wall, a wall lit from the left, and blots."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    blots = np.random.default_rng(8).integers(0, 256, (5, 6, 3), np.uint8)
    return [
        np.full((HEIGHT, WIDTH, 3), (214, 218, 222), np.float32),
        np.stack([90 + x / 4, 110 + x / 5, 120 + y / 8], axis=2),
        np.asarray(Image.fromarray(blots).resize((WIDTH, HEIGHT)), np.float32),
    ]


def test_masks_of_true_mattes_are_never_made_worse(stamps: Path) -> None:
    finder = ProductFinder(threads=1)
    new = np.full((HEIGHT, WIDTH, 3), (40, 120, 60), np.float32)
    worse, gains, pictures = [], [], 0
    for number, (name, layers) in enumerate(mattes(stamps)):
        true, alpha = over(layers, new), layers[..., 3].astype(np.uint8)
        for ground in grounds()[number % 3 :: 2]:
            pictures += 1
            pixels = np.rint(over(layers, ground)).clip(0, 255).astype(np.uint8)

            def error(product: Product, true: np.ndarray = true) -> float:
                return float(np.abs(shown(product, new) - true).mean())

            for mask in (alpha, np.where(alpha >= 128, 255, 0).astype(np.uint8)):
                as_given = error(Product(pixels, mask))
                ours = error(kept(pixels, mask, finder))
                gains.append(as_given - ours)
                if ours > as_given:
                    worse.append((name, len(np.unique(mask)), round(ours, 3), round(as_given, 3)))
    assert pictures >= 20
    assert worse == []
    assert np.mean(gains) > 0.1


def kept(pixels: Pixels, mask: Mask, finder: ProductFinder) -> Product:
    product = find_product(Photo(pixels), mask, finder)
    assert ((product.alpha >= 128) == (mask >= 128)).all()
    return product
