"""Chooses what runs a model's UNet, ControlNet and autoencoder: OpenVINO, torch or its compiler."""

from __future__ import annotations

import importlib.util
import logging

import diffusers
import torch

from deployments import telemetry
from deployments.diffusion.compute.autoencoder import Autoencoder, TorchAutoencoder
from deployments.diffusion.compute.compiled_networks import CompiledNetworks
from deployments.diffusion.compute.networks import Networks, TorchNetworks
from deployments.diffusion.weights.components import Components, UNetComponents
from deployments.diffusion.weights.precision import openvino_takes_bf16, runs_openvino
from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings

logger = logging.getLogger(__name__)


def create_networks(
    components: UNetComponents, settings: ModelSettings, *, release: bool = False
) -> Networks:
    """Make the networks that a model's settings ask for, and log which.

    OpenVINO takes as many threads as torch has. `openvino_takes_bf16` chooses its number type.

    Args:
        components: The loaded model. On CUDA the networks' memory layout is changed in place.
        settings: Its backend, dtype, and whether to compile.
        release: Free the weights of `components.unet` and `components.controlnet`. Nothing else may
            run these then, except the ControlNet's `controlnet_cond_embedding`.

    Raises:
        WeightsError: The backend is not installed, does not fit this device or these settings, or
            cannot run these weights.
    """
    installed = importlib.util.find_spec("openvino") is not None
    on_cpu = components.device.type == "cpu"
    wanted = runs_openvino(settings, components.device.type)
    if wanted and not on_cpu:
        raise WeightsError(
            f"backend: model {settings.id} has openvino, which runs on a CPU only, and its device "
            f"is {components.device.type}; set device to cpu, or backend to torch"
        )
    if wanted and not installed:
        raise WeightsError(
            f"backend: model {settings.id} has openvino, and the package openvino is not installed"
        )
    if wanted and settings.compile:
        raise WeightsError(
            f"backend: model {settings.id} has openvino, and compile, which is for backend torch"
        )
    if wanted and settings.dtype == "float16":
        raise WeightsError(
            f"dtype: model {settings.id} has dtype float16, in which backend openvino cannot "
            "compute on a CPU; set dtype to auto, bfloat16 or float32"
        )
    reason = "as configured"
    if settings.backend == "auto":
        reasons = {
            "the device is not a CPU": not on_cpu,
            "the package openvino is not installed": not installed,
            "compile asks for torch": settings.compile,
            "LoRAs that requests choose need torch": bool(settings.request_loras),
            "dtype is float16": settings.dtype == "float16",
            "the device is a CPU": True,
        }
        reason = next(text for text, applies in reasons.items() if applies)
    if wanted:
        bf16 = openvino_takes_bf16(settings)
        _log(settings, "networks", f"OpenVINO in {'bfloat16' if bf16 else 'float32'}", reason)
        # There are processors for which openvino has no wheel.
        telemetry.stop()
        from deployments.diffusion.compute.openvino_networks import OpenVINONetworks

        return OpenVINONetworks(
            components, bf16=bf16, threads=torch.get_num_threads(), release=release
        )
    modules = (components.unet, components.controlnet)
    if not on_cpu:
        # Tensor cores take channels last. Another order is converted for each convolution.
        for module in modules:
            if module is not None:
                module.to(memory_format=torch.channels_last)
    dtype = str(components.dtype).removeprefix("torch.")
    if settings.compile:
        _log(settings, "networks", f"torch, compiled, in {dtype}", reason)
        return CompiledNetworks(*modules, graphs=components.device.type == "cuda")
    _log(settings, "networks", f"torch in {dtype}", reason)
    return TorchNetworks(*modules, components.loras)


def create_autoencoder(
    components: Components, settings: ModelSettings, *, release: bool = False
) -> Autoencoder:
    """Make the autoencoder that a model's settings ask for, and log which.

    OpenVINO runs it where it runs the networks. There AutoencoderTiny computes in the networks'
    type, and the others in float32: in bfloat16 their pixels would be off by levels.

    Args:
        components: The loaded model.
        settings: Its backend and dtype, with which `create_networks` made the networks.
        release: Free the weights of `components.vae`. Nothing else may run it then.

    Raises:
        WeightsError: OpenVINO cannot run this autoencoder.
    """
    vae = components.vae
    if not runs_openvino(settings, components.device.type):
        dtype = str(vae.dtype).removeprefix("torch.")
        _log(settings, type(vae).__name__, f"torch in {dtype}", "as its networks")
        return TorchAutoencoder(vae)
    bf16 = openvino_takes_bf16(settings) and isinstance(vae, diffusers.AutoencoderTiny)
    runs = f"OpenVINO in {'bfloat16' if bf16 else 'float32'}"
    _log(settings, type(vae).__name__, runs, "as its networks")
    telemetry.stop()
    from deployments.diffusion.compute.openvino_autoencoder import OpenVINOAutoencoder

    return OpenVINOAutoencoder(
        components, bf16=bf16, threads=torch.get_num_threads(), release=release
    )


def _log(settings: ModelSettings, what: str, runs: str, reason: str) -> None:
    logger.info("model %s runs its %s with %s: %s", settings.id, what, runs, reason)
