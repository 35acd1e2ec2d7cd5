"""Loads one network or tokenizer of a diffusers folder, whole, or says what is wrong with it.

Only safetensors files are read, because a pickle can run code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open

from deployments.diffusion.weights.memory import is_memory_shortage
from deployments.diffusion.weights.sources import Source, WeightsError


def stem_of(part: str) -> str:
    """Path of a component's weights in its folder tree, without their ending.

    Args:
        part: The component's folder, empty for a folder that is the component itself.
    """
    name = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
    return str(Path(part, name))


def read_json(source: Source, file: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        source: The weights.
        file: Its path in their folder.

    Raises:
        WeightsError: It is missing, unreadable, or no object.
    """
    try:
        document = json.loads((source.folder / file).read_bytes())
    except FileNotFoundError:
        raise WeightsError(f"{source.field}: {source.name} has no {file}") from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{source.field}: {file} of {source.name} cannot be read: {error}"
        ) from None
    if not isinstance(document, dict):
        raise WeightsError(f"{source.field}: {file} of {source.name} is not a JSON object")
    return document


def tensor_names(source: Source, file: Path) -> list[str]:
    """Read the names of the tensors in a safetensors file; this checks its table of contents.

    Args:
        source: The weights.
        file: A file in their folder.

    Raises:
        WeightsError: The file is damaged.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except (SafetensorError, OSError) as error:
        name = file.relative_to(source.folder)
        raise WeightsError(f"{source.field}: {name} of {source.name} is damaged: {error}") from None


def load_tokenizer(
    source: Source, part: str, load: Callable[..., transformers.PreTrainedTokenizerBase]
) -> transformers.PreTrainedTokenizerBase:
    """Load a tokenizer.

    Args:
        source: The weights.
        part: Its folder in them.
        load: Its class's `from_pretrained`.

    Raises:
        WeightsError: It has no vocabulary, or cannot be loaded.
    """
    folder = source.folder / part
    # Without its files the class builds an empty vocabulary in silence.
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise WeightsError(f"{source.field}: {source.name} has no {part}/vocab.json")
    try:
        return load(folder, local_files_only=True)
    except Exception as error:
        raise _unloadable(source, part, error) from error


def load_module(
    source: Source,
    part: str,
    load: Callable[..., tuple[torch.nn.Module, dict[str, Any]]],
    dtype: torch.dtype,
    device: torch.device,
    name: str | None = None,
) -> torch.nn.Module:
    """Load a network, in evaluation mode.

    For float16 the fp16 files are taken; otherwise only where there are no other files.

    Args:
        source: The weights.
        part: The network's folder in them; empty when their folder is the network's own.
        load: Its class's `from_pretrained`.
        dtype: The type of its parameters.
        device: Where it is put.
        name: What messages call it; None for `part`.

    Raises:
        WeightsError: A file is missing or damaged, tensors are missing or of another shape, or
            there is not enough memory.
    """
    name = part if name is None else name
    folder = source.folder / part
    read_json(source, str(Path(part, "config.json")))
    stem = Path(stem_of(part)).name
    whole = folder / f"{stem}.safetensors"
    plain = [whole] if whole.is_file() else sorted(folder.glob(f"{stem}-*-of-*.safetensors"))
    variants = sorted(folder.glob(f"{stem}.fp16*.safetensors"))
    fp16 = bool(variants) and (dtype == torch.float16 or not plain)
    files = variants if fp16 else plain
    if not files:
        raise WeightsError(f"{source.field}: {source.name} has no {stem_of(part)}.safetensors")
    for file in files:
        tensor_names(source, file)
    try:
        module, report = load(
            folder,
            dtype=dtype,
            variant="fp16" if fp16 else None,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        # For a tensor that a file lacks, both libraries take random numbers.
        if report["missing_keys"]:
            first = min(report["missing_keys"])
            raise WeightsError(f"{source.field}: {source.name} lacks {first} of {name}")
        return module.to(device).eval()
    except WeightsError:
        raise
    except Exception as error:
        raise _unloadable(source, name, error) from error


def _unloadable(source: Source, name: str, error: Exception) -> WeightsError:
    """The error for whatever a library raised while it loaded."""
    if is_memory_shortage(error):
        return WeightsError(
            f"{source.field}: there is not enough memory to load {name} of {source.name}"
        )
    reason = str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
    return WeightsError(f"{source.field}: {name} of {source.name} cannot be loaded: {reason}")
