"""The family `flux2`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from deployments.diffusion.compute.capacity import Trial, rows_capacity
from deployments.diffusion.families.family import Runnable
from deployments.diffusion.families.flux2.components import Flux2Components, misfits
from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.weights.blueprint import Blueprint, Classes, LoadedParts, kind_of
from deployments.diffusion.weights.sources import Source, WeightsError
from deployments.jobs import GenerationSettings, ImageJob, PreparedPhoto
from deployments.settings import ModelSettings

_PARTS: Mapping[str, Classes] = {
    "transformer": {"Flux2Transformer2DModel": diffusers.Flux2Transformer2DModel},
    "tokenizer": {
        "Qwen2Tokenizer": transformers.Qwen2Tokenizer,
        "Qwen2TokenizerFast": transformers.Qwen2Tokenizer,
    },
    "text_encoder": {"Qwen3ForCausalLM": transformers.Qwen3ForCausalLM},
    "vae": {"AutoencoderKLFlux2": diffusers.AutoencoderKLFlux2},
}
_REMEMBERING = "Flux2KleinKVPipeline"
_PIPELINES = ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline", _REMEMBERING)
_SCHEDULER = "FlowMatchEulerDiscreteScheduler"


def _check_index(source: Source, index: Mapping[str, Any]) -> None:
    if kind_of(index, "transformer") not in _PARTS["transformer"]:
        return  # the sentence about the missing transformer says more
    scheduler, pipeline = kind_of(index, "scheduler"), index.get("_class_name")
    if pipeline not in _PIPELINES:
        raise WeightsError(
            f"weights: {source.name} is made for {pipeline}; "
            f"family flux2 takes what is made for {' or '.join(_PIPELINES)}"
        )
    if scheduler != _SCHEDULER:
        raise WeightsError(
            f"weights: {source.name} has {scheduler} as scheduler; family flux2 takes {_SCHEDULER}"
        )


def _stock(name: str, transformer: Any) -> Any:  # noqa: ANN401 - diffusers is untyped
    others = dict.fromkeys(("scheduler", "vae", "text_encoder", "tokenizer"))
    return getattr(diffusers, name)(transformer=transformer, **others)


class _Flux2Family:
    blueprint = Blueprint(_PARTS, check_index=_check_index)

    def assemble(self, loaded: LoadedParts) -> Flux2Components:
        """See `Family`."""
        remembers = loaded.index.get("_class_name") == _REMEMBERING
        if remembers:
            _stock(_REMEMBERING, loaded.modules["transformer"])  # sets what reads them alone
        return Flux2Components(
            tokenizers=loaded.all_of("tokenizer"),
            text_encoders=loaded.all_of("text_encoder"),
            vae=loaded.modules["vae"],
            transformer=loaded.modules["transformer"],
            distilled=bool(loaded.index.get("is_distilled", remembers)),
            remembers=remembers,
            scheduler_config=loaded.scheduler_config,
            device=loaded.device,
            dtype=loaded.dtype,
            origin=loaded.origin,
        )

    def misfits(self, parts: Flux2Components) -> Iterator[str]:
        """See `Family`."""
        yield from misfits(parts)

    def adaptable(self, parts: Flux2Components) -> tuple[Any, Sequence[torch.nn.Module]]:
        """See `Family`."""
        return _stock(_PIPELINES[0], parts.transformer), [parts.transformer]

    def create_model(self, parts: Flux2Components, settings: ModelSettings) -> Runnable:
        """See `Family`."""
        if parts.distilled != settings.distilled:
            found = "distilled" if parts.distilled else "not distilled"
            raise WeightsError(
                f"distilled: the weights of model {settings.id} are {found}; "
                f"set distilled: {str(parts.distilled).lower()}"
            )
        return Runnable(Flux2Klein(parts), rows_capacity(_trial(parts, settings.size), settings))


def _trial(parts: Flux2Components, size: int) -> Trial:
    """What is measured of a model's memory: an edit in a conversation, which has two references."""
    blank = np.zeros((size, size, 3), np.uint8)
    photo = PreparedPhoto(blank, references=(blank,))
    settings = GenerationSettings("", "", 0, 1, 1.0, 1.0, lora=parts.loras.largest)
    job = ImageJob("trial", settings)

    def forward(rows: int) -> Callable[[], object]:
        model = Flux2Klein(parts)
        shades = (replace(photo, pixels=blank + row) for row in range(rows))
        states = [partial(model.prepare, job, shade) for shade in shades]
        _ = [state() for state in states]  # encodes; what a row remembers of them counts below
        return lambda: model.predict([state() for state in states])

    def encode() -> object:
        return Flux2Klein(parts).prepare(job, photo)  # a new one remembers no encoding

    def decode() -> object:
        model = Flux2Klein(parts)
        return model.decode(model.prepare(job, photo))

    return Trial(parts.device, 3 * size**2, forward, (encode, decode))


FAMILY = _Flux2Family()
