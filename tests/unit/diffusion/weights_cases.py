"""Settings of weights, and the sentences with which they are refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from deployments.diffusion.loading import load_components
from deployments.diffusion.sources import WeightsError
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
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(pickle.loads(pickle.dumps(caught.value))) == sentence  # noqa: S301 - ours
    return sentence
