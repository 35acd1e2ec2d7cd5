"""UNet and ControlNet compiled by torch for fixed shapes; on CUDA each shape becomes a graph.

Every number of rows is a shape of its own, so rows are padded to one of a few numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from deployments.diffusion.compute.networks import (
    Rows,
    control_input,
    spread_residuals,
    within_memory,
    without_map_embedding,
)

_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_MOST_SHAPES = 256


class CompiledNetworks:
    """The modules compiled by torch, once for each bucket of rows and each latent size.

    The first pass of a new shape takes as long as its compilation. After 256 shapes torch compiles
    no more: it runs further shapes without compilation, and logs that.

    Args:
        unet: UNet2DConditionModel.
        controlnet: ControlNetModel that fits it, or None.
        backend: torch's compiler.
        graphs: Record CUDA graphs; only on CUDA.
    """

    def __init__(
        self,
        unet: torch.nn.Module,
        controlnet: torch.nn.Module | None,
        *,
        backend: str | Callable[..., Any] = "inductor",
        graphs: bool,
    ) -> None:
        def compiled(network: torch.nn.Module) -> Callable[..., Any]:
            fast: Callable[..., Any] = torch.compile(  # type: ignore[call-overload] # lacks both
                network,
                backend=backend,
                mode="reduce-overhead" if graphs else None,
                dynamic=False,
                recompile_limit=_MOST_SHAPES,
                isolate_recompiles=True,
            )
            return fast

        self._graphs = graphs
        self._unet = compiled(unet)
        self._controlnet = (
            None if controlnet is None else compiled(without_map_embedding(controlnet))
        )

    @torch.inference_mode()
    def predict(self, rows: Rows) -> torch.Tensor:
        """Run one forward pass; see `Networks`."""
        return within_memory(lambda: self._predict(rows))

    def _predict(self, rows: Rows) -> torch.Tensor:
        if self._graphs:
            # From here on the results of the last pass may be overwritten.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        count = len(rows.timesteps)
        bucket = padded_count(count)
        options: dict[str, Any] = {}
        if rows.control_rows:
            *down, middle = (_pad(one, bucket) for one in self._residuals(rows))
            options = {
                "down_block_additional_residuals": tuple(down),
                "mid_block_additional_residual": middle,
            }
        padded = _pad_rows(rows, bucket)
        predicted: torch.Tensor = self._unet(
            padded.sample,
            padded.timesteps,
            encoder_hidden_states=padded.embeddings,
            added_cond_kwargs=padded.added or None,
            return_dict=False,
            **options,
        )[0]
        # A copy: graphs write their results into the same memory every time.
        return predicted[:count].clone()

    def _residuals(self, rows: Rows) -> list[torch.Tensor]:
        if self._controlnet is None:
            raise ValueError("rows with ControlNet for a model without one")
        sees, maps = control_input(rows)
        count = len(sees.timesteps)
        padded = _pad_rows(sees, padded_count(count))
        down, middle = self._controlnet(
            padded.sample,
            padded.timesteps,
            encoder_hidden_states=padded.embeddings,
            controlnet_cond=_pad(maps, padded_count(count)),
            added_cond_kwargs=padded.added or None,
            return_dict=False,
        )
        return spread_residuals([one[:count] for one in (*down, middle)], rows)


def padded_count(rows: int) -> int:
    """Choose the number of rows, the same or more, for which a pass is compiled."""
    for bucket in _BUCKETS:
        if rows <= bucket:
            return bucket
    return rows


def _pad_rows(rows: Rows, count: int) -> Rows:
    return replace(
        rows,
        sample=_pad(rows.sample, count),
        timesteps=_pad(rows.timesteps, count),
        embeddings=_pad(rows.embeddings, count),
        added={name: _pad(value, count) for name, value in rows.added.items()},
    )


def _pad(tensor: torch.Tensor, count: int) -> torch.Tensor:
    """Repeat the last row up to a number of rows; its numbers are as finite as any.

    The result is always a new tensor: compiled code tells tensors made in inference mode from
    others, and would be compiled for both.
    """
    missing = count - len(tensor)
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])
