"""Which components a family takes from its weights, and of which classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from deployments.diffusion.weights.sources import Source

Classes = Mapping[str, Any]
"""Classes that a component may have, by the names that model_index.json and config.json give."""


def _as_it_is(kind: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    return dtype


def _nothing(source: Source, index: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is loaded for a model.

    Attributes:
        parts: Components of model_index.json. Tokenizers are named `tokenizer...`, text encoders
            `text_encoder...`, and the autoencoder `vae`.
        controlnets: Classes of a ControlNet; empty where there can be none.
        vae_dtype: Of an autoencoder's class, its configuration and the model's type, the type in
            which the autoencoder is held.
        check_index: Raises WeightsError for a model_index.json of another kind of model.
    """

    parts: Mapping[str, Classes]
    controlnets: Classes = field(default_factory=dict)
    vae_dtype: Callable[[str, Mapping[str, Any], torch.dtype], torch.dtype] = _as_it_is
    check_index: Callable[[Source, Mapping[str, Any]], None] = _nothing


@dataclass(frozen=True, slots=True, eq=False)
class LoadedParts:
    """What was loaded of a blueprint, on one device.

    Attributes:
        modules: Tokenizers and networks by their names in the blueprint.
        controlnet: The ControlNet, or None.
        index: model_index.json.
        scheduler_config: The weights' own scheduler configuration.
        device: Where the networks are.
        dtype: The type of their parameters.
        origin: Where the weights came from, for recipes.
    """

    modules: Mapping[str, Any]
    controlnet: Any
    index: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    origin: str

    def all_of(self, start: str) -> tuple[Any, ...]:
        """The modules whose names start so."""
        return tuple(one for name, one in self.modules.items() if name.startswith(start))


def kind_of(index: Mapping[str, Any], part: str) -> str:
    """Class of a component in model_index.json; `nothing` where there is none."""
    entry = index.get(part)
    return str(entry[1]) if isinstance(entry, list) and len(entry) == 2 else "nothing"
