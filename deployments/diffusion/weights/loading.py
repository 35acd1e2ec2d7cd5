"""Weights to modules on a device: which ones a model's family needs, from where, in what type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.weights.compatibility import misfits
from deployments.diffusion.weights.components import Components
from deployments.diffusion.weights.loras import fuse_loras
from deployments.diffusion.weights.modules import load_module, load_tokenizer, read_json, stem_of
from deployments.diffusion.weights.precision import weights_dtype
from deployments.diffusion.weights.sources import (
    DEMO_CONTROLNET,
    DEMO_WEIGHTS,
    Source,
    WeightsError,
    find_source,
)
from deployments.settings import ModelSettings

_TOKENIZERS = {
    "CLIPTokenizer": transformers.CLIPTokenizer,
    "CLIPTokenizerFast": transformers.CLIPTokenizer,
}
_AUTOENCODERS = {
    "AutoencoderKL": diffusers.AutoencoderKL,
    "AutoencoderTiny": diffusers.AutoencoderTiny,
}
_CONTROLNETS = {"ControlNetModel": diffusers.ControlNetModel}
_SD: Mapping[str, Mapping[str, Any]] = {
    "tokenizer": _TOKENIZERS,
    "text_encoder": {"CLIPTextModel": transformers.CLIPTextModel},
    "unet": {"UNet2DConditionModel": diffusers.UNet2DConditionModel},
    "vae": _AUTOENCODERS,
}
_SDXL = {
    **_SD,
    "tokenizer_2": _TOKENIZERS,
    "text_encoder_2": {"CLIPTextModelWithProjection": transformers.CLIPTextModelWithProjection},
}
_FAMILIES = {"sd": _SD, "sdxl": _SDXL}
"""Components of model_index.json by family, and the classes that each may have."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the weights of one model lie on this machine, without its LoRAs.

    Attributes:
        weights: The model itself.
        vae: An autoencoder of its own, or None.
        controlnet: The ControlNet, or None.
    """

    weights: Source
    vae: Source | None
    controlnet: Source | None


def find_sources(settings: ModelSettings, prefer_fp16: bool) -> Sources:
    """Find what a model needs, and download what is named by Hub ids; nothing is loaded.

    Args:
        settings: The model.
        prefer_fp16: Take the float16 variant of a Hub repository that has one.

    Raises:
        WeightsError: There are no such weights, or they cannot be downloaded.
    """
    parts = _parts(settings)
    tokenizers = [part for part in parts if part.startswith("tokenizer")]
    networks = [part for part in parts if part not in tokenizers]

    def find_network(
        field: str, name: str | None, revision: str | None, demo: Path
    ) -> Source | None:
        if name is None:
            return None
        return find_source(field, name, revision, demo, ["config.json"], [stem_of("")], prefer_fp16)

    weights = find_source(
        "weights",
        settings.weights,
        settings.revision,
        DEMO_WEIGHTS,
        [
            "model_index.json",
            "scheduler/*.json",
            *(f"{part}/*.{ending}" for part in tokenizers for ending in ("json", "txt")),
            *(f"{part}/config.json" for part in networks),
        ],
        [stem_of(part) for part in networks],
        prefer_fp16,
    )
    return Sources(
        weights,
        find_network("vae", settings.vae, settings.vae_revision, DEMO_WEIGHTS / "vae"),
        find_network(
            "controlnet", settings.controlnet, settings.controlnet_revision, DEMO_CONTROLNET
        ),
    )


def load_components(settings: ModelSettings) -> Components:
    """Load a model's weights onto its device, with its LoRAs fused.

    Args:
        settings: What to load and where to.

    Raises:
        WeightsError: There are no such weights, their layout is wrong, a file is damaged, they do
            not fit the family or each other, there is no such device, or not enough memory.
    """
    device = _device(settings)
    dtype = weights_dtype(settings, device.type)
    found = find_sources(settings, dtype == torch.float16)
    source = found.weights
    parts = _parts(settings)
    index = read_json(source, "model_index.json")
    _check_family(settings.family, source, index)
    for part, accepted in parts.items():
        kind = _kind(index, part)
        if kind not in accepted:
            raise WeightsError(
                f"weights: {source.name} has {kind} as {part}; "
                f"family {settings.family} takes {' or '.join(accepted)}"
            )
    tokenizers = [part for part in parts if part.startswith("tokenizer")]
    encoders = [part for part in parts if part.startswith("text_encoder")]
    scheduler_config = read_json(source, "scheduler/scheduler_config.json")
    loaded: dict[str, Any] = {}
    for part in [*tokenizers, *encoders, "unet"]:
        load = parts[part][_kind(index, part)].from_pretrained
        if part in tokenizers:
            loaded[part] = load_tokenizer(source, part, load)
        else:
            loaded[part] = load_module(source, part, load, dtype, device)
    origins = [source.origin]
    if found.vae is None:
        vae = _load_vae(settings, source, "vae", _kind(index, "vae"), dtype, device)
    else:
        kind = _class_of(found.vae, _AUTOENCODERS)
        vae = _load_vae(settings, found.vae, "", kind, dtype, device)
        origins.append(f"VAE {found.vae.origin}")
    controlnet = None
    if found.controlnet is not None:
        load = _CONTROLNETS[_class_of(found.controlnet, _CONTROLNETS)].from_pretrained
        controlnet = load_module(found.controlnet, "", load, dtype, device, name="ControlNet")
        origins.append(f"ControlNet {found.controlnet.origin}")

    components = Components(
        tuple(loaded[part] for part in tokenizers),
        tuple(loaded[part] for part in encoders),
        vae,
        loaded["unet"],
        controlnet,
        scheduler_config,
        device,
        dtype,
        origin=" with ".join(origins),
        # The defaults of this family's pipelines.
        zeros_for_empty_prompt=len(encoders) == 2
        and bool(index.get("force_zeros_for_empty_prompt", True)),
        aesthetics=len(encoders) == 2 and bool(index.get("requires_aesthetics_score", False)),
    )
    for problem in misfits(components):
        raise WeightsError(f"weights: those of model {settings.id} do not fit: {problem}")
    if not settings.loras:
        return components
    fused = fuse_loras(settings.loras, components.text_encoders, components.unet)
    return replace(components, origin=" with LoRA ".join([components.origin, *fused]))


def _parts(settings: ModelSettings) -> dict[str, Mapping[str, Any]]:
    """The components that are taken from a model's own folder, and their classes."""
    parts = dict(_FAMILIES[settings.family])
    if settings.vae is not None:
        del parts["vae"]
    return parts


