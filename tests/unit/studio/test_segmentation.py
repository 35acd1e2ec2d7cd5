"""Finding the product: the real network, the caller's mask, the upload's transparency."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from product_scenes import HEIGHT, WIDTH, overlap, scene

from deployments.jobs import Mask, Photo, Pixels
from deployments.studio.finder_weights import BUNDLED, FinderError
from deployments.studio.finders import ProductFinder
from deployments.studio.segmentation import ProductNotFound, find_product


@pytest.fixture(scope="module")
def finder() -> ProductFinder:
    return ProductFinder(threads=1)


@pytest.mark.parametrize("background", [(40, 180, 70), (240, 240, 240), (30, 30, 34)])
def test_the_network_finds_a_product(
    finder: ProductFinder, background: tuple[int, int, int]
) -> None:
    pixels, alpha, _ = scene(background)
    coarse = finder.coarse(pixels)
    assert coarse.shape == (HEIGHT, WIDTH)
    assert coarse.dtype == np.uint8
    assert overlap(coarse, alpha) > 0.97
    product = find_product(Photo(pixels), None, finder)
    assert overlap(product.alpha, alpha) > 0.99
    assert np.abs(product.alpha.astype(int) - alpha).mean() < 1


def test_a_small_product_is_looked_at_from_nearer(finder: ProductFinder) -> None:
    pixels, alpha = np.full((600, 800, 3), 190, np.uint8), np.zeros((600, 800), np.uint8)
    cv2.circle(alpha, (400, 420), 40, 255, -1)
    cv2.rectangle(alpha, (395, 220), (405, 400), 255, -1)
    pixels[alpha > 0] = (120, 60, 30)
    assert overlap(finder.coarse(pixels), alpha) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2)])
def test_no_picture_is_too_small(finder: ProductFinder, shape: tuple[int, int]) -> None:
    assert finder.coarse(np.full((*shape, 3), 90, np.uint8)).shape == shape


def test_threads_share_a_finder(finder: ProductFinder) -> None:
    scenes = [scene((40 * number, 120, 200)).pixels for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(finder.coarse, scenes))
    for alone, beside in zip(map(finder.coarse, scenes), together, strict=True):
        assert np.array_equal(alone, beside)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_an_empty_backdrop_has_no_product(finder: ProductFinder, tone: int) -> None:
    with pytest.raises(ProductNotFound, match="nothing in the photo stands out"):
        find_product(Photo(np.full((300, 400, 3), tone, np.uint8)), None, finder)


def test_what_covers_everything_is_no_product() -> None:
    class Everything(ProductFinder):
        def coarse(self, pixels: Pixels) -> Mask:
            return np.full(pixels.shape[:2], 255, np.uint8)

    with pytest.raises(ProductNotFound, match="100% of the photo"):
        find_product(Photo(scene().pixels), None, Everything())


def test_specks_are_dropped() -> None:
    pixels, alpha, _ = scene()
    pixels[20:26, 20:26] = 0

    class Specked(ProductFinder):
        def coarse(self, pixels: Pixels) -> Mask:
            marked = alpha.copy()
            marked[20:26, 20:26] = 255
            return marked

    found = find_product(Photo(pixels), None, Specked()).alpha
    assert not found[:60, :60].any()
    assert overlap(found, alpha) > 0.99


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FinderError, match=r"absent\.onnx"):
        ProductFinder(tmp_path / "absent.onnx")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    model = bytearray(BUNDLED.read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "damaged.onnx").write_bytes(model)
    with pytest.raises(FinderError, match="SHA-256"):
        ProductFinder(tmp_path / "damaged.onnx")


def test_onnx_runtime_does_not_report(tmp_path: Path) -> None:
    """Where it reports, it keeps a device id and a queue in the user's cache folder."""
    program = (
        "import numpy, deployments.studio.finders as s;"
        "s.ProductFinder(threads=1).coarse(numpy.zeros((9, 9, 3), numpy.uint8))"
    )
    kept = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in kept}
    environment["HOME"] = str(tmp_path)
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=root)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
