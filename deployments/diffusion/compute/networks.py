"""What runs UNet and ControlNet: rows of one latent size in, the UNet's predictions out.

A row is one sample of a forward pass. Rows of one pass may be at different steps, with or without
ControlNet.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.weights.components import UNetComponents
from deployments.diffusion.weights.memory import is_memory_shortage
from deployments.diffusion.weights.row_loras import RowLoras
from deployments.loras import Lora

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One forward pass's input, on the model's device.

    Attributes:
        sample: [rows, channels, height, width] in the networks' dtype: the UNet's own input. For an
            inpainting UNet these are latents, mask and masked latents.
        timesteps: float32 [rows].
        embeddings: [rows, tokens, width].
        added: `text_embeds` [rows, width] and `time_ids` [rows, ids] for a UNet that is told
            them, else empty.
        control: [rows with ControlNet, channels, height, width]: control maps after the
            ControlNet's `controlnet_cond_embedding`; None when no row has one.
        control_rows: The numbers of those rows, rising; empty when no row has one.
        control_scales: The factors of their residuals, one for each.
        control_sample: [rows with ControlNet, latent channels, height, width]: the ControlNet's
            sample; for an inpainting UNet the latents alone.
        loras: The LoRA of each row, None for none; empty when no row has one. Only torch, not
            compiled, runs them.
    """

    sample: torch.Tensor
    timesteps: torch.Tensor
    embeddings: torch.Tensor
    added: dict[str, torch.Tensor]
    control: torch.Tensor | None = None
    control_rows: tuple[int, ...] = ()
    control_scales: tuple[float, ...] = ()
    control_sample: torch.Tensor | None = None
    loras: tuple[Lora | None, ...] = ()


class Networks(Protocol):
    """UNet and ControlNet on any backend."""

    def predict(self, rows: Rows) -> torch.Tensor:
        """Run one forward pass.

        Args:
            rows: At least one, all of one latent size.

        Returns:
            [rows, latent channels, height, width], on the device of `rows`.

        Raises:
            OutOfMemory: It did not fit; nothing was changed, and fewer rows may fit.
        """
        ...


class OutOfMemory(MemoryError):
    """A computation did not fit into memory."""


class TorchNetworks:
    """The modules as they are, run by torch.

    Args:
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel that fits it, or None.
        loras: Those beside the UNet's weights; None for none.
    """

    def __init__(
        self,
        unet: torch.nn.Module,
        controlnet: torch.nn.Module | None,
        loras: RowLoras | None = None,
    ) -> None:
        self._unet = unet
        self._loras = loras or RowLoras()
        self._controlnet: Any = None if controlnet is None else without_map_embedding(controlnet)

    @torch.inference_mode()
    def predict(self, rows: Rows) -> torch.Tensor:
        """Run one forward pass; see `Networks`."""
        return within_memory(lambda: self._predict(rows))

    def _predict(self, rows: Rows) -> torch.Tensor:
        residuals: dict[str, Any] = {}
        if rows.control_rows:
            *down, middle = self._residuals(rows)
            residuals = {
                "down_block_additional_residuals": tuple(down),
                "mid_block_additional_residual": middle,
            }
        with self._loras.given_to(rows.loras):
            predicted: torch.Tensor = self._unet(
                rows.sample,
                rows.timesteps,
                encoder_hidden_states=rows.embeddings,
                added_cond_kwargs=rows.added or None,
                return_dict=False,
                **residuals,
            )[0]
        return predicted

    def _residuals(self, rows: Rows) -> list[torch.Tensor]:
        sees, maps = control_input(rows)
        down, middle = self._controlnet(
            sees.sample,
            sees.timesteps,
            encoder_hidden_states=sees.embeddings,
            controlnet_cond=maps,
            added_cond_kwargs=sees.added or None,
            return_dict=False,
        )
        return spread_residuals([*down, middle], rows)


