"""Finders of one's choice: tiny networks with the inputs and outputs of the real ones."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from finder_files import RUNTIMES, STEEP, dark_network, greys, known_file, settings
from product_scenes import scene

from deployments.finder_settings import KNOWN, FinderSettings
from deployments.jobs import Layout, Mask, Photo, Pixels
from deployments.settings import StudioSettings
from deployments.studio.deployment import Studio
from deployments.studio.finders import ProductFinder, load_finder
from deployments.studio.segmentation import find_product
from tests.onnx_files import FLOAT16


def looked(pixels: Pixels, chosen: FinderSettings) -> Mask:
    # Everything stands out in part, so there is no second look from nearer.
    return load_finder(chosen).coarse(pixels)


def dark(pixels: Pixels, values: str) -> Mask:
    """What the tiny networks mark."""
    share = 1 - pixels[..., 0] / 255
    if values == "logits":
        share = 1 / (1 + np.exp(-STEEP * (share - 0.5)))
    return np.rint(share * 255).astype(np.uint8)


def apart(left: Mask, right: Mask) -> int:
    return int(np.abs(left.astype(int) - right).max())


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("network", [*KNOWN])
def test_a_known_network_sees_and_answers_as_its_makers_have_it(
    tmp_path: Path, network: str, runtime: str
) -> None:
    width, height = KNOWN[network].size
    pixels = greys(width, height)
    chosen = settings(known_file(tmp_path, network), network=network, runtime=runtime)
    assert apart(looked(pixels, chosen), dark(pixels, KNOWN[network].values)) <= 1


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("values", ["probabilities", "logits"])
@pytest.mark.parametrize("output", [2, "output_image"])
def test_a_declared_network(tmp_path: Path, runtime: str, values: str, output: int | str) -> None:
    file = tmp_path / "own.onnx"
    chosen = settings(file, values=values, output=output, runtime=runtime)
    file.write_bytes(dark_network(chosen.preparation, others=("side1", "side2")))
    pixels = greys(64, 48)
    assert apart(looked(pixels, chosen), dark(pixels, values)) <= 1


def test_the_first_output_counts_where_none_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file).preparation, others=("side",)))
    pixels = greys(64, 48)
    opposite = np.uint8(255) - dark(pixels, "probabilities")
    assert apart(looked(pixels, settings(file)), opposite) <= 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_brightest_level_may_be_the_scale(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    chosen = settings(file, scale="peak", runtime=runtime)
    file.write_bytes(dark_network(chosen.preparation))
    pixels = greys(64, 48) // 2
    expected = np.rint(255 * (1 - pixels[..., 0] / pixels.max())).astype(np.uint8)
    assert apart(looked(pixels, chosen), expected) <= 1
    assert not load_finder(chosen).coarse(np.full((9, 9, 3), 255, np.uint8)).any()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_half_precision_and_sides_of_any_length(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    chosen = settings(file, runtime=runtime)
    sides = ("batch", 3, "height", "width")
    model = dark_network(chosen.preparation, kind=FLOAT16, sides=sides, answer=("n", 1, "h", "w"))
    file.write_bytes(model)
    pixels = greys(64, 48)
    assert apart(looked(pixels, chosen), dark(pixels, "probabilities")) <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (640, 480), (33, 7)])
def test_a_picture_of_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file).preparation))
    width, height = size
    marked = looked(np.zeros((height, width, 3), np.uint8), settings(file))
    assert marked.shape == (height, width)
    assert (marked == 255).all()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_share_a_finder(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file).preparation))
    finder = load_finder(settings(file, runtime=runtime))
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in range(0, 250, 5)]
    with ThreadPoolExecutor(4) as threads:
        marked = list(threads.map(finder.coarse, pictures))
    for picture, mask in zip(pictures, marked, strict=True):
        assert (np.abs(mask.astype(int) - (255 - int(picture[0, 0, 0]))) <= 1).all()


def test_the_grid_is_that_of_the_network(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file).preparation))
    assert load_finder(settings(file)).grid == 64
    assert load_finder(FinderSettings()).grid == 320


@pytest.mark.skipif(len(RUNTIMES) < 2, reason="openvino is not installed")
@pytest.mark.parametrize("background", [(240, 240, 240), (30, 30, 34)])
def test_the_bundled_network_marks_the_same_in_both_runtimes(
    background: tuple[int, int, int],
) -> None:
    pixels, _, _ = scene(background)
    left, right = (
        ProductFinder(threads=1, settings=FinderSettings.model_validate({"runtime": runtime}))
        for runtime in RUNTIMES
    )
    assert left.coarse(pixels).max() > 200
    assert apart(left.coarse(pixels), right.coarse(pixels)) <= 1


@pytest.mark.skipif(len(RUNTIMES) < 2, reason="openvino is not installed")
def test_openvino_is_asked_for_float32_on_every_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with bfloat16 would compute in it by itself; most test machines have none."""
    openvino = pytest.importorskip("openvino")
    made, told = openvino.Core.compile_model, []

    def compile_model(self: object, network: object, device: str, options: dict) -> object:
        told.append(options["INFERENCE_PRECISION_HINT"])
        return made(self, network, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    load_finder(settings(known_file(tmp_path, "u2net"), network="u2net", runtime="openvino"))
    assert told == ["f32"]


@pytest.mark.parametrize("matte", [True, False])
def test_a_matte_is_kept_as_it_is(tmp_path: Path, matte: bool) -> None:
    """Without it greys inside are no alpha: only the outline counts."""
    file = tmp_path / "own.onnx"
    chosen = settings(file, matte=matte)
    file.write_bytes(dark_network(chosen.preparation))
    pixels = np.full((240, 320, 3), 255, np.uint8)
    pixels[60:180, 60:260] = (0, 30, 160)
    pixels[90:150, 120:200] = (90, 30, 160)
    finder = load_finder(chosen)
    assert finder.matte is matte
    alpha = find_product(Photo(pixels), None, finder).alpha
    assert (alpha[75:80, 80:240] == 255).all()
    assert apart(alpha[105:135, 140:180], np.full((30, 40), 165 if matte else 255, np.uint8)) <= 1


class Silent:
    """An observer that hears nothing."""

    def worked(self, operation: str, outcome: str, seconds: float) -> None:
        pass


def test_a_product_is_what_the_chosen_network_marks(tmp_path: Path) -> None:
    """U2-Net-p marks both things; this one only what is dark in red."""
    file = tmp_path / "own.onnx"
    chosen = settings(file, values="logits")
    file.write_bytes(dark_network(chosen.preparation))
    pixels = np.full((240, 320, 3), 235, np.uint8)
    pixels[60:180, 40:120] = (20, 30, 160)
    pixels[60:180, 200:280] = (210, 30, 160)
    studio = Studio(StudioSettings(finder=chosen), observer=Silent())
    product = asyncio.run(studio.open_upload(Photo(pixels), None, "true", Layout(64))).product
    assert product is not None
    alpha = product.alpha
    assert (alpha[80:160, 60:100] == 255).all()
    assert not alpha[80:160, 220:260].any()
