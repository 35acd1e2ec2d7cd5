"""Finders that cannot be loaded: each says why in one sentence, and none runs elsewhere instead."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from finder_files import RUNTIMES, dark_network, known_file, settings

from deployments.finder_settings import FinderSettings
from deployments.studio import finder_networks
from deployments.studio.finder_weights import FinderError
from deployments.studio.finders import load_finder
from tests.onnx_files import Node, Value, onnx_file


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