def example_rows(
    components: UNetComponents, count: int, height: int, width: int, *, controlled: bool = False
) -> Rows:
    """Make rows of a model's shapes, to trace, warm up or measure its networks.

    All have the largest of the LoRAs that requests choose.

    Args:
        components: The model.
        count: Number of rows.
        height: Height of the latents.
        width: Width of the latents.
        controlled: Whether every row has a ControlNet.
    """
    unet, text = components.unet.config, components.text_encoders[-1].config
    options: dict[str, Any] = {"dtype": components.dtype, "device": components.device}
    tokens = components.tokenizers[0].model_max_length
    added = {}
    if components.told_sizes:
        pooled = text.projection_dim
        ids = (unet.projection_class_embeddings_input_dim - pooled) // unet.addition_time_embed_dim
        added = {
            "text_embeds": torch.zeros(count, pooled, **options),
            "time_ids": torch.zeros(count, ids, **options),
        }
    control: dict[str, Any] = {}
    if controlled:
        channels = components.controlnet.config.block_out_channels[0]
        control = {
            "control": torch.zeros(count, channels, height, width, **options),
            "control_rows": tuple(range(count)),
            "control_scales": (1.0,) * count,
            "control_sample": torch.zeros(
                count, components.latent_channels, height, width, **options
            ),
        }
    return Rows(
        torch.zeros(count, unet.in_channels, height, width, **options),
        torch.full((count,), 500.0, device=components.device),
        torch.zeros(count, tokens, unet.cross_attention_dim, **options),
        added,
        loras=(components.loras.largest,) * count,
        **control,
    )


def without_map_embedding(controlnet: torch.nn.Module) -> torch.nn.Module:
    """Copy a ControlNet without `controlnet_cond_embedding`: it takes maps that are embedded.

    The copy shares every parameter; the original is not changed.
    """
    bare = copy.copy(controlnet)
    # copy.copy shares the table of submodules too.
    bare._modules = dict(controlnet._modules)
    bare.controlnet_cond_embedding = torch.nn.Identity()
    return bare


def control_input(rows: Rows) -> tuple[Rows, torch.Tensor]:
    """Take the ControlNet's input: the rows that have one, with its own sample, and their maps."""
    if rows.control_sample is None or rows.control is None:
        raise ValueError("rows with ControlNet need control and control_sample")
    picked = rows.control_rows
    if len(picked) == len(rows.timesteps):
        timesteps, embeddings, added = rows.timesteps, rows.embeddings, rows.added
    else:
        index = to_device(torch.tensor(picked), rows.sample.device)
        timesteps, embeddings = rows.timesteps[index], rows.embeddings[index]
        added = {name: value[index] for name, value in rows.added.items()}
    return Rows(rows.control_sample, timesteps, embeddings, added), rows.control


def spread_residuals(residuals: Sequence[torch.Tensor], rows: Rows) -> list[torch.Tensor]:
    """Scale each row's residuals, and give rows without ControlNet zeros.

    A product is rounded once, from float32, as torch does for a half-precision tensor times a
    number. So the bits are those of the stock ControlNet, which multiplies inside.

    Args:
        residuals: Tensors [rows with ControlNet, ...].
        rows: The numbers of those rows, and their scales.

    Returns:
        Tensors [rows, ...] of the same dtypes.
    """
    device, count = rows.sample.device, len(rows.timesteps)
    scales = None
    if any(scale != 1 for scale in rows.control_scales):
        precision = torch.promote_types(residuals[0].dtype, torch.float32)
        scales = to_device(torch.tensor(rows.control_scales, dtype=precision), device)
    index = None
    if len(rows.control_rows) < count:
        index = to_device(torch.tensor(rows.control_rows), device)
    spread = []
    for residual in residuals:
        whole = residual
        if scales is not None:
            shape = (-1,) + (1,) * (residual.ndim - 1)
            whole = (residual * scales.view(shape)).to(residual.dtype)
        if index is not None:
            zeros = whole.new_zeros((count, *whole.shape[1:]))
            whole = zeros.index_copy_(0, index, whole)
        spread.append(whole)
    return spread


def within_memory(compute: Callable[[], Value]) -> Value:
    """Run a computation, and tell running out of memory from other failures.

    Raises:
        OutOfMemory: It did not fit. What it had allocated is free again.
    """
    try:
        return compute()
    except Exception as error:
        if not is_memory_shortage(error):
            raise
        reason = str(error)
    # Not in the except block, where the traceback still holds the tensors of the failed pass.
    torch.cuda.empty_cache()
    raise OutOfMemory(reason)