def _device(settings: ModelSettings) -> torch.device:
    cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not cuda:
        raise WeightsError(
            f"device: model {settings.id} is configured for CUDA, and torch finds no CUDA device"
        )
    if settings.device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    return torch.device(settings.device)


def _kind(index: Mapping[str, Any], part: str) -> str:
    """Class of a component in model_index.json."""
    entry = index.get(part)
    return str(entry[1]) if isinstance(entry, list) and len(entry) == 2 else "nothing"


def _check_family(family: str, source: Source, index: Mapping[str, Any]) -> None:
    """Tell the families apart by their text encoders, if the UNet is one of theirs."""
    if _kind(index, "unet") not in _SD["unet"]:
        return
    first, second = (
        _kind(index, part) not in ("nothing", "None") for part in ("text_encoder", "text_encoder_2")
    )
    if second and not first:
        raise WeightsError(
            f"weights: {source.name} is an SDXL refiner, which has text_encoder_2 alone; "
            "SDXL base or inpainting weights are needed"
        )
    if second and family == "sd":
        raise WeightsError(
            f"family: {source.name} has text_encoder_2, as SDXL has, and the model's family is sd; "
            "set family: sdxl"
        )
    if first and not second and family == "sdxl":
        raise WeightsError(
            f"family: {source.name} has no text_encoder_2, which SDXL has; set family: sd"
        )


def _class_of(source: Source, accepted: Mapping[str, Any]) -> str:
    """Class of a network that is a folder of its own."""
    found = str(read_json(source, "config.json").get("_class_name"))
    if found not in accepted:
        needed = " or ".join(accepted)
        article = "an" if needed.startswith("A") else "a"
        raise WeightsError(
            f"{source.field}: {source.name} is a {found}; {article} {needed} is needed"
        )
    return found


def _load_vae(
    settings: ModelSettings,
    source: Source,
    part: str,
    kind: str,
    dtype: torch.dtype,
    device: torch.device,
) -> Any:  # noqa: ANN401 - diffusers is untyped
    # SDXL's own autoencoder overflows in float16; its class says so unless its configuration does.
    config = read_json(source, str(Path(part, "config.json")))
    overflows = config.get("force_upcast", kind == "AutoencoderKL")
    if settings.family == "sdxl" and dtype == torch.float16 and overflows:
        dtype = torch.float32
    load = _AUTOENCODERS[kind].from_pretrained
    return load_module(source, part, load, dtype, device, name="vae")
