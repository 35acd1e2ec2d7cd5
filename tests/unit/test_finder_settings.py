"""`studio.finder`: what it takes, and one sentence for what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.finder_settings import KNOWN, FinderSettings, Preparation
from deployments.settings import AppArgs

HUB: dict[str, Any] = {"weights": "owner/name", "revision": "v1"}
DECLARED: dict[str, Any] = {
    "size": 512,
    "scale": 255,
    "mean": (0.5, 0.5, 0.5),
    "deviation": (1, 1, 1),
    "values": "logits",
}


def made(**given: Any) -> FinderSettings:
    return FinderSettings.model_validate(given)


def test_the_default_is_the_bundled_network_in_the_studio() -> None:
    finder = AppArgs().studio.finder
    assert finder.bundled
    assert not finder.own_deployment
    assert finder.preparation == KNOWN["u2netp"]


@pytest.mark.parametrize("network", [*KNOWN])
def test_a_known_network_needs_no_declaration(network: str) -> None:
    assert made(network=network, **HUB).preparation == KNOWN[network]


def test_what_is_declared_counts_before_what_is_known() -> None:
    finder = made(network="birefnet", **HUB, size=[768, 1152], output="alpha", scale="peak")
    assert finder.preparation == Preparation(
        (768, 1152), "peak", *(getattr(KNOWN["birefnet"], name) for name in ("mean", "deviation")),
        "alpha", "logits",
    )  # fmt: skip


def test_a_custom_network_declares_all_but_its_output() -> None:
    finder = made(network="custom", **HUB, **DECLARED)
    assert finder.preparation == Preparation(
        (512, 512), 255.0, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 0, "logits"
    )
    for name in DECLARED:
        rest = {key: value for key, value in DECLARED.items() if key != name}
        with pytest.raises(ValidationError, match=f"network custom needs {name}$|needs {name} "):
            made(network="custom", **HUB, **rest)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"network": "isnet"}, "network isnet is not bundled: weights must name its file"),
        ({"network": "custom", **DECLARED}, "network custom is not bundled"),
        ({"size": 640}, "the bundled weights take no size"),
        ({"revision": "v1", "sha256": "0" * 64}, "the bundled weights take no revision, sha256"),
        ({"device": "cuda", "runtime": "openvino"}, "runtime openvino runs on a CPU"),
    ],
)
def test_what_contradicts_itself(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        made(**given)


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("size", [32, 4096, [320, 64]], [31, 4097, [320], [320, 8], 0.5]),
        ("scale", [1, 255, "peak"], [0, -1, float("inf"), "max"]),
        ("mean", [[0, 0, 0], [-1, 9, 2]], [[0, 0], [0, 0, float("nan")], 0.5]),
        ("deviation", [[1, 1, 1]], [[0, 1, 1], [1, 1], [1, 1, float("inf")]]),
        ("output", [0, 6, "alphas"], [-1, "", 0.5]),
        ("values", ["logits", "probabilities"], ["alpha"]),
        ("sha256", ["0" * 64], ["0" * 63, "g" * 64, "A" * 64]),
        ("file", ["model.onnx", "onnx/model_fp16.onnx"], ["/model.onnx", "model.pt", ".onnx"]),
        ("threads", [1, 256], [0, 257]),
        ("device", ["cpu", "cuda"], ["auto", "gpu"]),
        ("runtime", ["auto", "onnxruntime"], ["torch"]),
        ("matte", [True, False], ["soft"]),
        ("separate", [True, False, None], ["maybe"]),
    ],
)
def test_bounds(name: str, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        made(network="isnet", **HUB, **{name: value})
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            made(network="isnet", **HUB, **{name: value})


def test_it_is_a_deployment_of_its_own_on_cuda_or_where_it_is_asked_for() -> None:
    assert made(device="cuda").own_deployment
    assert not made(device="cuda", separate=False).own_deployment
    assert made(separate=True).own_deployment


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="modle"):
        made(modle="isnet")
