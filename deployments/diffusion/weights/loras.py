"""Low-rank adapters (LoRA, arXiv 2106.09685): fused into a model's networks, or loaded beside them.

The loaders of the stock pipelines read them, so every layout that diffusers converts is accepted.
What these loaders skip with a warning is an error here.
"""

from __future__ import annotations

import glob
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import Any

import diffusers
import torch
import transformers
from peft.tuners.lora import Conv2d, Linear, LoraLayer

from deployments.diffusion.weights.memory import is_memory_shortage
from deployments.diffusion.weights.modules import tensor_names
from deployments.diffusion.weights.row_loras import Beside, RowLoraLayer, RowLoras, RowTerm
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
    with _quietly():
        return [_fuse(pipeline, lora, networks) for lora in loras]


def load_beside(
    loras: Sequence[LoraSettings],
    pipeline: Any,  # noqa: ANN401 - diffusers is untyped
    networks: Sequence[torch.nn.Module],
) -> tuple[RowLoras, list[str]]:
    """Load adapters beside the weights, so that each row of a forward may have another.

    Args:
        loras: What to load; each has a name of its own.
        pipeline: See `fuse_loras`; what shall be fused was fused before.
        networks: See `fuse_loras`; the first is the one that denoises, and the others read texts.
            Layers that adapters change are replaced.

    Returns:
        What says which rows have which, and for each adapter its origin, for recipes.

    Raises:
        WeightsError: See `fuse_loras`.
    """
    terms: dict[tuple[torch.nn.Module, str], dict[str, RowTerm]] = {}
    loaded, origins = {}, []
    with _quietly():
        for place, lora in enumerate(loras):
            # One after the other: what a network has at a time is this one alone.
            origin = _load(pipeline, lora, networks)
            adapter, numbers = f"request{place}", [0] * len(networks)
            for number, network in enumerate(networks):
                for path, layer in _changed(network):
                    term = _term(layer, lora)
                    terms.setdefault((network, path), {})[adapter] = term
                    numbers[number] += term.numbers
            name = lora.name or ""
            loaded[name] = Beside(adapter, any(numbers[1:]), sum(numbers))
            origins.append(f"{name} = {origin}")
            pipeline.unload_lora_weights()
    beside = RowLoras(loaded)
    for (network, path), of_layer in terms.items():
        parent, _, child = path.rpartition(".")
        beside_it = RowLoraLayer(network.get_submodule(path), of_layer, beside)
        setattr(network.get_submodule(parent), child, beside_it.eval().requires_grad_(False))
    return beside, origins


@contextmanager
def _quietly() -> Iterator[None]:
    # They warn of every layer that an adapter does not change. What is wrong is an error here.
    verbosities = [
        (log, log.get_verbosity()) for log in (diffusers.utils.logging, transformers.logging)
    ]
    for log, _ in verbosities:
        log.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        for log, verbosity in verbosities:
            log.set_verbosity(verbosity)


def _changed(network: torch.nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """The layers that the loaded adapter changes, with their paths."""
    for path, layer in network.named_modules():
        if isinstance(layer, LoraLayer):
            yield path, layer


def _term(layer: LoraLayer, lora: LoraSettings) -> RowTerm:
    """What the loaded adapter adds to a layer.

    Raises:
        WeightsError: It cannot be added for some rows alone, or is not finite.
    """
    if not isinstance(layer, Linear | Conv2d) or layer.lora_variant:
        raise WeightsError(
            f"loras: {lora.weights} changes layers as only a LoRA can that is fused; set "
            "per_request: false"
        )
    rank = layer.r[_NAME]
    divisor = math.sqrt(rank) if layer.use_rslora.get(_NAME) else rank
    term = RowTerm(layer.lora_A[_NAME], layer.lora_B[_NAME], layer.lora_alpha[_NAME], divisor)
    if not term.finite:
        raise WeightsError(f"loras: {lora.file} of {lora.weights} holds NaN or infinity")
    return term


def _fuse(pipeline: Any, lora: LoraSettings, networks: Sequence[torch.nn.Module]) -> str:  # noqa: ANN401 - diffusers is untyped
    origin = _load(pipeline, lora, networks)
    with _told(lora):
        pipeline.fuse_lora(lora_scale=lora.scale, safe_fusing=True)
        pipeline.unload_lora_weights()
    return f"{origin} x {lora.scale:g}"


def _load(pipeline: Any, lora: LoraSettings, networks: Sequence[torch.nn.Module]) -> str:  # noqa: ANN401 - diffusers is untyped
    """Load an adapter into layers of its own, and return its origin."""
    source = find_lora(lora)
    names = _tensor_names(source, lora)
    given = sum(name.endswith(".weight") and "magnitude" not in name for name in names)
    with _told(lora):
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
    return f"{source.origin}/{lora.file}"


@contextmanager
def _told(lora: LoraSettings) -> Iterator[None]:
    """Say in one sentence whatever the libraries raise about an adapter."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        name = lora.weights
        reason = shorten(str(error), 300, placeholder=" ...").rstrip(".") or type(error).__name__
        if is_memory_shortage(error):
            verb = "load" if lora.per_request else "fuse"
            problem = f"loras: there is not enough memory to {verb} {name}"
            raise WeightsError(problem) from error
        # The message names a report that goes to a log only.
        if "ignore_mismatched_sizes" in reason:
            reason = "layers of a text encoder have another size"
        raise WeightsError(f"loras: {name} does not fit these weights: {reason}") from error


def _tensor_names(source: Source, lora: LoraSettings) -> list[str]:
    file = lora.file
    if not (source.folder / file).is_file():
        raise WeightsError(f"loras: {source.name} has no {file}")
    names = tensor_names(source, source.folder / file)
    others = [name for name in names if "lora" not in name and "dora_scale" not in name]
    if others or not names:
        found = f"holds {min(others)}" if others else "is empty"
        raise WeightsError(f"loras: {file} of {source.name} is no LoRA: it {found}")
    # The loader drops these with a warning. What remains is another adapter.
    if any("dora_scale" in name for name in names):
        cannot = "stand beside weights" if lora.per_request else "be fused"
        raise WeightsError(f"loras: {file} of {source.name} is a DoRA, which cannot {cannot}")
    return names
