"""Weights to modules on a device: what a blueprint lists, from where, in what type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deployments.diffusion.weights.blueprint import Blueprint, Classes, LoadedParts, kind_of
from deployments.diffusion.weights.modules import load_module, load_tokenizer, read_json, stem_of
from deployments.diffusion.weights.precision import weights_dtype
from deployments.diffusion.weights.quantising import quantise
from deployments.diffusion.weights.sources import (
    DEMO_CONTROLNET,
    DEMO_WEIGHTS,
    Source,
    WeightsError,
    find_source,
)
from deployments.settings import ModelSettings


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


def find_sources(settings: ModelSettings, blueprint: Blueprint, prefer_fp16: bool) -> Sources:
    """Find what a model needs, and download what is named by Hub ids; nothing is loaded.

    Args:
        settings: The model.
        blueprint: What it takes from its weights.
        prefer_fp16: Take the float16 variant of a Hub repository that has one.

    Raises:
        WeightsError: There are no such weights, or they cannot be downloaded.
    """
    parts = _parts(settings, blueprint)
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
            *(f"{part}/*.{ending}" for part in tokenizers for ending in ("json", "txt", "jinja")),
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


def load_parts(settings: ModelSettings, blueprint: Blueprint) -> LoadedParts:
    """Load a model's weights onto its device.

    Args:
        settings: What to load and where to.
        blueprint: What it consists of.

    Raises:
        WeightsError: There are no such weights, their layout is wrong, a file is damaged, they are
            of another kind of model, there is no such device, or not enough memory.
    """
    device = _device(settings)
    dtype = weights_dtype(settings, device.type)
    found = find_sources(settings, blueprint, dtype == torch.float16)
    source = found.weights
    parts = _parts(settings, blueprint)
    index = read_json(source, "model_index.json")
    blueprint.check_index(source, index)
    for part, accepted in parts.items():
        kind = kind_of(index, part)
        if kind not in accepted:
            raise WeightsError(
                f"weights: {source.name} has {kind} as {part}; "
                f"family {settings.family} takes {' or '.join(accepted)}"
            )
    scheduler_config = read_json(source, "scheduler/scheduler_config.json")
    modules: dict[str, Any] = {}
    # What is small and may be wrong comes first.
    for part in sorted(parts, key=_weight):
        if part == "vae":
            continue
        load = parts[part][kind_of(index, part)].from_pretrained
        if part.startswith("tokenizer"):
            modules[part] = load_tokenizer(source, part, load)
        else:
            on_cpu = part.startswith("text_encoder") and settings.text_encoder == "cpu"
            place = torch.device("cpu") if on_cpu else device
            modules[part] = load_module(source, part, load, dtype, place)
            if part.startswith("text_encoder") and settings.text_encoder == "int8":
                quantise(modules[part].base_model, settings)
    origins = [source.origin]
    if settings.text_encoder == "int8":
        origins.append("text encoder in int8")
    vae, part = source, "vae"
    if found.vae is not None:
        vae, part = found.vae, ""
        origins.append(f"VAE {vae.origin}")
    classes = blueprint.parts["vae"]
    kind = kind_of(index, "vae") if part else _class_of(vae, classes)
    config = read_json(vae, str(Path(part, "config.json")))
    vae_dtype = blueprint.vae_dtype(kind, config, dtype)
    modules["vae"] = load_module(
        vae, part, classes[kind].from_pretrained, vae_dtype, device, name="vae"
    )
    controlnet = None
    if found.controlnet is not None:
        load = blueprint.controlnets[_class_of(found.controlnet, blueprint.controlnets)]
        controlnet = load_module(
            found.controlnet, "", load.from_pretrained, dtype, device, name="ControlNet"
        )
        origins.append(f"ControlNet {found.controlnet.origin}")
    return LoadedParts(
        modules, controlnet, index, scheduler_config, device, dtype, origin=" with ".join(origins)
    )


def _parts(settings: ModelSettings, blueprint: Blueprint) -> dict[str, Classes]:
    """The components that are taken from a model's own folder, and their classes."""
    parts = dict(blueprint.parts)
    if settings.vae is not None:
        del parts["vae"]
    return parts


def _weight(part: str) -> int:
    """Place of a component in the order of loading."""
    kinds = ("tokenizer", "text_encoder")
    return next((place for place, kind in enumerate(kinds) if part.startswith(kind)), len(kinds))


def _device(settings: ModelSettings) -> torch.device:
    cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not cuda:
        raise WeightsError(
            f"device: model {settings.id} is configured for CUDA, and torch finds no CUDA device"
        )
    if settings.device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    return torch.device(settings.device)


def _class_of(source: Source, accepted: Classes) -> str:
    """Class of a network that is a folder of its own."""
    found = str(read_json(source, "config.json").get("_class_name"))
    if found not in accepted:
        needed = " or ".join(accepted)
        article = "an" if needed.startswith("A") else "a"
        raise WeightsError(
            f"{source.field}: {source.name} is a {found}; {article} {needed} is needed"
        )
    return found
