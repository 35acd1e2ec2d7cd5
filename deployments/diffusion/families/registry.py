"""Finds a model's family, and loads its weights as the family says."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from deployments.diffusion.families.family import Family
from deployments.diffusion.weights.loading import load_parts
from deployments.diffusion.weights.loras import fuse_loras, load_beside
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings


def family_of(settings: ModelSettings) -> Family[Any]:
    """Import the family that a model's settings name; they name one that exists."""
    module = importlib.import_module(f"deployments.diffusion.families.{settings.family}.family")
    family: Family[Any] = module.FAMILY
    return family


def load_components(settings: ModelSettings) -> Any:  # noqa: ANN401 - the family's own components
    """Load a model's weights onto its device, with its LoRAs fused, or beside them.

    Args:
        settings: What to load and where to.

    Returns:
        The `Components` of its family.

    Raises:
        WeightsError: There are no such weights, their layout is wrong, a file is damaged, they do
            not fit the family or each other, there is no such device, or not enough memory.
    """
    family = family_of(settings)
    parts = family.assemble(load_parts(settings, family.blueprint))
    for problem in family.misfits(parts):
        raise WeightsError(f"weights: those of model {settings.id} do not fit: {problem}")
    if settings.fused_loras:
        fused = fuse_loras(settings.fused_loras, *family.adaptable(parts))
        parts = dataclasses.replace(parts, origin=" with LoRA ".join([parts.origin, *fused]))
    if settings.request_loras:
        chosen = tuple(settings.request_loras.values())
        loras, origins = load_beside(chosen, *family.adaptable(parts))
        origin = " with LoRA per request ".join([parts.origin, *origins])
        parts = dataclasses.replace(parts, loras=loras, origin=origin)
    return parts
