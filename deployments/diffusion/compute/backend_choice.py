"""Chooses what runs a model's UNet, ControlNet and autoencoder: OpenVINO, torch or its compiler.

Knows no jobs.
"""

from __future__ import annotations

import importlib.util
import logging

import diffusers
import torch

from deployments.diffusion.compute.autoencoder import Autoencoder, TorchAutoencoder
from deployments.diffusion.compute.compiled_networks import CompiledNetworks
from deployments.diffusion.compute.networks import Networks, TorchNetworks
from deployments.diffusion.weights.components import Components
from deployments.diffusion.weights.loading import runs_openvino
from deployments.diffusion.weights.processor import native_bf16
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings

logger = logging.getLogger(__name__)


def create_networks(
    components: Components, settings: ModelSettings, *, release: bool = False
) -> Networks:
    """Make the networks that a model's settings ask for, and log which.

    OpenVINO computes in bfloat16 if `dtype` says so, or is `auto` and the processor has
    instructions for it; else in float32. It takes the number of threads that torch has.

    Args:
        components: The loaded model. On CUDA the networks' memory layout is changed in place.
        settings: Its backend, dtype, and whether to compile.
        release: Nothing else runs `components.unet` and `components.controlnet` (but its
            `controlnet_cond_embedding`), so their weights may be given free.

    Raises:
        WeightsError: The backend is not installed, not for this device or not for these settings,
            or cannot run these weights; one sentence says so.
    """
    installed = importlib.util.find_spec("openvino") is not None
    on_cpu = components.device.type == "cpu"
    wanted = runs_openvino(settings, components.device)
    if wanted and not on_cpu:
        raise WeightsError(
            f"Model {settings.id} has backend openvino, which runs on a CPU only, and its device "
            f"is {components.device.type}; set device to cpu, or backend to torch."
        )
    if wanted and not installed:
        raise WeightsError(
            f"Model {settings.id} has backend openvino, and the package openvino is not installed."
        )
    if wanted and settings.compile:
        raise WeightsError(
            f"Model {settings.id} has backend openvino and compile, which is for backend torch."
        )
    if wanted and settings.dtype == "float16":
        raise WeightsError(
            f"Model {settings.id} has dtype float16, in which backend openvino computes on no "
            "CPU; set dtype to auto, bfloat16 or float32."
        )
    reason = "as configured"
    if settings.backend == "auto":
        reasons = {
            "the device is not a CPU": not on_cpu,
            "the package openvino is not installed": not installed,
            "compile asks for torch": settings.compile,
            "dtype is float16": settings.dtype == "float16",
            "the device is a CPU": True,
        }
        reason = next(text for text, applies in reasons.items() if applies)
    if wanted:
        bf16 = _bf16(settings)
        _log(settings, "networks", f"OpenVINO in {'bfloat16' if bf16 else 'float32'}", reason)
        # It is absent on processors that no wheel of it is for.
        from deployments.diffusion.compute.openvino_networks import OpenVINONetworks

        return OpenVINONetworks(
            components, bf16=bf16, threads=torch.get_num_threads(), release=release
        )
    modules = (components.unet, components.controlnet)
    if not on_cpu:
        # Tensor cores take convolutions' channels last; the other order is turned for each.
        for module in modules:
            if module is not None:
                module.to(memory_format=torch.channels_last)
    dtype = str(components.dtype).removeprefix("torch.")
    if settings.compile:
        _log(settings, "networks", f"torch, compiled, in {dtype}", reason)
        return CompiledNetworks(*modules, graphs=components.device.type == "cuda")
    _log(settings, "networks", f"torch in {dtype}", reason)
    return TorchNetworks(*modules)


def create_autoencoder(
    components: Components, settings: ModelSettings, *, release: bool = False
) -> Autoencoder:
    """Make the autoencoder that a model's settings ask for, and log which.

    It is OpenVINO's where the networks are. There AutoencoderTiny computes in the networks' type.
    AutoencoderKL computes in float32: it is deep enough that bfloat16 moves pixels by many levels.

    Args:
        components: The loaded model.
        settings: Its backend and dtype, with which `create_networks` made the networks.
        release: Nothing else runs `components.vae`, so its weights may be given free.

    Raises:
        WeightsError: OpenVINO cannot run this autoencoder; one sentence says so.
    """
    vae = components.vae
    if not runs_openvino(settings, components.device):
        dtype = str(vae.dtype).removeprefix("torch.")
        _log(settings, type(vae).__name__, f"torch in {dtype}", "as its networks")
        return TorchAutoencoder(vae)
    bf16 = _bf16(settings) and isinstance(vae, diffusers.AutoencoderTiny)
    runs = f"OpenVINO in {'bfloat16' if bf16 else 'float32'}"
    _log(settings, type(vae).__name__, runs, "as its networks")
    from deployments.diffusion.compute.openvino_autoencoder import OpenVINOAutoencoder

    return OpenVINOAutoencoder(
        components, bf16=bf16, threads=torch.get_num_threads(), release=release
    )


def _bf16(settings: ModelSettings) -> bool:
    """Whether OpenVINO computes in bfloat16."""
    return settings.dtype == "bfloat16" or (settings.dtype == "auto" and native_bf16())


def _log(settings: ModelSettings, what: str, runs: str, reason: str) -> None:
    logger.info("Model %s runs its %s with %s: %s.", settings.id, what, runs, reason)
