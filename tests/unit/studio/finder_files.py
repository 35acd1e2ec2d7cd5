"""Finder networks that mark what is dark in red, with the inputs and outputs of real ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deployments.finder_settings import KNOWN, FinderSettings, Preparation
from deployments.jobs import Pixels
from tests.onnx_files import FLOAT, FLOAT16, Node, Sides, Value, onnx_file

RUNTIMES = ["onnxruntime"]
if importlib.util.find_spec("openvino") is not None:
    RUNTIMES.append("openvino")
"""What may run a network here."""

STEEP = 8.0
"""What a network of logits multiplies with: its answer is -4 at white, 4 at black."""

INPUTS = {"u2netp": "input.1", "u2net": "input.1", "ben2": "pixel_values"}
"""What the files in circulation call their input, where it is not `input_image`."""


def dark_network(
    preparation: Preparation,
    *,
    called: str = "input_image",
    sides: Sides | None = None,
    others: Sequence[str] = (),
    kind: int = FLOAT,
    answer: Sides | None = None,
) -> bytes:
    """A network that undoes its preparation and answers 1 - red, or a multiple for logits.

    Args:
        preparation: What it wants to see.
        called: The name of its input.
        sides: Of its input; None those of the preparation.
        others: Names of further outputs, before the one that counts. They answer the opposite.
        kind: Number type of its input and outputs.
        answer: Sides of its outputs as the file tells them.
    """
    width, height = preparation.size
    logits = preparation.values == "logits"
    slope = STEEP if logits else 1.0
    middle = 0.5 if logits else 1.0
    weights = np.zeros((1, 3, 1, 1), np.float32)
    weights[0, 0] = -slope * preparation.deviation[0]
    bias = np.float32([slope * (middle - preparation.mean[0])])
    # 1 - p of a probability, and -x of a logit.
    against = np.float32([0.0 if logits else 1.0])
    told = answer or (1, 1, height, width)
    steps = [Node("Conv", ("plain", "weights", "bias"), "dark")]
    steps += [Node("Sub", ("against", "dark"), f"plain-{name}") for name in others]
    half = kind == FLOAT16
    casts = [Node("Cast" if half else "Identity", (called,), "plain", to=FLOAT if half else None)]
    outputs = {**{name: f"plain-{name}" for name in others}, "output_image": "dark"}
    casts_out = [
        Node("Cast" if half else "Identity", (inner,), name, to=FLOAT16 if half else None)
        for name, inner in outputs.items()
    ]
    return onnx_file(
        casts + steps + casts_out,
        [Value(called, sides or (1, 3, height, width), kind)],
        [Value(name, told, kind) for name in outputs],
        {"weights": weights, "bias": bias, "against": against},
    )


def known_file(folder: Path, name: str) -> Path:
    """A file for a known network, which answers as its kind does."""
    file = folder / f"{name}.onnx"
    called = INPUTS.get(name, "input_image")
    file.write_bytes(dark_network(KNOWN[name], called=called))
    return file


def settings(file: Path, **given: object) -> FinderSettings:
    """Settings for a network in a file; a custom one of 64 x 48 unless they say otherwise."""
    usual: dict[str, object] = {"weights": str(file), "threads": 1}
    if "network" not in given:
        usual |= {
            "network": "custom",
            "size": (64, 48),
            "scale": 255,
            "mean": (0.5, 0.4, 0.3),
            "deviation": (0.5, 0.4, 0.3),
            "values": "probabilities",
        }
    return FinderSettings.model_validate(usual | given)


def greys(width: int, height: int) -> Pixels:
    """A picture that shows every level of red, with white in it; uint8 [height, width, 3]."""
    levels = np.linspace(0, 255, width * height).reshape(height, width)
    return np.rint(np.dstack([levels, levels[::-1], np.full_like(levels, 255)])).astype(np.uint8)
