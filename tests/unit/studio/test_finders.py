"""Finders of one's choice: tiny networks with the inputs and outputs of the real ones."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from finder_files import STEEP, dark_network, greys, known_file, settings
from product_scenes import scene

from deployments.finder_settings import KNOWN, FinderSettings
from deployments.jobs import Mask, Photo, Pixels
from deployments.settings import StudioSettings
from deployments.studio import finder_networks
from deployments.studio.deployment import Studio
from deployments.studio.finder_weights import FinderError
from deployments.studio.finders import ProductFinder, load_finder
from deployments.studio.segmentation import find_product
from tests.onnx_files import FLOAT16, Node, Value, onnx_file

RUNTIMES = ["onnxruntime"]
if importlib.util.find_spec("openvino") is not None:
    RUNTIMES.append("openvino")


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
    product = asyncio.run(studio.open_upload(Photo(pixels), None, "true", 64)).product
    assert product is not None
    alpha = product.alpha
    assert (alpha[80:160, 60:100] == 255).all()
    assert not alpha[80:160, 220:260].any()


def refusal(chosen: FinderSettings) -> str:
    with pytest.raises(FinderError) as refused:
        load_finder(chosen)
    sentence = str(refused.value)
    assert sentence.startswith("finder.")
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"not a network", None])
def test_a_file_that_is_no_network(tmp_path: Path, runtime: str, content: bytes | None) -> None:
    file = tmp_path / "own.onnx"
    whole = dark_network(settings(file).preparation)
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert f"{file.name}: " in refusal(settings(file, runtime=runtime))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("sides", "told"),
    [
        ((1, 3, 64, 64), "[1, 3, 64, 64]"),
        ((1, 48, 64, 3), "[1, 48, 64, 3]"),
        ((1, 3, 3072), "[1, 3, 3072]"),
        ((2, 3, "height", "width"), "[2, 3, any, any]"),
    ],
)
def test_another_input_is_named(
    tmp_path: Path, runtime: str, sides: tuple[int | str, ...], told: str
) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(
        onnx_file(
            [Node("Identity", ("seen",), "answer")],
            [Value("seen", sides)],
            [Value("answer", sides)],
            {},
        )
    )
    assert refusal(settings(file, runtime=runtime)) == (
        f"finder.size: the input seen of own.onnx is {told}, and not [1, 3, 48, 64]"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_inputs(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    sides = (1, 3, 48, 64)
    file.write_bytes(
        onnx_file(
            [Node("Add", ("a", "b"), "sum")],
            [Value("a", sides), Value("b", sides)],
            [Value("sum", sides)],
            {},
        )
    )
    assert refusal(settings(file, runtime=runtime)) == (
        "finder.weights: own.onnx takes 2 inputs, and not one"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("output", [2, "alphas"])
def test_an_output_that_is_not_there(tmp_path: Path, runtime: str, output: int | str) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file).preparation, others=("side",)))
    assert refusal(settings(file, runtime=runtime, output=output)) == (
        f"finder.output: own.onnx has no output {output!r}; it has side, output_image"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_output_that_is_no_mask(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    sides = (1, 3, 48, 64)
    graph = [Node("Sigmoid", ("seen",), "answer")]
    file.write_bytes(onnx_file(graph, [Value("seen", sides)], [Value("answer", sides)], {}))
    assert refusal(settings(file, runtime=runtime)) == (
        "finder.output: an output of own.onnx is [1, 3, 48, 64], and not one mask "
        "[1, 1, height, width]"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_values_of_another_kind(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(dark_network(settings(file, values="logits").preparation))
    assert refusal(settings(file, runtime=runtime)).startswith(
        "finder.values: own.onnx answers from -3."
    )
    file.write_bytes(dark_network(settings(file).preparation))
    assert refusal(settings(file, runtime=runtime, values="logits")).endswith(
        "which are probabilities, and no logits"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_values_that_are_no_numbers(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    graph = [
        Node("Conv", ("seen", "weights"), "mixed"),
        Node("Sub", ("mixed", "mixed"), "nothing"),
        Node("Log", ("nothing",), "endless"),
        Node("Mul", ("nothing", "endless"), "answer"),
    ]
    file.write_bytes(
        onnx_file(
            graph,
            [Value("seen", (1, 3, 48, 64))],
            [Value("answer", (1, 1, 48, 64))],
            {"weights": np.ones((1, 3, 1, 1), np.float32)},
        )
    )
    assert refusal(settings(file, runtime=runtime)) == (
        "finder.values: own.onnx answers with values that are no numbers"
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_operation_that_the_runtime_lacks(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(
        onnx_file(
            [Node("Daydream", ("seen",), "answer", domain="nowhere")],
            [Value("seen", (1, 3, 48, 64))],
            [Value("answer", (1, 1, 48, 64))],
            {},
        )
    )
    assert "own.onnx" in refusal(settings(file, runtime=runtime))


def test_another_file_is_refused_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    model = dark_network(settings(file).preparation)
    file.write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    load_finder(settings(file, sha256=digest))
    assert refusal(settings(file, sha256="0" * 64)) == (
        f"finder.sha256: {file} is damaged or another file: its SHA-256 is {digest}, and not "
        + "0" * 64
    )


def test_cuda_without_its_build_is_refused_and_never_the_cpu(tmp_path: Path) -> None:
    if not finder_networks.lacks_cuda():
        pytest.skip("this environment has the build for CUDA")
    file = known_file(tmp_path, "isnet")
    assert refusal(settings(file, network="isnet", device="cuda")) == finder_networks.NO_CUDA
    assert refusal(FinderSettings(device="cuda")) == finder_networks.NO_CUDA


def test_cuda_that_falls_back_to_the_cpu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build for CUDA takes the CPU by itself where there is no GPU, or a library is missing."""
    monkeypatch.setattr(finder_networks, "lacks_cuda", lambda: False)
    monkeypatch.setattr(finder_networks, "CUDA", "AzureExecutionProvider")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    made = onnxruntime.InferenceSession

    def on_the_cpu(model: bytes, options: object, providers: list[object]) -> object:
        return made(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_the_cpu)
    sentence = refusal(settings(known_file(tmp_path, "isnet"), network="isnet", device="cuda"))
    assert sentence.startswith("finder.device: cuda cannot be used")


def test_openvino_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = known_file(tmp_path, "u2net")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    chosen = settings(file, network="u2net", runtime="openvino")
    assert refusal(chosen) == finder_networks.NO_OPENVINO
    load_finder(settings(file, network="u2net"))
