"""Weights to modules on a device: reads a diffusers folder, checks it, and names what is wrong.

Knows nothing of jobs. Only safetensors files are read: a pickle could run code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError, safe_open

from deployments.diffusion.sources import (
    DEMO_CONTROLNET,
    DEMO_WEIGHTS,
    Source,
    WeightsError,
    find_source,
)
from deployments.jobs import SIDE_STEP
from deployments.settings import ModelSettings

_ACCEPTED: Mapping[str, Mapping[str, Any]] = {
    "tokenizer": {
        "CLIPTokenizer": transformers.CLIPTokenizer,
        "CLIPTokenizerFast": transformers.CLIPTokenizer,
    },
    "text_encoder": {"CLIPTextModel": transformers.CLIPTextModel},
    "unet": {"UNet2DConditionModel": diffusers.UNet2DConditionModel},
    "vae": {"AutoencoderKL": diffusers.AutoencoderKL, "AutoencoderTiny": diffusers.AutoencoderTiny},
}
"""Classes that each component of model_index.json may have."""

_MODULES = ("text_encoder", "unet", "vae")
_STEM = "diffusion_pytorch_model"
_STEMS = {"text_encoder": "model", "unet": _STEM, "vae": _STEM}
_SETTINGS_FILES = (
    "model_index.json",
    "scheduler/*.json",
    "tokenizer/*.json",
    "tokenizer/*.txt",
    *(f"{part}/config.json" for part in _MODULES),
)
_UNKNOWN_CONDITIONS = (
    "addition_embed_type",
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)
"""Inputs besides picture, time and text that a UNet's configuration can ask for."""
_SHARED_WITH_CONTROLNET = (
    "in_channels",
    "block_out_channels",
    "layers_per_block",
    "cross_attention_dim",
)


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The modules of one model, on one device, in one dtype.

    Attributes:
        tokenizer: CLIPTokenizer.
        text_encoder: CLIPTextModel.
        vae: AutoencoderKL or AutoencoderTiny.
        unet: UNet2DConditionModel with as many input and output channels as latents have.
        controlnet: ControlNetModel that fits the UNet, or None.
        scheduler_config: The weights' own scheduler configuration.
        device: Where the modules are.
        dtype: What they compute in.
        origin: Where the weights came from, for recipes.
    """

    tokenizer: Any
    text_encoder: Any
    vae: Any
    unet: Any
    controlnet: Any
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    origin: str


def load_components(settings: ModelSettings) -> Components:
    """Load a model's weights onto its device.

    Args:
        settings: What to load and where to.

    Raises:
        WeightsError: With one sentence: no such weights, a wrong layout, a damaged file, weights
            that do not fit the family or each other, no such device, or not enough memory.
    """
    device = _device(settings)
    if settings.dtype == "auto":
        dtype = torch.float16 if device.type == "cuda" else torch.float32
    else:
        dtype = getattr(torch, settings.dtype)
    fp16 = dtype == torch.float16

    stems = [f"{part}/{_STEMS[part]}" for part in _MODULES]
    source = find_source(
        settings.weights, settings.revision, DEMO_WEIGHTS, _SETTINGS_FILES, stems, fp16
    )
    origin = source.origin
    loaders = _component_loaders(source)
    scheduler_config = _read_json(source, "scheduler/scheduler_config.json")
    tokenizer = _load_tokenizer(source, loaders["tokenizer"])
    text_encoder, unet, vae = (
        _load_module(source, part, _STEMS[part], loaders[part], dtype, device) for part in _MODULES
    )
    controlnet = None
    if settings.controlnet is not None:
        control = find_source(
            settings.controlnet,
            settings.controlnet_revision,
            DEMO_CONTROLNET,
            ["config.json"],
            [_STEM],
            fp16,
        )
        found = _read_json(control, "config.json").get("_class_name")
        if found != "ControlNetModel":
            raise WeightsError(
                f"The ControlNet {control.name} is a {found}; a ControlNetModel is needed."
            )
        controlnet = _load_module(
            control, "", _STEM, diffusers.ControlNetModel.from_pretrained, dtype, device
        )
        origin = f"{origin} with ControlNet {control.origin}"

    components = Components(
        tokenizer, text_encoder, vae, unet, controlnet, scheduler_config, device, dtype, origin
    )
    for problem in _misfits(components):
        raise WeightsError(f"The weights of model {settings.id} do not fit: {problem}.")
    return components


def _device(settings: ModelSettings) -> torch.device:
    cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not cuda:
        raise WeightsError(
            f"Model {settings.id} is configured for CUDA, and torch finds no CUDA device here."
        )
    if settings.device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    return torch.device(settings.device)


def _component_loaders(source: Source) -> dict[str, Callable[..., Any]]:
    """Look the classes of the components up in model_index.json."""
    index = _read_json(source, "model_index.json")
    loaders = {}
    for part, accepted in _ACCEPTED.items():
        entry = index.get(part)
        found = str(entry[1]) if isinstance(entry, list) and len(entry) == 2 else "nothing"
        if found not in accepted:
            raise WeightsError(
                f"The weights {source.name} have {found} as {part}; "
                f"family sd takes {' or '.join(accepted)}."
            )
        loaders[part] = accepted[found].from_pretrained
    return loaders


def _read_json(source: Source, file: str) -> dict[str, Any]:
    try:
        document = json.loads((source.folder / file).read_bytes())
    except FileNotFoundError:
        raise WeightsError(f"The weights {source.name} have no {file}.") from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"The file {file} of the weights {source.name} cannot be read: {error}."
        ) from None
    if not isinstance(document, dict):
        raise WeightsError(f"The file {file} of the weights {source.name} is not a JSON object.")
    return document


def _load_tokenizer(
    source: Source, load: Callable[..., transformers.PreTrainedTokenizerBase]
) -> transformers.PreTrainedTokenizerBase:
    folder = source.folder / "tokenizer"
    # Without its files the class builds an empty vocabulary and says nothing.
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise WeightsError(f"The weights {source.name} have no tokenizer/vocab.json.")
    try:
        return load(folder, local_files_only=True)
    except Exception as error:
        raise _unloadable(source, "tokenizer", error) from error


def _load_module(
    source: Source,
    part: str,
    stem: str,
    load: Callable[..., tuple[torch.nn.Module, dict[str, Any]]],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.nn.Module:
    """Load one network from its folder, all of it and nothing else."""
    folder = source.folder / part
    _read_json(source, str(Path(part, "config.json")))
    whole = folder / f"{stem}.safetensors"
    plain = [whole] if whole.is_file() else sorted(folder.glob(f"{stem}-*-of-*.safetensors"))
    variants = sorted(folder.glob(f"{stem}.fp16*.safetensors"))
    fp16 = bool(variants) and (dtype == torch.float16 or not plain)
    files = variants if fp16 else plain
    if not files:
        raise WeightsError(f"The weights {source.name} have no {Path(part, stem)}.safetensors.")
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            name = file.relative_to(source.folder)
            raise WeightsError(
                f"The file {name} of the weights {source.name} is damaged: {error}."
            ) from None
    try:
        module, report = load(
            folder,
            dtype=dtype,
            variant="fp16" if fp16 else None,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        # Both libraries fill what a file lacks with random numbers and go on.
        if report["missing_keys"]:
            first = min(report["missing_keys"])
            raise WeightsError(
                f"The weights {source.name} lack {first} of {part or 'the ControlNet'}."
            )
        return module.to(device).eval()
    except WeightsError:
        raise
    except Exception as error:
        raise _unloadable(source, part or "ControlNet", error) from error


def _unloadable(source: Source, part: str, error: Exception) -> WeightsError:
    reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in reason:
        return WeightsError(
            f"There is not enough memory to load {part} of the weights {source.name}."
        )
    return WeightsError(f"The {part} of the weights {source.name} cannot be loaded: {reason}.")


def _misfits(parts: Components) -> Iterator[str]:
    """Say what the family cannot run, or which two modules do not go together."""
    unet, vae = parts.unet.config, parts.vae.config
    if unet.in_channels != unet.out_channels:
        yield (
            f"the UNet has {unet.in_channels} input and {unet.out_channels} output channels, "
            "and family sd takes as many of both"
        )
    for key in _UNKNOWN_CONDITIONS:
        if unet.get(key) is not None:
            yield f"the UNet needs {key}, which family sd does not give"
    text, tokenizer = parts.text_encoder.config, parts.tokenizer
    if tokenizer.model_max_length > text.max_position_embeddings:
        yield (
            f"the tokenizer gives up to {tokenizer.model_max_length} tokens, "
            f"the text encoder reads {text.max_position_embeddings}"
        )
    if len(tokenizer) > text.vocab_size:
        yield f"the tokenizer has {len(tokenizer)} tokens, the text encoder {text.vocab_size}"
    width = text.hidden_size
    if unet.cross_attention_dim != width:
        yield f"the UNet reads text {unet.cross_attention_dim} wide, its encoder writes {width}"
    if vae.latent_channels != unet.in_channels:
        yield f"the VAE has {vae.latent_channels} latent channels, the UNet {unet.in_channels}"
    shrinks = 2 ** (len(vae.block_out_channels) - 1)
    if SIDE_STEP % shrinks:
        yield f"the VAE shrinks by {shrinks}, and sides are multiples of {SIDE_STEP}"
    if parts.controlnet is None:
        return
    control = parts.controlnet.config
    for key in _SHARED_WITH_CONTROLNET:
        if control.get(key) != unet.get(key):
            yield f"{key} is {control.get(key)} in the ControlNet and {unet.get(key)} in the UNet"
    if control.global_pool_conditions:
        yield "the ControlNet pools its conditions, which family sd does not do"
    if control.conditioning_channels != 3:
        yield f"the ControlNet takes {control.conditioning_channels} channels of control map, not 3"
    control_shrinks = 2 ** (len(control.conditioning_embedding_out_channels) - 1)
    if control_shrinks != shrinks:
        yield f"the ControlNet shrinks by {control_shrinks}, the VAE by {shrinks}"
