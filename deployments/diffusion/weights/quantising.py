"""Weights of 8 bits, for networks whose memory matters more than their last digits."""

from __future__ import annotations

import importlib.util

import torch

from deployments.diffusion.weights.sources import WeightsError
from deployments.settings import ModelSettings


def quantise(network: torch.nn.Module, settings: ModelSettings) -> None:
    """Keep the weights of a network's linear layers in 8 bits, each row with a scale of its own.

    torchao does it (https://github.com/pytorch/ao). What is computed with them stays in the
    network's type. Embeddings and norms stay as they are.

    Args:
        network: It is changed.
        settings: The model's entry in the catalog.

    Raises:
        WeightsError: torchao is not installed.
    """
    if importlib.util.find_spec("torchao") is None:
        raise WeightsError(
            f"text_encoder: model {settings.id} has int8, and the package torchao is not "
            "installed; install backdrop[int8]"
        )
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(network, Int8WeightOnlyConfig())
