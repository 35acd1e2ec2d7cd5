"""Text encoders that are kept on the CPU, or in 8 bits."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from weights_cases import settings

from deployments.diffusion.families.chat_texts import ChatTextEncoder
from deployments.diffusion.families.flux2.components import TEXT_LAYERS, Flux2Components
from deployments.diffusion.families.registry import load_components
from deployments.diffusion.weights.sources import WeightsError
from deployments.jobs import GenerationSettings
from tests.npm import unavailable
from tests.tiny_flux2 import save_tiny_flux2, tiny_flux2

ROOT = Path(__file__).parents[3]
ASKED = GenerationSettings("a forest at night", "", 0, 1, 1.0, 1.0)
KLEIN: Mapping[str, Any] = {"family": "flux2", "dtype": "float32"}
IN_8_BITS = """
import json, sys, torch
sys.path.insert(0, {root!r})
from deployments.diffusion.families.chat_texts import ChatTextEncoder
from deployments.diffusion.families.flux2.components import TEXT_LAYERS
from deployments.diffusion.families.registry import load_components
from deployments.jobs import GenerationSettings
from deployments.settings import ModelSettings

def read(place):
    own = ModelSettings(
        id="klein", name="Klein", family="flux2", weights={folder!r}, device="cpu",
        dtype="float32", text_encoder=place,
    )
    parts = load_components(own)
    with torch.inference_mode():
        asked = GenerationSettings("a forest", "", 0, 1, 1.0, 1.0)
        texts = ChatTextEncoder(parts, TEXT_LAYERS, parts.text_tokens)
        return parts, texts.encode(asked)[0]

(_, exact), (parts, found) = read("device"), read("int8")
layer, encoder = parts.text_encoders[0].model.layers[0], parts.text_encoders[0]
print(json.dumps({{
    "origin": parts.origin,
    "linear": type(layer.self_attn.q_proj.weight).__name__,
    "embedding": type(encoder.model.embed_tokens.weight).__name__,
    "transformer": type(next(parts.transformer.parameters())).__name__,
    "off": float(((found - exact).square().mean() / exact.square().mean()).sqrt()),
}}))
"""


def _encoder(parts: Flux2Components) -> ChatTextEncoder:
    return ChatTextEncoder(parts, TEXT_LAYERS, parts.text_tokens)


@pytest.fixture(scope="session")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("klein") / "klein"
    save_tiny_flux2(folder)
    return folder


@pytest.fixture(scope="session")
def torchao(pytestconfig: pytest.Config) -> Path:
    """A folder that has torchao, which other tests do without."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = (line for line in lines if line.startswith("torchao=="))
    folder = pytestconfig.rootpath / ".pytest_cache" / "python" / pin
    if not (folder / "torchao").is_dir():
        # The tests' environment need not have a pip of its own, only the Python it was made with.
        pip = [sys._base_executable, "-m", "pip", "--python", sys.executable]
        install = [*pip, "install", "--quiet", "--no-deps", "--target", folder, pin]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            unavailable(f"pip cannot fetch {pin}: {done.stderr.strip()[-300:]}")
    return folder


def test_linear_layers_are_kept_in_8_bits(klein: Path, torchao: Path) -> None:
    code = IN_8_BITS.format(root=str(ROOT), folder=str(klein))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(torchao)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["linear"] == "Int8Tensor"
    assert told["embedding"] == told["transformer"] == "Parameter"
    assert told["origin"].endswith(" with text encoder in int8")
    assert 0 < told["off"] < 0.15


@pytest.mark.skipif(importlib.util.find_spec("torchao") is not None, reason="torchao is installed")
def test_8_bits_without_torchao_say_what_to_install(klein: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"^text_encoder: model \S+ has int8, .* install backdrop\[int8\]$"
    ):
        load_components(settings(klein, **KLEIN, text_encoder="int8"))


def test_on_the_cpu_it_reads_the_same(klein: Path) -> None:
    with torch.inference_mode():
        expected, _ = _encoder(tiny_flux2()).encode(ASKED)
        parts = load_components(settings(klein, **KLEIN, text_encoder="cpu"))
        found, _ = _encoder(parts).encode(ASKED)
    assert torch.equal(found, expected)
    assert "int8" not in parts.origin


def test_texts_are_encoded_where_the_encoder_is() -> None:
    """The device of the others has no memory here: what is moved there stays without content."""
    parts = tiny_flux2()
    elsewhere = type(parts)(
        **{
            name: getattr(parts, name)
            for name in type(parts).__dataclass_fields__
            if name != "device"
        },
        device=torch.device("meta"),
    )
    with torch.inference_mode():
        found, _ = _encoder(elsewhere).encode(ASKED)
    assert found.device.type == "meta"
    assert parts.text_encoders[0].device.type == "cpu"
