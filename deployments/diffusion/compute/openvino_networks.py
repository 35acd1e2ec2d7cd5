"""UNet and ControlNet on a CPU through OpenVINO, converted from the torch modules in memory."""

from __future__ import annotations

from typing import Any

import torch

from deployments.diffusion.compute.networks import (
    Rows,
    control_input,
    example_rows,
    spread_residuals,
    within_memory,
    without_map_embedding,
)
from deployments.diffusion.compute.openvino_compilation import CompiledNetwork
from deployments.diffusion.weights.components import UNetComponents


class OpenVINONetworks:
    """Networks compiled for this processor, for any number of rows and any latent size.

    Args:
        components: The model; its modules are on the CPU.
        bf16: Compute in bfloat16, else in float32. Inputs and outputs have the model's own dtype.
        threads: Threads of a forward pass.
        release: Free the weights of `components.unet` and `components.controlnet`. The modules keep
            their configurations, and cannot run afterwards, except for the ControlNet's
            `controlnet_cond_embedding`. See `CompiledNetwork` for what OpenVINO keeps.

    Raises:
        WeightsError: OpenVINO cannot run these networks.
    """

    def __init__(
        self, components: UNetComponents, *, bf16: bool, threads: int, release: bool = False
    ) -> None:
        controlled = components.controlnet is not None
        # No level can halve these sides evenly: such a trace takes every size.
        side = 2**components.unet.num_upsamplers + 1
        rows = example_rows(components, 2, side, side + 2, controlled=controlled)
        residuals: list[torch.Tensor] = []
        self._controlnet: CompiledNetwork | None = None
        if controlled:
            network = _FlatControlNet(without_map_embedding(components.controlnet))
            inputs = _control_inputs(rows)
            with torch.no_grad():
                residuals = list(network(*inputs))
            self._controlnet = CompiledNetwork(
                "ControlNet",
                network,
                inputs,
                bf16=bf16,
                threads=threads,
                release=list(network.network.children()) if release else [],
            )
        # For passes in which no row has a ControlNet; broadcast over rows and pixels.
        self._no_residuals = [torch.zeros(1, one.shape[1], 1, 1) for one in residuals]
        unet = _FlatUNet(components.unet)
        self._unet = CompiledNetwork(
            "UNet",
            unet,
            [*_inputs(rows), *residuals],
            bf16=bf16,
            threads=threads,
            release=list(unet.network.children()) if release else [],
        )

    @torch.inference_mode()
    def predict(self, rows: Rows) -> torch.Tensor:
        """Run one forward pass; see `Networks`."""
        return within_memory(lambda: self._predict(rows))

    def _predict(self, rows: Rows) -> torch.Tensor:
        residuals = self._no_residuals
        if rows.control_rows:
            if self._controlnet is None:
                raise ValueError("rows with ControlNet for a model without one")
            residuals = spread_residuals(self._controlnet(_control_inputs(rows)), rows)
        predicted = self._unet([*_inputs(rows), *residuals])[0]
        # The next pass writes into the same memory.
        return predicted.to(rows.sample.dtype, copy=True)


class _FlatUNet(torch.nn.Module):
    """A UNet whose inputs are positional tensors, as the conversion needs them."""

    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        self.network: Any = unet

    def forward(
        self,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        embeddings: torch.Tensor,
        *rest: torch.Tensor,
    ) -> torch.Tensor:
        added, residuals = _take_added(self.network, rest)
        options: dict[str, Any] = {}
        if residuals:
            *down, middle = residuals
            options = {
                "down_block_additional_residuals": tuple(down),
                "mid_block_additional_residual": middle,
            }
        predicted: torch.Tensor = self.network(
            sample, timesteps, embeddings, added_cond_kwargs=added, return_dict=False, **options
        )[0]
        return predicted


class _FlatControlNet(torch.nn.Module):
    """A ControlNet whose inputs are positional tensors, and whose residuals are one tuple."""

    def __init__(self, controlnet: torch.nn.Module) -> None:
        super().__init__()
        self.network: Any = controlnet

    def forward(
        self,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        embeddings: torch.Tensor,
        *rest: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        added, (control,) = _take_added(self.network, rest)
        down, middle = self.network(
            sample, timesteps, embeddings, control, added_cond_kwargs=added, return_dict=False
        )
        return (*down, middle)


def _inputs(rows: Rows) -> list[torch.Tensor]:
    added = [rows.added[name] for name in ("text_embeds", "time_ids") if name in rows.added]
    return [rows.sample, rows.timesteps, rows.embeddings, *added]


def _control_inputs(rows: Rows) -> list[torch.Tensor]:
    sees, maps = control_input(rows)
    return [*_inputs(sees), maps]


def _take_added(
    network: Any,  # noqa: ANN401 - diffusers' classes are not typed
    rest: tuple[torch.Tensor, ...],
) -> tuple[dict[str, torch.Tensor] | None, tuple[torch.Tensor, ...]]:
    """Separate the added conditions of a network that takes them from the inputs after them."""
    if network.config.addition_embed_type != "text_time":
        return None, rest
    return {"text_embeds": rest[0], "time_ids": rest[1]}, rest[2:]
