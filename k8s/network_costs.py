"""Parameters and operations of the models of a configuration, counted on networks without memory.

The networks are built from the configurations that the checkpoints publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from deployments.config import read_config
from deployments.settings import AppArgs, ModelSettings

CONFIG = Path(__file__).parent / "overlays/gpu/serve_config.yaml"
EDITING_CONFIG = Path(__file__).parent / "overlays/gpu/editing_config.yaml"

EFFICIENCY = 0.4
"""Assumed: the share of a GPU's peak at which batched UNet steps run. Measure yours with
`python -m tests.bench.engine_gpu`, which prints both rates."""

GIGABYTE = 10**9
SHRINKS = 8
"""Pixels of a side for one of the latents'."""

GPU = "H100"
"""The kind of which the longer tables are."""

GPUS = MappingProxyType({"L4": 121e12, "A100": 312e12, "L40S": 362e12, "H100": 989e12})
"""Peak operations a second of dense float16 matrix products, from NVIDIA's data sheets."""

_CLIP_L: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_CLIP_BIGG: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
_AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
}
_SD: dict[str, Any] = {"cross_attention_dim": 768}
_SDXL: dict[str, Any] = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SDXL_UP = {"up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")}
_INPAINTING_CHANNELS = 9
_KLEIN: dict[str, Any] = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}
_QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
_TOKEN_SIDE = 16
_TEXT_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Cost:
    """What one model takes.

    Attributes:
        model: Its settings.
        parameters: Of all its networks.
        spared: Parameters' worth of GPU memory that a text encoder elsewhere or of 8 bits spares.
        operations: For one image with the model's own steps, guided unless its weights are
            distilled: the networks' multiplications and additions, the autoencoder's included.
    """

    model: ModelSettings
    parameters: int
    operations: float
    spared: float = 0.0

    @property
    def weights_gb(self) -> float:
        """Gigabytes of its weights on the GPU, in float16."""
        return (self.parameters - self.spared) * 2 / GIGABYTE

    def images_per_s(self, gpu: str) -> float:
        """Images a second that a GPU makes of nothing else."""
        return GPUS[gpu] * EFFICIENCY / self.operations


def costs(config: Path = CONFIG) -> list[Cost]:
    """The cost of every model of a configuration."""
    document = read_config(config)
    args = AppArgs.model_validate(document["applications"][0]["args"])
    return [
        Cost(
            model,
            sum(_parameters(part) for part in _parts(model.family, model.controlnet is not None)),
            _edit_operations(model)
            if model.family == "flux2"
            else _operations(
                model.family,
                model.controlnet is not None,
                model.size // SHRINKS,
                int(model.steps * model.strength),
            ),
            _spared(model),
        )
        for model in args.models
    ]


def _spared(model: ModelSettings) -> float:
    """What the choice of `text_encoder` spares of its parameters' memory."""
    if model.text_encoder == "device":
        return 0.0
    encoder = _part(model.family, "text_encoder")
    if model.text_encoder == "cpu":
        return float(_parameters(encoder))
    linear = [one for one in encoder.base_model.modules() if isinstance(one, torch.nn.Linear)]
    return sum(map(_parameters, linear)) / 2


def _parts(family: str, controlled: bool) -> list[Any]:
    """All networks of a family, perhaps with a ControlNet, without memory."""
    if family == "flux2":
        return [_part(family, name) for name in ("transformer", "vae", "text_encoder")]
    names = ["unet", "vae", "text_encoder"]
    names += ["text_encoder_2"] if family == "sdxl" else []
    names += ["controlnet"] if controlled else []
    return [_part(family, name) for name in names]


@cache
def _part(family: str, name: str) -> Any:  # noqa: ANN401 - whatever diffusers or transformers builds
    sdxl = family == "sdxl"
    with torch.device("meta"):
        if family == "flux2":
            return _klein_part(name)
        match name:
            case "unet":
                config = {**_SDXL, **_SDXL_UP} if sdxl else _SD
                return diffusers.UNet2DConditionModel(in_channels=_INPAINTING_CHANNELS, **config)
            case "controlnet":
                return diffusers.ControlNetModel(**(_SDXL if sdxl else _SD))
            case "vae":
                return diffusers.AutoencoderKL(**_AUTOENCODER)
            case "text_encoder":
                return transformers.CLIPTextModel(transformers.CLIPTextConfig(**_CLIP_L))
    return transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**_CLIP_BIGG))


def _klein_part(name: str) -> Any:  # noqa: ANN401 - whatever diffusers or transformers builds
    if name == "transformer":
        return diffusers.Flux2Transformer2DModel(**_KLEIN)
    if name == "vae":
        return diffusers.AutoencoderKLFlux2()
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**_QWEN3_4B))


def _parameters(network: Any) -> int:  # noqa: ANN401 - whatever diffusers or transformers builds
    return sum(parameter.numel() for parameter in network.parameters())


def _operations(family: str, controlled: bool, side: int, steps: int) -> float:
    step = _step(family, "unet", side)
    if controlled:
        step += _step(family, "controlnet", side)
    return float(steps * step + _coding(side))


@cache
def _step(family: str, name: str, side: int) -> int:
    """Operations of one forward pass of a guided image's two rows."""
    network, rows = _part(family, name), 2
    channels = _INPAINTING_CHANNELS if name == "unet" else 4
    inputs = [
        torch.empty(rows, channels, side, side, device="meta"),
        torch.empty(rows, device="meta"),
        torch.empty(rows, 77, network.config.cross_attention_dim, device="meta"),
    ]
    if name == "controlnet":
        inputs.append(torch.empty(rows, 3, side * SHRINKS, side * SHRINKS, device="meta"))
    added = None
    if family == "sdxl":
        added = {
            "text_embeds": torch.empty(rows, 1280, device="meta"),
            "time_ids": torch.empty(rows, 6, device="meta"),
        }
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs, added_cond_kwargs=added)
    return int(counter.get_total_flops())


@cache
def _coding(side: int) -> int:
    """Operations of encoding a photo and what of it is kept, and of decoding an image."""
    vae = _part("sd", "vae")
    photo = torch.empty(1, 3, side * SHRINKS, side * SHRINKS, device="meta")
    latents = torch.empty(1, 4, side, side, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.encode(photo)
        vae.encode(photo)
        vae.decode(latents)
    return int(counter.get_total_flops())


def _edit_operations(model: ModelSettings) -> float:
    """Operations of an edit: a picture, and the photo beside it."""
    tokens, rows = (model.size // _TOKEN_SIDE) ** 2, 1 if model.distilled else 2
    steps = model.traits.steps_taken(model.steps, model.strength)
    photo = torch.empty(1, 3, model.size, model.size, device="meta")
    side = model.size // SHRINKS
    transformer, vae = _part("flux2", "transformer"), _part("flux2", "vae")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        transformer(
            hidden_states=torch.empty(rows, 2 * tokens, 128, device="meta"),
            timestep=torch.empty(rows, device="meta"),
            encoder_hidden_states=torch.empty(rows, _TEXT_TOKENS, 7680, device="meta"),
            img_ids=torch.empty(2 * tokens, 4, device="meta"),
            txt_ids=torch.empty(_TEXT_TOKENS, 4, device="meta"),
        )
    step = counter.get_total_flops()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.encode(photo)
        vae.decode(torch.empty(1, 32, side, side, device="meta"))
    return float(steps * step + counter.get_total_flops())
