"""Low-rank adapters (LoRA, arXiv 2106.09685), fused into a model's networks when they are loaded.

The loaders of the stock pipelines read them, so every layout that diffusers converts is accepted.
What these loaders skip with a warning is an error here.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.weights.memory import is_memory_shortage
from deployments.diffusion.weights.modules import tensor_names
from deployments.diffusion.weights.sources import Source, WeightsError, find_source
from deployments.settings import LoraSettings

_NAME = "lora"


def find_lora(lora: LoraSettings) -> Source:
    """Find the folder of an adapter; its file is downloaded when it is named by a Hub id.

    Args:
        lora: The adapter.

    Raises:
        WeightsError: There is no such folder, or it cannot be downloaded.
    """
    return find_source(
        "loras", lora.weights, lora.revision, None, [glob.escape(lora.file)], [], prefer_fp16=False
    )


def fuse_loras(
    loras: Sequence[LoraSettings],
    pipeline: Any,  # noqa: ANN401 - diffusers is untyped
    networks: Sequence[torch.nn.Module],
) -> list[str]:
    """Add adapters to the weights of the networks they were trained for.

    Args:
        loras: What to add, in order.
        pipeline: A stock pipeline that holds the networks and reads the adapters.
        networks: Those that adapters may change; they are changed.

    Returns:
        For each adapter its origin and its scale, for recipes.

    Raises:
        WeightsError: A file is missing, damaged or no adapter, or one of its tensors belongs to no
            layer of these networks.
    """
    # They warn of every layer that an adapter does not change. What is wrong is an error here.
    verbosities = [
        (log, log.get_verbosity()) for log in (diffusers.utils.logging, transformers.logging)
    ]
    for log, _ in verbosities:
        log.set_verbosity(logging.CRITICAL)
    try:
        return [_fuse(pipeline, lora, networks) for lora in loras]
    finally:
        for log, verbosity in verbosities:
            log.set_verbosity(verbosity)


def _fuse(pipeline: Any, lora: LoraSettings, networks: Sequence[torch.nn.Module]) -> str:  # noqa: ANN401 - diffusers is untyped
    source = find_lora(lora)
    names = _tensor_names(source, lora.file)
    given = sum(name.endswith(".weight") and "magnitude" not in name for name in names)
    try:
        pipeline.load_lora_weights(
            source.folder, weight_name=lora.file, local_files_only=True, adapter_name=_NAME
        )
        taken = sum(
            name.endswith((f".lora_A.{_NAME}.weight", f".lora_B.{_NAME}.weight"))
            for network in networks
            for name, _ in network.named_parameters()
        )
        # The loader skips a tensor for which there is no layer.
        if taken != given:
            raise WeightsError(
                f"loras: {source.name} does not fit these weights: they have layers for {taken} "
                f"of the {given} tensors in {lora.file}"
            )
        pipeline.fuse_lora(lora_scale=lora.scale, safe_fusing=True)
        pipeline.unload_lora_weights()
    except WeightsError:
        raise
    except Exception as error:
        reason = shorten(str(error), 300, placeholder=" ...").rstrip(".") or type(error).__name__
        if is_memory_shortage(error):
            problem = f"loras: there is not enough memory to fuse {source.name}"
            raise WeightsError(problem) from error
        # The message names a report that goes to a log only.
        if "ignore_mismatched_sizes" in reason:
            reason = "layers of a text encoder have another size"
        raise WeightsError(f"loras: {source.name} does not fit these weights: {reason}") from error
    return f"{source.origin}/{lora.file} x {lora.scale:g}"


def _tensor_names(source: Source, file: str) -> list[str]:
    if not (source.folder / file).is_file():
        raise WeightsError(f"loras: {source.name} has no {file}")
    names = tensor_names(source, source.folder / file)
    others = [name for name in names if "lora" not in name and "dora_scale" not in name]
    if others or not names:
        found = f"holds {min(others)}" if others else "is empty"
        raise WeightsError(f"loras: {file} of {source.name} is no LoRA: it {found}")
    # The loader drops these with a warning. What remains is another adapter.
    if any("dora_scale" in name for name in names):
        raise WeightsError(f"loras: {file} of {source.name} is a DoRA, which cannot be fused")
    return names
