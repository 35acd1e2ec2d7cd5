from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from gated import Recorder

from deployments.diffusion.engine.step_engine import Engine
from tests.tiny_models import Family, save_tiny_controlnet, save_tiny_weights, tiny_components


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors are slower on many threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def components() -> Callable[..., Any]:
    """Tiny components by their settings, built once each."""
    return cache(tiny_components)


@pytest.fixture(scope="session")
def flat_components() -> Callable[..., Any]:
    """Components whose networks have one level, and are compiled or converted soonest."""

    @cache
    def build(family: Family = "sd", *, controlnet: bool = False) -> Any:
        options: dict[str, Any] = {"cross_attention_dim": 32}
        if family == "sdxl":
            options = {
                "cross_attention_dim": 64,
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 6 * 8 + 32,
            }
        shape = {"block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            unet = diffusers.UNet2DConditionModel(
                sample_size=8,
                attention_head_dim=4,
                down_block_types=("DownBlock2D",),
                mid_block_type="UNetMidBlock2D",
                up_block_types=("UpBlock2D",),
                **shape,
                **options,
            )
            control = diffusers.ControlNetModel.from_unet(unet) if controlnet else None
            for end in (
                []
                if control is None
                else [
                    *control.controlnet_down_blocks,
                    control.controlnet_mid_block,
                ]
            ):
                torch.nn.init.normal_(end.weight, std=0.05)
        return dataclasses.replace(
            tiny_components(family=family),
            unet=unet.eval(),
            controlnet=None if control is None else control.eval(),
        )

    return build


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cup-model` and `cup-control`, not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    save_tiny_weights(folder / "cup-model")
    save_tiny_controlnet(folder / "cup-control")
    return folder


@pytest.fixture
def weights(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved / "cup-model", tmp_path / "cup-model"))


@pytest.fixture
def control(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved / "cup-control", tmp_path / "cup-control"))


@pytest.fixture
def start_engine() -> Iterator[Callable[..., Engine]]:
    """Starts engines, and stops them after the test."""
    started: list[tuple[Engine, Any]] = []

    def start(
        model: Any, max_rows: int = 16, max_waiting: int = 16, observer: Any = None
    ) -> Engine:
        clock = getattr(model, "clock", time.monotonic)
        observer = observer or Recorder()
        engine = Engine(model, lambda *sides: max_rows, max_waiting, observer, clock=clock)
        started.append((engine, model))
        return engine

    yield start
    for engine, model in started:
        if hasattr(model, "allow"):
            model.allow(1000)
        engine.close(drain_s=0)
