"""Rows of random numbers for the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from deployments.diffusion.compute.networks import Rows, example_rows


def random_rows(
    parts: Any,
    count: int,
    height: int = 8,
    width: int = 8,
    *,
    control_rows: Sequence[int] = (),
    control_scales: Sequence[float] | None = None,
) -> Rows:
    """Rows at different timesteps; the n-th is the same whatever the number of rows."""
    shapes = example_rows(parts, count, height, width, controlled=parts.controlnet is not None)
    generators = [torch.Generator().manual_seed(place) for place in range(count)]

    def random(like: torch.Tensor) -> torch.Tensor:
        rows = [torch.randn(like.shape[1:], generator=one) for one in generators]
        return torch.stack(rows).to(like.dtype)

    picked = list(control_rows)
    control: dict[str, Any] = dict.fromkeys(("control", "control_sample"))
    if picked:
        control = {name: random(getattr(shapes, name))[picked] for name in control}
    return replace(
        shapes,
        sample=random(shapes.sample),
        timesteps=torch.tensor([900.0, 21.0, 460.0, 700.0, 5.0, 333.0, 12.0, 80.0][:count]),
        embeddings=random(shapes.embeddings),
        added={name: random(value) for name, value in shapes.added.items()},
        control_rows=tuple(picked),
        control_scales=tuple(control_scales or [1.0] * len(picked)),
        **control,
    )


def take(rows: Rows, place: int) -> Rows:
    """One row by itself."""
    here = slice(place, place + 1)
    control: dict[str, Any] = {"control": None, "control_sample": None}
    scales: tuple[float, ...] = ()
    if place in rows.control_rows:
        among = rows.control_rows.index(place)
        assert rows.control is not None
        assert rows.control_sample is not None
        control = {
            "control": rows.control[among : among + 1],
            "control_sample": rows.control_sample[among : among + 1],
        }
        scales = (rows.control_scales[among],)
    return Rows(
        rows.sample[here],
        rows.timesteps[here],
        rows.embeddings[here],
        {name: value[here] for name, value in rows.added.items()},
        control_rows=(0,) if scales else (),
        control_scales=scales,
        **control,
    )
