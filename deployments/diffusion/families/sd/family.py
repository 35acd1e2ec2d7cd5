"""The family `sd`, and what other families of UNets share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import diffusers
import torch
import transformers

from deployments.diffusion.compute.backend_choice import create_autoencoder, create_networks
from deployments.diffusion.compute.capacity import Trial, rows_capacity
from deployments.diffusion.compute.networks import Networks, TorchNetworks, example_rows
from deployments.diffusion.families.family import Runnable
from deployments.diffusion.families.sd.compatibility import misfits
from deployments.diffusion.families.sd.conditioning import PromptEncoder
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.diffusion.weights.blueprint import Blueprint, Classes, LoadedParts, kind_of
from deployments.diffusion.weights.components import UNetComponents
from deployments.diffusion.weights.sources import Source, WeightsError
from deployments.jobs import ControlSettings
from deployments.settings import ModelSettings

TOKENIZERS = {
    "CLIPTokenizer": transformers.CLIPTokenizer,
    "CLIPTokenizerFast": transformers.CLIPTokenizer,
}
UNETS = {"UNet2DConditionModel": diffusers.UNet2DConditionModel}
CONTROLNETS = {"ControlNetModel": diffusers.ControlNetModel}
PARTS: Mapping[str, Classes] = {
    "tokenizer": TOKENIZERS,
    "text_encoder": {"CLIPTextModel": transformers.CLIPTextModel},
    "unet": UNETS,
    "vae": {
        "AutoencoderKL": diffusers.AutoencoderKL,
        "AutoencoderTiny": diffusers.AutoencoderTiny,
        "AutoencoderDC": diffusers.AutoencoderDC,
    },
}

_NOT_ADAPTED = ("vae", "tokenizer", "scheduler", "safety_checker", "feature_extractor")


def text_encoders(source: Source, index: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell whether model_index.json has a first and a second text encoder, beside a UNet.

    Raises:
        WeightsError: It has the second alone, as refiners have.
    """
    if kind_of(index, "unet") not in UNETS:
        return False, False
    first, second = (
        kind_of(index, part) not in ("nothing", "None")
        for part in ("text_encoder", "text_encoder_2")
    )
    if second and not first:
        raise WeightsError(
            f"weights: {source.name} is an SDXL refiner, which has text_encoder_2 alone; "
            "SDXL base or inpainting weights are needed"
        )
    return first, second


def _check_index(source: Source, index: Mapping[str, Any]) -> None:
    _, second = text_encoders(source, index)
    if second:
        raise WeightsError(
            f"family: {source.name} has text_encoder_2, as SDXL has, and the model's family is sd; "
            "set family: sdxl"
        )


class UNetFamily:
    """A family whose network is a UNet.

    Args:
        name: Its name.
        blueprint: See `Family`.
        conditions: What `addition_embed_type` may be in its UNets; `text` is made by the UNet
            itself from the text that it attends to.
        prompts: What encodes texts for its UNets.
    """

    def __init__(
        self,
        name: str,
        blueprint: Blueprint,
        conditions: tuple[str | None, ...] = (None, "text"),
        prompts: Callable[[UNetComponents], PromptEncoder] = PromptEncoder,
    ) -> None:
        self.blueprint = blueprint
        self.prompts = prompts
        self._name = name
        self._conditions = conditions

    def assemble(self, loaded: LoadedParts) -> UNetComponents:
        """See `Family`."""
        return UNetComponents(
            tokenizers=loaded.all_of("tokenizer"),
            text_encoders=loaded.all_of("text_encoder"),
            vae=loaded.modules["vae"],
            unet=loaded.modules["unet"],
            controlnet=loaded.controlnet,
            scheduler_config=loaded.scheduler_config,
            device=loaded.device,
            dtype=loaded.dtype,
            origin=loaded.origin,
        )

    def misfits(self, parts: UNetComponents) -> Iterator[str]:
        """See `Family`."""
        yield from misfits(parts, self._name, self._conditions)

    def adaptable(self, parts: UNetComponents) -> tuple[Any, Sequence[torch.nn.Module]]:
        """See `Family`."""
        stock: Any = diffusers
        pipeline = stock.StableDiffusionPipeline(
            text_encoder=parts.text_encoders[0],
            unet=parts.unet,
            requires_safety_checker=False,
            **dict.fromkeys(_NOT_ADAPTED),
        )
        return pipeline, [parts.unet, *parts.text_encoders]

    def create_model(self, parts: UNetComponents, settings: ModelSettings) -> Runnable:
        """See `Family`."""
        networks = create_networks(parts, settings, release=True)
        autoencoder = create_autoencoder(parts, settings, release=True)
        prompts = self.prompts(parts)

        def model(networks: Networks) -> StableDiffusion:
            return StableDiffusion(
                prompts,
                networks,
                settings.scheduler,
                canny,
                autoencoder=autoencoder,
                control=ControlSettings(
                    settings.control_scale, settings.control_start, settings.control_end
                ),
                # The demo weights have learned layouts, by their places in a square.
                square=settings.size if settings.demo else None,
            )

        plain = model(TorchNetworks(parts.unet, parts.controlnet)) if settings.compile else None
        capacity = rows_capacity(trial(parts, settings.size), settings)
        return Runnable(model(networks), capacity, plain)


def trial(parts: UNetComponents, size: int) -> Trial:
    """What is measured of a model's memory: UNet and ControlNet as torch runs them."""
    side = -(-size // parts.shrinks)
    size = side * parts.shrinks
    options: dict[str, Any] = {"dtype": parts.vae.dtype, "device": parts.device}

    def forward(rows: int) -> Callable[[], object]:
        networks = TorchNetworks(parts.unet, parts.controlnet, parts.loras)
        controlled = parts.controlnet is not None
        given = example_rows(parts, rows, side, side, controlled=controlled)
        return lambda: networks.predict(given)

    def encode() -> object:
        return parts.vae.encode(torch.zeros(1, 3, size, size, **options))

    def decode() -> object:
        return parts.vae.decode(torch.zeros(1, parts.latent_channels, side, side, **options))

    return Trial(parts.device, size**2, forward, (encode, decode))


def vae_dtype(kind: str, _config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """The type in which an autoencoder is held; see `Blueprint`.

    AutoencoderDC normalises what it draws last: in bfloat16 pixels would be off by levels.
    """
    coarse = kind == "AutoencoderDC" and dtype == torch.bfloat16
    return torch.float32 if coarse else dtype


FAMILY = UNetFamily("sd", Blueprint(PARTS, CONTROLNETS, vae_dtype, _check_index))
