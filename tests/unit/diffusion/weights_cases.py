"""Settings of weights, and the messages with which they are refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from deployments.diffusion.families.registry import load_components
from deployments.diffusion.weights.components import UNetComponents
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings


def settings(weights: Path | str, control: Path | str | None = None, **changes: Any) -> Any:
    return ModelSettings(
        id="cups",
        name="Cups",
        weights=str(weights),
        controlnet=None if control is None else str(control),
        **({"device": "cpu"} | changes),
    )


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusal(*args: Any, **changes: Any) -> str:
    """The sentence with which loading fails."""
    with pytest.raises(WeightsError) as caught:
        load_components(settings(*args, **changes))
    sentence = str(caught.value)
    assert sentence[0].islower()
    assert not sentence.endswith(".")
    assert "\n" not in sentence
    assert str(pickle.loads(pickle.dumps(caught.value))) == sentence  # noqa: S301 - ours
    return sentence


def assert_same_weights(loaded: UNetComponents, built: UNetComponents) -> None:
    """Every network has the same tensors, and every tokenizer the same tokens."""
    pairs = list(zip(loaded.text_encoders, built.text_encoders, strict=True))
    pairs += [(getattr(loaded, part), getattr(built, part)) for part in ("unet", "vae")]
    if built.controlnet is not None:
        pairs.append((loaded.controlnet, built.controlnet))
    for network, original in pairs:
        found, expected = network.state_dict(), original.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert not network.training
    for tokenizer, original in zip(loaded.tokenizers, built.tokenizers, strict=True):
        tokens = [one("a forest", padding="max_length").input_ids for one in (tokenizer, original)]
        assert tokens[0] == tokens[1]
