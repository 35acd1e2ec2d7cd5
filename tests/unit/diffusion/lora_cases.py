"""Tiny models with two LoRAs beside their weights, and stock pipelines with one of them active."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from deployments.diffusion.families.registry import family_of
from deployments.diffusion.weights.loras import load_beside
from deployments.jobs import ImageJob
from deployments.loras import Lora
from deployments.settings import LoraSettings, ModelSettings
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_models import tiny_components

KINDS = ("sd", "sdxl", "flux2")
FILM, PAINT = "film", "paint-2"
TEXTS = ["q_proj", "out_proj", "fc1"]
LAYERS = {
    (FILM, "unet"): ["to_q", "to_v", "conv1", "time_emb_proj", "ff.net.2"],
    (PAINT, "unet"): ["to_out.0", "conv2", "conv_shortcut", "proj_in"],
    (FILM, "transformer"): ["to_q", "to_out.0", "to_qkv_mlp_proj", "x_embedder"],
    (PAINT, "transformer"): ["to_add_out", "linear_in", "to_k", "context_embedder"],
}
"""What each changes; FILM also changes text encoders, where a family's LoRAs do."""

RANKS = {FILM: (2, 6), PAINT: (3, 1)}
"""Rank, and the alpha that is divided by it."""


def parts_of(family: str, **options: Any) -> Any:
    if family == "flux2":
        return tiny_flux2(**options)
    parts = tiny_components(family=family, **options)  # type: ignore[arg-type]
    # Else SDXL's stock pipelines encode in float32 whatever the dtype.
    parts.vae.register_to_config(force_upcast=False)
    return parts


def settings_of(family: str, loras: tuple[LoraSettings, ...] = (), **changes: Any) -> ModelSettings:
    fixed = {"device": "cpu", "backend": "auto", "dtype": "float32", "size": 64, "threads": 1}
    return ModelSettings(id="cups", name="Cups", family=family, loras=loras, **{**fixed, **changes})


def save_lora(family: str, name: str, folder: Path) -> LoraSettings:
    """Write the file of a LoRA with random numbers, as the stock pipelines write it."""
    parts, (rank, alpha) = parts_of(family), RANKS[name]
    networks = {"transformer": parts.transformer} if family == "flux2" else {"unet": parts.unet}
    if family != "flux2" and name == FILM:
        networks |= dict(zip(("text_encoder", "text_encoder_2"), parts.text_encoders, strict=False))
    torch.manual_seed(len(name))
    layers, metadata = {}, {}
    for part, network in networks.items():
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            target_modules=LAYERS.get((name, part), TEXTS),
            init_lora_weights=False,
        )
        network.add_adapter(config)
        layers[f"{part}_lora_layers"] = get_peft_model_state_dict(network)
        metadata[f"{part}_lora_adapter_metadata"] = network.peft_config["default"].to_dict()
    stock = {
        "sd": diffusers.StableDiffusionPipeline,
        "sdxl": diffusers.StableDiffusionXLPipeline,
        "flux2": diffusers.Flux2KleinPipeline,
    }[family]
    stock.save_lora_weights(folder / name, **layers, **metadata)
    return LoraSettings(weights=str(folder / name), name=name, per_request=True)


class Cases:
    """Models of one family with both LoRAs.

    Args:
        family: Its name.
        folder: Where the files of the LoRAs are written.
    """

    def __init__(self, family: str, folder: Path) -> None:
        self.family = family
        self.loras = tuple(save_lora(family, name, folder) for name in (FILM, PAINT))
        self._family = family_of(settings_of(family))
        self.beside = cache(self._beside)
        self.alone = cache(self._alone)

    def _beside(self, **options: Any) -> Any:
        """Components with both LoRAs beside the weights."""
        parts = parts_of(self.family, **options)
        loras, _ = load_beside(self.loras, *self._family.adaptable(parts))
        return replace(parts, loras=loras)

    def _alone(self, lora: Lora | None, **options: Any) -> Any:
        """Components with one of them active, as diffusers does it."""
        parts = parts_of(self.family, **options)
        if lora is not None:
            pipeline, _ = self._family.adaptable(parts)
            (file,) = (one for one in self.loras if one.name == lora.name)
            pipeline.load_lora_weights(file.weights, weight_name=file.file, adapter_name="one")
            pipeline.set_adapters(["one"], [lora.scale])
        return parts


def with_loras(
    jobs: Mapping[str, ImageJob], loras: Mapping[str, Lora | None]
) -> dict[str, ImageJob]:
    """The jobs, each with its LoRA."""
    return {
        key: replace(job, settings=replace(job.settings, lora=loras[key]))
        for key, job in jobs.items()
    }
